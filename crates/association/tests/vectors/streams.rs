//! Whole associations on streams.

use refpoint_association::{
    CloseReason, Credentials, Local, Now, Opened, SessionLabel, StreamInitiator, StreamResponder,
    StreamSession,
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

/// One end of a stream that is refreshed.
struct Side {
    session: StreamSession,
    local: Local,
    credentials: Credentials,
    later: Injected,
    waiting: Vec<u8>,
    /// A refresh waits for its next step here.
    goes_on: bool,
}

impl Side {
    /// Seals what the transcript has next, unless it already waits.
    fn seal(&mut self, at: Now, record: &Value) {
        if record["kind"] == "data" {
            let plain = bytes(&record["plaintext"]);
            self.session
                .send(at, &plain, &mut self.waiting)
                .expect("may seal");
        } else if core::mem::take(&mut self.goes_on) {
            let Self {
                session,
                local,
                credentials,
                later,
                waiting,
                ..
            } = self;
            session
                .refresh(at, later, local, credentials, waiting)
                .expect("may refresh");
        }
    }
}

#[test]
fn a_refresh_inside_a_stream_is_the_one_of_the_transcript() {
    let file = file();
    let (case, refresh) = (&cases(&file)[0], &file["refresh"]);
    for backend in BACKENDS {
        let (initiator, confirm, responder) =
            handshake(&file, case, Parties::new(&file, case, backend));
        let parties = Parties::new(&file, case, backend);
        let side = |session, (local, credential), later: &str, waiting| Side {
            session,
            local,
            credentials: table(credential).0,
            later: Injected::new(&file[later]),
            waiting,
            goes_on: false,
        };
        let mut sides = [
            side(
                initiator,
                parties.initiator,
                "later_initiator_ephemeral",
                confirm,
            ),
            side(
                responder,
                parties.responder,
                "later_responder_ephemeral",
                Vec::new(),
            ),
        ];
        let records = refresh["records"].as_array().expect("a list");
        for (turn, record) in records.iter().enumerate() {
            let at = now(record["at"].as_u64().expect("seconds"));
            let [initiator, responder] = &mut sides;
            let (from, to) = match record["from"] == "initiator" {
                true => (initiator, responder),
                false => (responder, initiator),
            };
            // Both have confirmed: the initiator begins.
            from.goes_on |= turn == 2;
            if from.waiting.is_empty() {
                from.seal(at, record);
            }
            let expected = bytes(&record["packet"]);
            assert!(from.waiting.len() >= expected.len(), "record {turn}");
            let mut packet: Vec<_> = from.waiting.drain(..expected.len()).collect();
            assert_eq!(packet, expected, "record {turn}");
            let opened = to.session.receive(at, &mut packet, &mut to.waiting);
            match opened.expect("opens") {
                Opened::Data(data) => assert_eq!(data, bytes(&record["plaintext"])),
                Opened::Refresh => to.goes_on = true,
                Opened::Control | Opened::Refreshed | Opened::Granted => {}
                Opened::Closed(_) => panic!("closed at record {turn}"),
            }
        }
        for side in &sides {
            assert!(side.waiting.is_empty());
            assert_eq!(side.session.refreshes(), 1);
            let export = &refresh["export"];
            let mut value = vec![0; bytes(&export["value"]).len()];
            let (label, context) = (bytes(&export["label"]), bytes(&export["context"]));
            side.session
                .export(&label, &context, &mut value)
                .expect("alive");
            assert_eq!(value, bytes(&export["value"]));
        }
    }
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
