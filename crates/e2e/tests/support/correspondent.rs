//! An end point whose messages arrive once, whatever happens to it and to the nodes in between: what an
//! application does with sessions.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use refpoint_association::{Backend, Credential, CredentialId, Credentials, Local, Now, Policy};
use refpoint_e2e::{Due, Error, Inner, InnerForm, Sessions};
use refpoint_keys::{EntityId, Profile};
use refpoint_primitive::{Content, MediaType, RequestId};
use refpoint_sim::{Entropy, Net};

use super::relay::{Came, Mailbox, came, take};
use super::support::{DAY, HOUR, METER, SENSOR, application_key, id, target, utc};

/// A message that is not answered for so long is sent again, as a new letter.
const PATIENCE: u64 = 36 * HOUR;

pub struct Correspondent {
    name: &'static str,
    peer: EntityId,
    place: usize,
    next_hop: usize,
    seed: u64,
    boots: u64,
    sessions: Sessions,
    credential: CredentialId,
    rng: Entropy,
    /// Durable, beside the sessions' state: the node's own mailbox and the application's data.
    pub mailbox: Mailbox,
    /// Sent and not answered, and when it was sent last.
    unanswered: BTreeMap<String, u64>,
    ledger: BTreeSet<String>,
    pub delivered: Vec<String>,
    /// Packets acknowledged to the hop before, which that hop knows too.
    acknowledged: u64,
    kept: Vec<u8>,
    snapshot: Vec<u8>,
    /// Every letter sealed, by index and sequence.
    pub sealed: Vec<Vec<u8>>,
    pub refused: usize,
    pub stale: usize,
}

fn sessions(name: &'static str) -> (Sessions, CredentialId) {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(1 << 20))
        .and_then(|policy| policy.with_ratchet(Some(Duration::from_secs(6 * HOUR))))
        .and_then(|policy| policy.with_epoch_bits(16))
        .expect("valid");
    let key = Arc::new(application_key(SENSOR, METER).connection_key());
    let credential = Credential::new(&id(name), key, &[Profile::Psk]).expect("its key");
    let mut credentials = Credentials::new();
    let peer = credentials
        .insert(credential.with_policy(policy))
        .expect("the first");
    (
        Sessions::new(Local::new(id(name)), Backend::default(), credentials),
        peer,
    )
}

impl Correspondent {
    pub fn new(name: &'static str, (place, next_hop): (usize, usize), seed: u64) -> Self {
        let (sessions, credential) = sessions(name);
        Self {
            name,
            peer: id(if name == SENSOR { METER } else { SENSOR }),
            place,
            next_hop,
            seed,
            boots: 0,
            sessions,
            credential,
            rng: Entropy::new(seed, name),
            mailbox: Mailbox::default(),
            unanswered: BTreeMap::new(),
            ledger: BTreeSet::new(),
            delivered: Vec::new(),
            acknowledged: 0,
            kept: Vec::new(),
            snapshot: Vec::new(),
            sealed: Vec::new(),
            refused: 0,
            stale: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.unanswered.is_empty()
    }

    fn post(&mut self, net: &mut Net, packet: Vec<u8>) {
        self.sealed.push(packet.clone());
        self.mailbox.post(net, self.place, self.next_hop, packet);
    }

    fn now(net: &Net) -> Now {
        Now::new(net.now(), utc(net.now().as_secs()))
    }

    /// A message of the application: sent at once if there is a session, later if not.
    pub fn say(&mut self, net: &mut Net, message: String) {
        self.unanswered.insert(message.clone(), net.now().as_secs());
        if !self.send(net, &message) {
            self.begin(net);
        }
    }

    fn send(&mut self, net: &mut Net, request_id: &str) -> bool {
        let Some(session) = self.sessions.with(&self.peer, &target()) else {
            return false;
        };
        let inner = Inner {
            target: target(),
            request_id: RequestId::new(request_id).expect("an id"),
            expires: utc(40 * DAY),
            form: InnerForm::Content(Content::new(MediaType::Json, "21.5").expect("content")),
        };
        match self.sessions.send(Self::now(net), session, inner) {
            Ok(letter) => self.post(net, letter),
            Err(_) => return false,
        }
        true
    }

    fn begin(&mut self, net: &mut Net) {
        if self.sessions.unanswered().next().is_some() {
            return;
        }
        let now = Self::now(net);
        let begun = self
            .sessions
            .initiate(now, &mut self.rng, self.credential, &target());
        let (_, initiate) = begun.expect("allowed");
        self.post(net, initiate);
    }

    pub fn receive(&mut self, net: &mut Net, data: &[u8]) {
        let (parcel, packet) = match came(data) {
            Came::Parcel(id, packet) => (id, packet),
            Came::Taken(id) => return self.mailbox.taken(id),
        };
        let now = Self::now(net);
        match self.sessions.receive(now, &mut self.rng, &target(), packet) {
            Err(_) => self.refused += 1,
            Ok(arrival) => {
                if let Some(reply) = arrival.reply {
                    self.post(net, reply);
                }
                if arrival.established {
                    let session = arrival.session.expect("it says which");
                    let confirm = self.sessions.confirm(now, session).expect("it is open");
                    self.post(net, confirm);
                }
                if let Some(inner) = arrival.inner {
                    self.take(net, inner.request_id.as_str());
                }
                if arrival.established || arrival.confirmed {
                    self.send_again(net, 0);
                }
            }
        }
        // One transaction: the receiving state, the application's data, and the acknowledgement.
        self.acknowledged += 1;
        let kept = self
            .sessions
            .to_bytes(now, self.acknowledged)
            .expect("a clock");
        self.kept = kept.to_vec();
        take(net, self.place, self.next_hop, parcel);
    }

    fn take(&mut self, net: &mut Net, request_id: &str) {
        if let Some(answered) = request_id.strip_prefix("re:") {
            self.unanswered.remove(answered);
            return;
        }
        if self.ledger.insert(request_id.into()) {
            self.delivered.push(request_id.into());
        }
        // What was answered before is answered again: the answer may have been lost.
        self.send(net, &format!("re:{request_id}"));
    }

    /// Sends again what has waited for longer than `patience`.
    fn send_again(&mut self, net: &mut Net, patience: u64) {
        let now = net.now().as_secs();
        let waiting: Vec<_> = self
            .unanswered
            .iter()
            .map(|(id, since)| (id.clone(), *since))
            .collect();
        for (request_id, since) in waiting {
            if since + patience <= now && self.send(net, &request_id) {
                self.unanswered.insert(request_id, now);
            }
        }
    }

    /// At every retry: the hop's parcels, sessions that are due, and messages that wait.
    pub fn tick(&mut self, net: &mut Net) {
        self.mailbox.retry(net, self.place, self.next_hop);
        let now = Self::now(net);
        for due in self.sessions.tend(now) {
            match due {
                Due::Renew(_) => self.begin(net),
                Due::Ask(session) => {
                    let ask = self.sessions.ask_to_renew(now, session);
                    self.post(net, ask.expect("it is open"));
                }
            }
        }
        if !self.unanswered.is_empty() && self.sessions.with(&self.peer, &target()).is_none() {
            self.begin(net);
        }
        self.send_again(net, PATIENCE);
    }

    /// Copies the sessions' state, as a backup of the machine does.
    pub fn snapshot(&mut self) {
        self.snapshot = self.kept.clone();
    }

    /// Reboots with what is kept, or with the snapshot; the application's data is elsewhere and survives.
    pub fn reboot(&mut self, net: &mut Net, from_snapshot: bool) {
        self.boots += 1;
        (self.sessions, self.credential) = sessions(self.name);
        self.rng = Entropy::new(self.seed + (self.boots << 32), self.name);
        let state = if from_snapshot {
            &self.snapshot
        } else {
            &self.kept
        };
        let restored = self
            .sessions
            .restore(Self::now(net), state, self.acknowledged);
        match restored {
            Err(Error::Stale) => self.stale += 1,
            restored => assert!(restored.is_ok() || state.is_empty(), "{restored:?}"),
        }
        assert_eq!(
            self.sessions.with(&self.peer, &target()),
            None,
            "nothing is sent in it"
        );
        self.begin(net);
    }
}
