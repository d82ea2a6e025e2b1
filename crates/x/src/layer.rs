//! The layer: who is admitted, and what becomes of their requests.

use alloc::collections::BTreeMap;
use core::time::Duration;

use refpoint_keys::{EntityId, ReferencePoint, UtcTime};
use refpoint_primitive::{
    Bytes, Checked, Failure, Holders, Incoming, Ledger, LedgerLimits, Peer, Receipt, Ticket,
};

use crate::{Error, Identity};

/// The security layer of one end of X.
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
    /// The layer of `local`: the CSE to which AEs speak, or the AE that speaks to its registrar. Nobody is admitted yet.
    #[must_use]
    pub fn new(local: EntityId, limits: LedgerLimits) -> Self {
        Self {
            local,
            identities: BTreeMap::new(),
            holders: Holders::new(),
            ledger: Ledger::new(limits),
        }
    }

    /// Admits a peer, or replaces as whom it may speak.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is not the kind of peer that this end has, [`Error::Elsewhere`] when it lists an AE of
    /// another CSE, [`Error::Held`] when another peer lists the same AE. Then nothing has changed.
    pub fn admit(&mut self, identity: Identity) -> Result<(), Error> {
        let peer = identity.peer().clone();
        self.holders.hold(&peer, &identity.held(&self.local)?)?;
        self.identities.insert(peer, identity);
        Ok(())
    }

    /// The peer may say nothing any more. What it asked before stays in the ledger.
    pub fn dismiss(&mut self, peer: &EntityId) {
        self.identities.remove(peer);
        self.holders.release(peer);
    }

    /// Whether this peer may say what it says.
    ///
    /// # Errors
    /// [`Failure::NoAssociation`] when the peer is not admitted or its association is not for X; otherwise as
    /// [`Identity::verdict`].
    pub fn verdict(&self, peer: &Peer, checked: &Checked<'_>) -> Result<(), Failure> {
        let identity = self
            .identities
            .get(&peer.entity)
            .filter(|_| peer.point == ReferencePoint::X)
            .ok_or(Failure::NoAssociation)?;
        identity.verdict(&self.local, checked)
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
}
