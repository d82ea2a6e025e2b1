//! The layer: who is admitted, and what becomes of their requests.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use refpoint_keys::{EntityId, UtcTime};
use refpoint_primitive::{
    Bytes, Checked, Failure, Holders, Incoming, Ledger, LedgerLimits, Peer, Receipt, Ticket,
};

use crate::identity::Domain;
use crate::{Announcement, Error, Identity};

/// The security layer of one service node on Y and Y′.
///
/// It is asked about every request that an association has opened, before anything else sees it.
#[derive(Debug)]
pub struct Layer {
    local: EntityId,
    identities: BTreeMap<EntityId, Identity>,
    holders: Holders,
    ledger: Ledger,
}

impl Layer {
    /// The layer of the service node `local`. Nobody is admitted yet.
    #[must_use]
    pub fn new(local: EntityId, limits: LedgerLimits) -> Self {
        Self {
            local,
            identities: BTreeMap::new(),
            holders: Holders::new(),
            ledger: Ledger::new(limits),
        }
    }

    /// Admits a peer, or replaces as whom it may speak. What it has announced and may still announce stays active.
    ///
    /// # Errors
    /// [`Error`] when the peer cannot be met at this end, when there is another registrar, or when another peer speaks
    /// for it already. Then nothing has changed.
    pub fn admit(&mut self, identity: Identity) -> Result<(), Error> {
        identity.check(&self.local)?;
        let peer = identity.peer().clone();
        if identity.is_registrar() {
            let mut others = self.identities.values();
            if others.any(|other| other.is_registrar() && *other.peer() != peer) {
                return Err(Error::SecondRegistrar(peer));
            }
        }
        if identity.is_registree() {
            let mut held = self.holders.held_by(&peer);
            held.retain(|entity| identity.may_announce(entity));
            held.insert(peer.clone());
            self.holders.hold(&peer, &held)?;
        } else {
            self.holders.hold(&peer, &BTreeSet::new())?;
        }
        self.identities.insert(peer, identity);
        Ok(())
    }

    /// The peer may say nothing any more, and speaks for nobody. What it asked before stays in the ledger.
    pub fn dismiss(&mut self, peer: &EntityId) {
        self.identities.remove(peer);
        self.holders.release(peer);
    }

    /// The peer announces for whom it speaks from now on, besides itself; what it announced before is withdrawn.
    ///
    /// # Errors
    /// Then nothing has changed: [`Failure::Forbidden`] when one entity is not among those it may announce,
    /// [`Failure::Claimed`] when another registree speaks for one (never last wins), [`Failure::NoAssociation`] when the
    /// peer is not admitted here.
    pub fn announce(&mut self, peer: &Peer, announcement: &Announcement) -> Result<(), Failure> {
        let identity = self.identity(peer)?;
        let entities = announcement.entities();
        if !identity.is_registree() || !entities.iter().all(|entity| identity.may_announce(entity))
        {
            return Err(Failure::Forbidden);
        }
        let mut held = entities.clone();
        held.insert(peer.entity.clone());
        let held = self.holders.hold(&peer.entity, &held);
        held.map_err(|_| Failure::Claimed)
    }

    /// Whether this peer may say what it says.
    ///
    /// # Errors
    /// [`Failure::NoAssociation`] when the peer is not admitted or its association is for another reference point,
    /// [`Failure::Impersonation`] when the request is from someone the peer may not speak as, [`Failure::Malformed`] when
    /// `from` is no id.
    pub fn verdict(&self, peer: &Peer, checked: &Checked<'_>) -> Result<(), Failure> {
        let domain = Domain {
            local: &self.local,
            below: &self.holders,
        };
        self.identity(peer)?.verdict(&domain, checked)
    }

    /// A request has arrived over an association with `peer`: what to do with it.
    ///
    /// `now` is monotonic, `utc` the wall clock where there is one.
    pub fn receive(
        &mut self,
        now: Duration,
        utc: Option<UtcTime>,
        peer: &Peer,
        request: &Incoming,
    ) -> Receipt {
        let checked = request.message().checked();
        if let Err(failure) = self.verdict(peer, &checked) {
            return Receipt::Refuse(failure);
        }
        let key = checked.ledger_key(&peer.entity);
        self.ledger
            .receive(now, &key, request.digest(), checked.expires_in(utc))
    }

    /// The request was executed; `answer`, an encoded `ExchangeResponse`, is what repetitions get.
    pub fn settle(&mut self, ticket: Ticket, answer: Bytes) {
        self.ledger.settle(ticket, answer);
    }

    /// The request was not executed, and certainly will not be.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.ledger.abandon(ticket);
    }

    /// Drops what the ledger has kept for long enough.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.ledger.handle_timeout(now);
    }

    /// When [`Layer::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.ledger.next_timeout()
    }

    fn identity(&self, peer: &Peer) -> Result<&Identity, Failure> {
        let identity = self.identities.get(&peer.entity);
        let identity = identity.filter(|identity| identity.point() == peer.point);
        identity.ok_or(Failure::NoAssociation)
    }
}
