//! The layer: who is admitted, and what becomes of their requests.

use alloc::collections::BTreeMap;
use core::time::Duration;

use refpoint_keys::{EntityId, ReferencePoint, UtcTime};
use refpoint_primitive::{Bytes, Failure, Ledger, LedgerKey, LedgerLimits, Peer, Receipt, Ticket};

use crate::expectation::Expectations;
use crate::{Ask, Error, Identity, KeyRing, Request, Response, policy};

/// The security layer of one end of Z: a service node's or a network service entity's.
///
/// It is asked about every request that an association has opened, before anything else sees it.
#[derive(Debug)]
pub struct Layer {
    local: EntityId,
    identities: BTreeMap<EntityId, Identity>,
    expectations: Expectations,
    keys: KeyRing,
    ledger: Ledger,
}

impl Layer {
    /// The layer of `local`. Nobody is admitted yet.
    #[must_use]
    pub fn new(local: EntityId, limits: LedgerLimits) -> Self {
        Self {
            local,
            identities: BTreeMap::new(),
            expectations: Expectations::default(),
            keys: KeyRing::new(policy::LONGEST_NETWORK_KEY),
            ledger: Ledger::new(limits),
        }
    }

    /// Network keys live no longer than this, whatever the network says.
    #[must_use]
    pub fn with_longest_network_key(mut self, longest: Duration) -> Self {
        self.keys = KeyRing::new(longest);
        self
    }

    /// Admits a peer.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is not the kind of peer that this end has.
    pub fn admit(&mut self, identity: Identity) -> Result<(), Error> {
        identity.check(&self.local)?;
        self.identities.insert(identity.peer().clone(), identity);
        Ok(())
    }

    /// The peer may say nothing any more, and nothing is expected of it. What it asked before stays in the ledger, and the
    /// keys it delivered in the ring, until they expire.
    pub fn dismiss(&mut self, peer: &EntityId) {
        self.identities.remove(peer);
        self.expectations.forget(peer);
    }

    /// Whether this peer may ask this, as whom it says it does.
    ///
    /// # Errors
    /// [`Failure::NoAssociation`] when the peer is not admitted or its association is not for Z; otherwise as
    /// [`Identity::verdict`].
    pub fn verdict(&self, peer: &Peer, ask: &Ask) -> Result<(), Failure> {
        let identity = self
            .identities
            .get(&peer.entity)
            .filter(|_| peer.point == ReferencePoint::Z)
            .ok_or(Failure::NoAssociation)?;
        identity.verdict(ask)
    }

    /// A request has arrived over an association with `peer`: what to do with it. A report or notice about what this
    /// end does not have from that peer is refused by [`Failure::UnknownReference`].
    ///
    /// `now` is monotonic, `utc` the wall clock where there is one.
    pub fn receive(
        &mut self,
        now: Duration,
        utc: Option<UtcTime>,
        peer: &Peer,
        request: &Request,
    ) -> Receipt {
        if let Err(failure) = self.verdict(peer, request.ask()) {
            return Receipt::Refuse(failure);
        }
        let (from, expires_in) = match request.ask() {
            Ask::Primitive(message) => {
                let checked = message.checked();
                (checked.from, checked.expires_in(utc))
            }
            _ => (None, None),
        };
        let key = LedgerKey {
            entity: &peer.entity,
            from,
            request_id: request.id(),
        };
        // The ledger comes first: a repeated report is repeated even when nothing more is expected.
        match self.ledger.receive(now, &key, request.digest(), expires_in) {
            Receipt::Execute(ticket) if !self.is_expected(now, peer, request.ask()) => {
                self.ledger.abandon(ticket);
                Receipt::Refuse(Failure::UnknownReference)
            }
            receipt => receipt,
        }
    }

    /// The peer has answered a request of this end: from now on it may report what it has promised thereby.
    pub fn answered(&mut self, now: Duration, peer: &Peer, request: &Request, response: &Response) {
        self.expectations
            .answered(now, &peer.entity, request, response);
    }

    /// The network keys that this end has.
    #[must_use]
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The network keys that this end has, to import, renew and drop.
    #[must_use]
    pub const fn keys_mut(&mut self) -> &mut KeyRing {
        &mut self.keys
    }

    /// The request was executed; `answer`, of [`exchange::answer`](crate::exchange::answer), is what repetitions get.
    /// Without one, repetitions are executed again.
    pub fn settle(&mut self, ticket: Ticket, answer: Option<Bytes>) {
        match answer {
            Some(answer) => self.ledger.settle(ticket, answer),
            None => self.ledger.abandon(ticket),
        }
    }

    /// The request was not executed, and certainly will not be.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.ledger.abandon(ticket);
    }

    /// Drops what was kept for long enough. The keys have a clock of their own: [`KeyRing::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Duration) {
        self.ledger.handle_timeout(now);
        self.expectations.expire(now);
    }

    /// When [`Layer::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let both = [self.ledger.next_timeout(), self.expectations.first()];
        both.into_iter().flatten().min()
    }

    fn is_expected(&mut self, now: Duration, peer: &Peer, ask: &Ask) -> bool {
        match ask {
            Ask::KeyNotice(notice) => self.keys.knows(&peer.entity, notice),
            _ => self.expectations.allow(now, &peer.entity, ask),
        }
    }
}
