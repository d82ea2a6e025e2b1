//! Resumption on streams by `light` and by `fresh`.

use refpoint_association::{
    Backend, Credentials, Error, Grants, HandleChange, HeldHandle, IssuedHandles, Local, Modes,
    Opened, SessionLabel, StreamAnswer, StreamInitiator, StreamResponder, StreamSession,
    StreamUnconfirmed,
};
use serde_json::Value;

use super::{
    Injected, Parties, bytes, cases,
    support::{BACKENDS, now, table},
};

fn file() -> Value {
    serde_json::from_str(include_str!("stream_resumption.json")).expect("JSON")
}

/// The gateway of one case.
struct Gateway {
    local: Local,
    credentials: Credentials,
    grants: Grants,
    rng: Injected,
    backend: Backend,
    issued: Vec<[u8; 8]>,
}

impl Gateway {
    fn new(file: &Value, case: &Value, backend: Backend) -> Self {
        let parties = Parties::resuming(file, case, backend, (Modes::BOTH, Modes::BOTH));
        let (local, credential) = parties.responder;
        let mut rng = Injected::new(&file["responder_ephemeral"]);
        Self {
            local,
            credentials: table(credential).0,
            grants: Grants::new(IssuedHandles::new(8, &mut rng)),
            rng,
            backend,
            issued: Vec::new(),
        }
    }

    /// None: it has refused.
    fn answer(&mut self, at: u64, frame: &[u8]) -> (Option<StreamUnconfirmed>, Vec<u8>) {
        let (mut out, packet) = (Vec::new(), &frame[2..]);
        let (now, rng, local, known) = (now(at), &mut self.rng, &self.local, &self.credentials);
        let backend = self.backend;
        if !StreamResponder::resumes(packet) {
            let answered =
                StreamResponder::answer(now, rng, local, backend, known, packet, &mut out);
            return (Some(answered.expect("it is genuine")), out);
        }
        let tables = (known, &mut self.grants);
        let answer = StreamResponder::resume(now, rng, local, backend, tables, packet, &mut out);
        match answer.expect("it is genuine") {
            StreamAnswer::Resumed(redemption) => {
                let answered = redemption.answer(now, rng, local, backend, &mut out);
                (Some(answered.expect("it is genuine")), out)
            }
            StreamAnswer::Refused => (None, out),
        }
    }
}

/// The device of one case, redeeming by these modes; `at` is when it begins.
fn begin(
    (file, case): (&Value, &Value),
    backend: Backend,
    modes: Modes,
    at: u64,
    held: Option<&HeldHandle>,
) -> (StreamInitiator, Vec<u8>) {
    let parties = Parties::resuming(file, case, backend, (modes, Modes::BOTH));
    let (local, credential) = parties.initiator;
    let (credentials, id) = table(credential);
    let entry = (id, credentials.find(id).expect("inserted").clone());
    let ephemeral = match held {
        Some(_) => "later_initiator_ephemeral",
        None => "initiator_ephemeral",
    };
    let (mut rng, mut out) = (Injected::new(&file[ephemeral]), Vec::new());
    let (at, label) = (now(at), SessionLabel::default());
    let initiator = match held {
        Some(held) => StreamInitiator::resume(at, &mut rng, &local, backend, entry, held, &mut out),
        None => StreamInitiator::new(at, &mut rng, &local, backend, entry, label, &mut out),
    };
    (initiator.expect("may begin"), out)
}

/// From the answer of the gateway on; gives what the device is granted.
fn complete(
    at: u64,
    (made, answer): (&Value, &str),
    initiator: StreamInitiator,
    gateway: &mut Gateway,
    first: &[u8],
) -> Box<HeldHandle> {
    let (answered, out) = gateway.answer(at, first);
    assert_eq!(out, bytes(&made[answer]));
    let answered = answered.expect("not refused");
    let mut confirmation = Vec::new();
    let session = initiator.receive(now(at), &out[2..], &mut confirmation);
    let mut device = session.expect("it opens");
    let records = &made["records"];
    assert_eq!(confirmation, bytes(&records[0]["packet"]));
    let (grants, issued, mut out) = (&mut gateway.grants, &mut gateway.issued, Vec::new());
    let mut note = |change| {
        if let HandleChange::Issued(stored) = change {
            issued.push(stored.id().0);
        }
    };
    let session = answered.confirm(now(at), grants, &mut confirmation, &mut note, &mut out);
    let mut session = session.expect("it is genuine");
    assert_eq!(out, bytes(&records[1]["packet"]));
    let opened = device.receive(now(at), &mut out, &mut Vec::new());
    assert_eq!(opened, Ok(Opened::Granted));
    talk(at, made, &mut device, &mut session);
    device.take_handle(now(at)).expect("a handle")
}

fn talk(at: u64, made: &Value, device: &mut StreamSession, gateway: &mut StreamSession) {
    for record in &made["records"].as_array().expect("a list")[2..] {
        let (from, to) = match record["from"] == "initiator" {
            true => (&mut *device, &mut *gateway),
            false => (&mut *gateway, &mut *device),
        };
        let (plain, mut packet) = (bytes(&record["plaintext"]), Vec::new());
        from.send(now(at), &plain, &mut packet).expect("may send");
        assert_eq!(packet, bytes(&record["packet"]));
        let opened = to.receive(now(at), &mut packet, &mut Vec::new());
        assert_eq!(opened, Ok(Opened::Data(&plain)));
    }
    let export = &made["export"];
    if export.is_null() {
        return;
    }
    for session in [device, gateway] {
        let mut value = vec![0; bytes(&export["value"]).len()];
        let (label, context) = (bytes(&export["label"]), bytes(&export["context"]));
        session.export(&label, &context, &mut value).expect("alive");
        assert_eq!(value, bytes(&export["value"]));
    }
}

#[test]
fn both_backends_resume_streams_as_in_the_transcripts() {
    let file = file();
    for backend in BACKENDS {
        for case in cases(&file) {
            let mut gateway = Gateway::new(&file, case, backend);
            let (initiator, out) = begin((&file, case), backend, Modes::BOTH, 0, None);
            assert_eq!(out, bytes(&case["initiate"]));
            let made = (case, "respond");
            let mut held = complete(0, made, initiator, &mut gateway, &out);
            assert_eq!(gateway.issued[0].to_vec(), bytes(&case["handle"]["id"]));
            gateway.rng = Injected::new(&file["later_responder_ephemeral"]);
            for (mode, modes) in [("light", Modes::BOTH), ("fresh", Modes::FRESH)] {
                let (at, made) = (&file[format!("{mode}_at")], &case[mode]);
                let at = at.as_u64().expect("seconds");
                let again = || begin((&file, case), backend, modes, at, Some(&held));
                let (initiator, resume) = again();
                assert_eq!(resume, bytes(&made["resume"]));
                // One that has lost its handles says so.
                let mut other = Gateway::new(&file, case, backend);
                let (answer, refusal) = other.answer(at, &resume);
                assert!(answer.is_none());
                assert_eq!(refusal, bytes(&made["refusal"]));
                let refused = initiator.receive(now(at), &refusal[2..], &mut Vec::new());
                assert_eq!(refused.expect_err("refused"), Error::Handle);
                let made = (made, "resumed");
                held = complete(at, made, again().0, &mut gateway, &resume);
                let next = bytes(&made.0["next_handle"]["id"]);
                assert_eq!(gateway.issued.last().expect("one").to_vec(), next);
            }
        }
    }
}
