//! Whole associations on datagrams, a Retry and a refresh.

use core::{net::SocketAddr, time::Duration};

use refpoint_association::{
    AssociationId, Config, Credential, CredentialId, Endpoint, Error, Event, HandleChange,
    HandleId, Local, Outbox, SessionLabel,
};
use refpoint_association::{Backend, CloseReason};
use serde_json::Value;

use super::{
    Injected, Parties, bytes, cases,
    support::{BACKENDS, now, table},
};

fn file() -> Value {
    serde_json::from_str(include_str!("datagrams.json")).expect("JSON")
}

/// What an end point puts out.
#[derive(Default)]
pub(super) struct Log {
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) established: Vec<AssociationId>,
    pub(super) received: Vec<Vec<u8>>,
    closed: Vec<Error>,
    /// Handles that were received, as a device keeps them, and the ids of those issued.
    pub(super) held: Vec<Vec<u8>>,
    pub(super) issued: Vec<HandleId>,
    pub(super) deferred: Vec<Duration>,
}

impl Outbox for Log {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, .. } => self.established.push(id),
            Event::Received { data, .. } => self.received.push(data.to_vec()),
            Event::Closed { error, .. } => self.closed.push(error),
            Event::Held { handle, .. } => self.held.push(handle.expose_bytes().to_vec()),
            Event::Handles(HandleChange::Issued(stored)) => self.issued.push(stored.id()),
            Event::Deferred { until, .. } => self.deferred.push(until),
            _ => {}
        }
    }
}

pub(super) struct End {
    pub(super) endpoint: Endpoint,
    pub(super) rng: Injected,
    peer: SocketAddr,
    credential: CredentialId,
    pub(super) log: Log,
}

impl End {
    /// An end whose peer's address ends in `peer`.
    pub(super) fn new(
        config: Config,
        (local, credential): (Local, Credential),
        mut rng: Injected,
        peer: u8,
    ) -> Self {
        let (credentials, credential) = table(credential);
        Self {
            endpoint: Endpoint::new(config, local, credentials, &mut rng),
            rng,
            peer: SocketAddr::from(([192, 0, 2, peer], 7000)),
            credential,
            log: Log::default(),
        }
    }

    pub(super) fn receive(&mut self, at: u64, packet: &[u8]) {
        let (from, out) = (self.peer, &mut self.log);
        self.endpoint
            .receive(now(at), &mut self.rng, from, &mut packet.to_vec(), out);
    }

    /// The one packet that it has put out since the last call.
    pub(super) fn sent(&mut self) -> Vec<u8> {
        assert_eq!(self.log.sent.len(), 1, "one packet");
        self.log.sent.remove(0)
    }

    pub(super) fn association(&self) -> AssociationId {
        *self.log.established.last().expect("an association")
    }
}

/// The initiator's and the responder's end.
fn ends(file: &Value, case: &Value, backend: Backend) -> [End; 2] {
    let parties = Parties::new(file, case, backend);
    assert_eq!(parties.psk(), bytes(&case["psk"]));
    let ephemerals = ["initiator_ephemeral", "responder_ephemeral"];
    let configs = [Config::device(), Config::default()];
    let mut made = [parties.initiator, parties.responder]
        .into_iter()
        .zip(configs)
        .zip(ephemerals);
    [2, 1].map(|peer| {
        let ((party, config), ephemeral) = made.next().expect("two");
        let config = config.with_backend(backend).with_handles(0);
        End::new(config, party, Injected::new(&file[ephemeral]), peer)
    })
}

fn connect(end: &mut End) {
    connect_at(0, end);
}

pub(super) fn connect_at(at: u64, end: &mut End) {
    let (to, credential, label) = (end.peer, end.credential, SessionLabel::default());
    end.endpoint
        .connect(now(at), &mut end.rng, to, credential, label, &mut end.log)
        .expect("may initiate");
}

/// The handshake and the first record of each end.
pub(super) fn associate(case: &Value, [initiator, responder]: &mut [End; 2]) {
    connect(initiator);
    let initiate = initiator.sent();
    assert_eq!(initiate, bytes(&case["initiate"]));
    responder.receive(0, &initiate);
    let respond = responder.sent();
    assert_eq!(respond, bytes(&case["respond"]));
    initiator.receive(0, &respond);
    confirm(0, &case["records"], initiator, responder);
}

pub(super) fn confirm(at: u64, records: &Value, initiator: &mut End, responder: &mut End) {
    let confirmation = initiator.sent();
    assert_eq!(confirmation, bytes(&records[0]["packet"]));
    responder.receive(at, &confirmation);
    let answer = responder.sent();
    assert_eq!(answer, bytes(&records[1]["packet"]));
    initiator.receive(at, &answer);
}

fn check(case: &Value, mut ends: [End; 2]) {
    associate(case, &mut ends);
    let export = &case["export"];
    for end in &ends {
        let mut value = vec![0; bytes(&export["value"]).len()];
        let (label, context) = (bytes(&export["label"]), bytes(&export["context"]));
        let exported = end
            .endpoint
            .export(end.association(), &label, &context, &mut value);
        exported.expect("it exists");
        assert_eq!(value, bytes(&export["value"]));
    }
    let [initiator, responder] = &mut ends;
    for record in &case["records"].as_array().expect("a list")[2..] {
        let at = record["at"].as_u64().expect("seconds");
        let (from, to) = match record["from"] == "initiator" {
            true => (&mut *initiator, &mut *responder),
            false => (&mut *responder, &mut *initiator),
        };
        let (id, plain) = (from.association(), bytes(&record["plaintext"]));
        let sealed = match record["kind"] == "data" {
            true => from.endpoint.send(now(at), id, &plain, &mut from.log),
            false => from
                .endpoint
                .close(now(at), id, CloseReason::Done, &mut from.log),
        };
        sealed.expect("may seal");
        let packet = from.sent();
        assert_eq!(packet, bytes(&record["packet"]));
        to.receive(at, &packet);
        match record["kind"] == "data" {
            true => assert_eq!(to.log.received.pop(), Some(plain)),
            false => assert_eq!(to.log.closed, [Error::Closed(CloseReason::Done)]),
        }
    }
}

#[test]
fn both_backends_repeat_the_transcripts_of_datagram_associations() {
    let file = file();
    for backend in BACKENDS {
        for case in cases(&file) {
            check(case, ends(&file, case, backend));
        }
    }
}

#[test]
fn a_retry_is_answered_by_the_initiate_of_the_transcript() {
    let file = file();
    let retry = &file["retry"];
    for backend in BACKENDS {
        let [mut initiator, mut responder] = ends(&file, &cases(&file)[0], backend);
        connect(&mut initiator);
        assert_eq!(initiator.sent(), bytes(&retry["initiate"]));
        initiator.rng = Injected::new(&file["later_initiator_ephemeral"]);
        initiator.receive(0, &bytes(&retry["retry"]));
        let initiate = initiator.sent();
        assert_eq!(initiate, bytes(&retry["initiate_with_cookie"]));
        responder.receive(0, &initiate);
        let respond = responder.sent();
        assert_eq!(respond, bytes(&retry["respond"]));
        initiator.receive(0, &respond);
        assert_eq!(initiator.sent(), bytes(&retry["confirm"]));
    }
}

#[test]
fn a_refresh_is_the_one_of_the_transcript() {
    let file = file();
    let (case, refresh) = (&cases(&file)[0], &file["refresh"]);
    for backend in BACKENDS {
        let mut ends = ends(&file, case, backend);
        associate(case, &mut ends);
        let [initiator, responder] = &mut ends;
        initiator.rng = Injected::new(&file["later_initiator_ephemeral"]);
        responder.rng = Injected::new(&file["later_responder_ephemeral"]);
        let id = initiator.association();
        let End {
            endpoint, rng, log, ..
        } = initiator;
        endpoint.renew(now(1), rng, id, log).expect("may refresh");
        let request = initiator.sent();
        assert_eq!(request, bytes(&refresh["records"][2]["packet"]));
        responder.receive(1, &request);
        let answer = responder.sent();
        assert_eq!(answer, bytes(&refresh["records"][3]["packet"]));
        initiator.receive(1, &answer);
        confirm(1, &refresh["confirmation"], initiator, responder);
        assert_eq!(responder.log.established.len(), 2);
    }
}
