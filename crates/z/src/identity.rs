//! As whom a peer on Z may speak.

use refpoint_keys::{EntityId, EntityKind};
use refpoint_primitive::{Failure, Originator};

use crate::request::Asker;
use crate::{Ask, Error};

/// As whom an authenticated peer may speak, and what it may ask.
///
/// | peer | may ask | `from` of its primitives |
/// |---|---|---|
/// | an NSE | reports and notices about what this end has from it | the NSE itself |
/// | a CSE | triggers, locations, transfers, keys | the CSE itself, or an AE named at it |
///
/// Only primitives name an originator; everything else is the authenticated peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    peer: EntityId,
    side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Network,
    Node,
}

impl Identity {
    /// The peer is a network service entity.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is none.
    pub fn network(nse: EntityId) -> Result<Self, Error> {
        Self::new(nse, EntityKind::Nse, Side::Network)
    }

    /// The peer is a service node, seen from the network.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is no CSE.
    pub fn node(cse: EntityId) -> Result<Self, Error> {
        Self::new(cse, EntityKind::Cse, Side::Node)
    }

    /// The authenticated entity.
    #[must_use]
    pub const fn peer(&self) -> &EntityId {
        &self.peer
    }

    /// Whether the peer may ask this, as whom it says it does.
    ///
    /// # Errors
    /// [`Failure::Forbidden`] when that is for the other end to ask, [`Failure::Impersonation`] when a primitive is from
    /// someone the peer may not speak as, [`Failure::Malformed`] when its `from` is no id.
    pub fn verdict(&self, ask: &Ask) -> Result<(), Failure> {
        match (ask.asker(), self.side) {
            (Asker::Either, _) | (Asker::Node, Side::Node) | (Asker::Network, Side::Network) => {}
            (Asker::Node, Side::Network) | (Asker::Network, Side::Node) => {
                return Err(Failure::Forbidden);
            }
        }
        let Ask::Primitive(message) = ask else {
            return Ok(());
        };
        // A network's own provider is not ours: relative forms would be read in our domain, so they are read in its.
        let is_honest = match Originator::read(&message.checked(), &self.peer)? {
            Originator::Newcomer => false,
            Originator::Entity(from) => {
                from == self.peer || (self.side == Side::Node && from.is_at(&self.peer))
            }
        };
        if is_honest {
            Ok(())
        } else {
            Err(Failure::Impersonation)
        }
    }

    /// Whether the peer can be met at `local`.
    pub(crate) fn check(&self, local: &EntityId) -> Result<(), Error> {
        let expected = match self.side {
            Side::Network => EntityKind::Cse,
            Side::Node => EntityKind::Nse,
        };
        if local.kind() == expected {
            Ok(())
        } else {
            Err(Error::WrongKind(self.peer.clone()))
        }
    }

    fn new(peer: EntityId, kind: EntityKind, side: Side) -> Result<Self, Error> {
        if peer.kind() != kind {
            return Err(Error::WrongKind(peer));
        }
        Ok(Self { peer, side })
    }
}
