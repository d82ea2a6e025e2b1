//! Whole associations on streams.

use refpoint_association::{
    CloseReason, Opened, SessionLabel, StreamInitiator, StreamResponder, StreamSession,
};
use serde_json::Value;

use super::{
    Injected, Parties, bytes, cases,
    support::{BACKENDS, now, table},
};

fn file() -> Value {
    serde_json::from_str(include_str!("streams.json")).expect("JSON")
}

/// The initiator's session, what it confirms by, and the responder's.
fn handshake(
    file: &Value,
    case: &Value,
    parties: Parties,
) -> (StreamSession, Vec<u8>, StreamSession) {
    let backend = parties.setting.backend;
    let (local, credential) = parties.initiator;
    let (credentials, id) = table(credential);
    let entry = (id, credentials.find(id).expect("inserted").clone());
    let mut rng = Injected::new(&file["initiator_ephemeral"]);
    let (mut forth, label) = (Vec::new(), SessionLabel::default());
    let initiator =
        StreamInitiator::new(now(0), &mut rng, &local, backend, entry, label, &mut forth);
    assert_eq!(forth, bytes(&case["initiate"]));
    let (local, credential) = parties.responder;
    let (credentials, _) = table(credential);
    let mut rng = Injected::new(&file["responder_ephemeral"]);
    let mut back = Vec::new();
    let responder = StreamResponder::receive(
        now(0),
        &mut rng,
        &local,
        backend,
        &credentials,
        &forth[2..],
        &mut back,
    );
    assert_eq!(back, bytes(&case["respond"]));
    let mut confirm = Vec::new();
    let initiator = initiator
        .expect("may initiate")
        .receive(now(0), &back[2..], &mut confirm);
    (
        initiator.expect("opens"),
        confirm,
        responder.expect("opens"),
    )
}

fn check(file: &Value, case: &Value, parties: Parties) {
    assert_eq!(parties.psk(), bytes(&case["psk"]));
    let (mut initiator, confirm, mut responder) = handshake(file, case, parties);
    let export = &case["export"];
    for session in [&initiator, &responder] {
        let mut value = vec![0; bytes(&export["value"]).len()];
        session
            .export(
                &bytes(&export["label"]),
                &bytes(&export["context"]),
                &mut value,
            )
            .expect("alive");
        assert_eq!(value, bytes(&export["value"]));
    }
    let mut answer = Some(confirm);
    for record in case["records"].as_array().expect("a list") {
        let at = now(record["at"].as_u64().expect("seconds"));
        let (from, to) = match record["from"] == "initiator" {
            true => (&mut initiator, &mut responder),
            false => (&mut responder, &mut initiator),
        };
        let plain = bytes(&record["plaintext"]);
        let mut packet = match answer.take().filter(|answer| !answer.is_empty()) {
            Some(answer) => answer,
            None => {
                let mut out = Vec::new();
                let sealed = match record["kind"] == "data" {
                    true => from.send(at, &plain, &mut out),
                    false => from.close(at, CloseReason::Done, &mut out),
                };
                sealed.expect("may seal");
                out
            }
        };
        assert_eq!(packet, bytes(&record["packet"]));
        let mut answered = Vec::new();
        let opened = to.receive(at, &mut packet, &mut answered).expect("opens");
        match record["kind"] == "data" {
            true => assert_eq!(opened, Opened::Data(&plain)),
            false if plain.is_empty() => assert_eq!(opened, Opened::Control),
            false => assert_eq!(opened, Opened::Closed(CloseReason::Done)),
        }
        answer = Some(answered);
    }
    assert_eq!((initiator.epochs(), responder.epochs()), ((1, 1), (1, 1)));
}

#[test]
fn both_backends_repeat_the_transcripts_of_stream_associations() {
    let file = file();
    for backend in BACKENDS {
        for case in cases(&file) {
            check(&file, case, Parties::new(&file, case, backend));
        }
    }
}
