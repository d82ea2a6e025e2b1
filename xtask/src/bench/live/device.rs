//! One device: an end point with one association to the core.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use refpoint_association::{
    AssociationId, CloseReason, Config, CredentialId, Credentials, Endpoint, Error, Event, Local,
    Now, Outbox, Policy, SessionLabel,
};
use refpoint_keys::EntityId;
use refpoint_primitive::ExchangeId;

use super::{Outgoing, device, entity, parties::address};
use crate::pair::rng;

pub(super) struct Device {
    endpoint: Endpoint,
    credential: CredentialId,
    pub(super) entity: EntityId,
    pub(super) at: Ipv4Addr,
    pub(super) association: Option<AssociationId>,
    /// Attempts that have failed since the last association.
    pub(super) failures: u32,
    /// When its end point or its wish for an association wakes it, in milliseconds.
    pub(super) timer: u64,
    /// When it tries again to have an association.
    pub(super) next_attempt: u64,
    /// When a record of the core opened last.
    pub(super) heard: u64,
    /// Exchanges that wait for their answers.
    pub(super) asking: Vec<ExchangeId>,
}

/// What came of a call of a device's end point.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) established: Option<AssociationId>,
    pub(super) ended: Vec<AssociationId>,
    /// The older and the newer one.
    replaced: Vec<(AssociationId, AssociationId)>,
    pub(super) failed: bool,
    pub(super) not_resumed: Option<Error>,
    pub(super) deferred: bool,
    pub(super) received: Vec<Vec<u8>>,
}

/// A device's packets leave from its own address.
struct Out<'a> {
    packets: &'a mut Outgoing,
    at: Ipv4Addr,
    outcome: Outcome,
}

impl Outbox for Out<'_> {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        if let SocketAddr::V4(to) = to {
            self.packets.push(self.at, to, packet);
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, .. } => self.outcome.established = Some(id),
            Event::Received { data, .. } => self.outcome.received.push(data.to_vec()),
            Event::Closed { id, .. } => self.outcome.ended.push(id),
            Event::Replaced { old, new } => self.outcome.replaced.push((old, new)),
            Event::Failed { .. } => self.outcome.failed = true,
            Event::NotResumed { error, .. } => self.outcome.not_resumed = Some(error),
            Event::Deferred { .. } => self.outcome.deferred = true,
            _ => {}
        }
    }
}

/// Never, in milliseconds.
pub(super) const NEVER: u64 = u64::MAX;

impl Device {
    pub(super) fn new(number: u32, policy: &Policy) -> anyhow::Result<Self> {
        let mut credentials = Credentials::new();
        let credential = credentials.insert(device(number, false, policy)?)?;
        let entity = entity(Some(number))?;
        let local = Local::new(entity.clone());
        // Nobody initiates to it, so it needs no memory for who might: there are very many.
        let config = Config::device().with_handshakes_per_second(0);
        Ok(Self {
            endpoint: Endpoint::new(config, local, credentials, &mut rng()),
            credential,
            entity,
            at: address(number),
            association: None,
            failures: 0,
            timer: NEVER,
            next_attempt: NEVER,
            heard: 0,
            asking: Vec::new(),
        })
    }

    fn call(
        &mut self,
        packets: &mut Outgoing,
        call: impl FnOnce(&mut Endpoint, CredentialId, &mut Out<'_>),
    ) -> Outcome {
        let mut out = Out {
            packets,
            at: self.at,
            outcome: Outcome::default(),
        };
        call(&mut self.endpoint, self.credential, &mut out);
        let mut outcome = out.outcome;
        // Also one that is overtaken as it is made.
        for (old, new) in core::mem::take(&mut outcome.replaced) {
            if outcome.established == Some(old) {
                outcome.established = Some(new);
            } else if self.association == Some(old) {
                self.association = Some(new);
            }
        }
        outcome
    }

    /// Asks for an association.
    pub(super) fn connect(&mut self, now: Now, core: SocketAddrV4, out: &mut Outgoing) -> Outcome {
        self.call(out, |endpoint, credential, out| {
            let label = SessionLabel::default();
            let core = SocketAddr::V4(core);
            if endpoint
                .connect(now, &mut rng(), core, credential, label, out)
                .is_err()
            {
                out.outcome.failed = true;
            }
        })
    }

    pub(super) fn receive(
        &mut self,
        now: Now,
        core: SocketAddrV4,
        packet: &mut [u8],
        out: &mut Outgoing,
    ) -> Outcome {
        self.call(out, |endpoint, _, out| {
            endpoint.receive(now, &mut rng(), SocketAddr::V4(core), packet, out);
        })
    }

    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut Outgoing) -> Outcome {
        self.call(out, |endpoint, _, out| {
            endpoint.handle_timeout(now, &mut rng(), out);
        })
    }

    /// Sends over the association, if there is one; what is lost is repeated by who asks.
    pub(super) fn send(&mut self, now: Now, data: &[u8], out: &mut Outgoing) {
        let Some(id) = self.association else { return };
        self.call(out, |endpoint, _, out| {
            let _ = endpoint.send(now, id, data, out);
        });
    }

    /// Requests go unanswered: looks whether the core still has the association.
    pub(super) fn suspect(&mut self, now: Now, out: &mut Outgoing) -> Outcome {
        let Some(id) = self.association else {
            return Outcome::default();
        };
        self.call(out, |endpoint, _, out| {
            let _ = endpoint.suspect(now, &mut rng(), id, out);
        })
    }

    /// Closes the association.
    pub(super) fn leave(&mut self, now: Now, out: &mut Outgoing) {
        let Some(id) = self.association.take() else {
            return;
        };
        self.call(out, |endpoint, _, out| {
            let _ = endpoint.close(now, id, CloseReason::Done, out);
        });
    }

    /// When it wants to be woken, in milliseconds.
    pub(super) fn due(&self) -> u64 {
        let endpoint = self.endpoint.next_timeout();
        let endpoint = endpoint.map_or(NEVER, |due| due.as_millis() as u64);
        endpoint.min(self.next_attempt)
    }
}
