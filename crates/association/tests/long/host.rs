use core::net::SocketAddr;
use std::collections::{HashMap, VecDeque};

use refpoint_association::{
    AssociationId, AttemptId, Endpoint, Error, Event, HandleChange, Outbox,
};
use refpoint_keys::{KeyId, Role};
use refpoint_sim::{Entropy, Fingerprint, Place};

use super::clock::Clock;

/// What an end point has told its user.
#[derive(Debug)]
pub enum Told {
    Established {
        id: AssociationId,
        attempt: Option<AttemptId>,
        initiates: bool,
        key: KeyId,
    },
    Received(AssociationId, Vec<u8>),
    Replaced(AssociationId, AssociationId),
    Closed(AssociationId),
    Failed(AttemptId, Error),
    Held(AssociationId, Vec<u8>),
    Handles(HandleChange),
    NotResumed,
    Deferred,
}

/// What an end point puts out in one call.
#[derive(Debug, Default)]
pub struct Output {
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
    pub told: VecDeque<Told>,
}

impl Outbox for Output {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        self.sent.push((to, packet.to_vec()));
    }

    fn event(&mut self, event: Event<'_>) {
        self.told.push_back(match event {
            Event::Established { id, attempt, peer } => Told::Established {
                id,
                attempt,
                initiates: peer.role() == Role::Initiator,
                key: peer.key_id(),
            },
            Event::Received { id, data } => Told::Received(id, data.to_vec()),
            Event::Replaced { old, new } => Told::Replaced(old, new),
            Event::Closed { id, .. } => Told::Closed(id),
            Event::Failed { attempt, error } => Told::Failed(attempt, error),
            Event::Held { id, handle } => Told::Held(id, handle.expose_bytes().to_vec()),
            Event::Handles(change) => Told::Handles(change),
            Event::NotResumed { .. } => Told::NotResumed,
            Event::Deferred { .. } => Told::Deferred,
            _ => panic!("an event that this run does not know"),
        });
    }
}

/// A machine with an end point, when it has power.
#[derive(Debug)]
pub struct Host {
    pub place: Place,
    pub endpoint: Option<Endpoint>,
    pub clock: Clock,
    pub address: SocketAddr,
    /// Its generator of randomness: seeded once, it goes on after a reboot.
    pub rng: Entropy,
    pub output: Output,
    /// What it has received, in the call that is being made.
    pub prints: HashMap<Fingerprint, AssociationId>,
}

impl Host {
    pub fn print(&self, id: AssociationId) -> Option<Fingerprint> {
        let mut print = [0; 16];
        let exported = self
            .endpoint
            .as_ref()?
            .export(id, b"watch", b"", &mut print);
        exported.ok().map(|()| print)
    }
}
