//! As whom a peer on Y may speak.

use alloc::collections::BTreeSet;

use refpoint_keys::{EntityId, EntityKind, ReferencePoint};
use refpoint_primitive::{Checked, Failure, Holders, Originator};

use crate::Error;

/// As whom an authenticated peer may speak.
///
/// | peer | point | `from` may be |
/// |---|---|---|
/// | a registree, below this end | Y | itself, the AEs named at it, and what of its allowed entities it has announced |
/// | the registrar, above this end | Y | anyone but this end, its AEs, its registrees and those behind them |
/// | a core of another provider | Y′ | anyone of that provider's domain, by absolute id |
///
/// A service node passes on what others ask, so that `from` is rarely the peer itself: comparing the two, as
/// some implementations do, would refuse every honest transit. An allowed service node brings the AEs named at it along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    peer: EntityId,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Registree { allowed: BTreeSet<EntityId> },
    Registrar,
    Foreign,
}

/// Who is below this end, as far as it matters to a verdict.
pub(crate) struct Domain<'a> {
    pub(crate) local: &'a EntityId,
    /// Every registree holds itself and what it has announced.
    pub(crate) below: &'a Holders,
}

impl Domain<'_> {
    fn is_own(&self, entity: &EntityId) -> bool {
        entity == self.local || entity.is_at(self.local)
    }
}

impl Identity {
    /// The peer is registered at this end: a gateway, seen from the core.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is no CSE.
    pub fn registree(cse: EntityId) -> Result<Self, Error> {
        let allowed = BTreeSet::new();
        Self::new(cse, Place::Registree { allowed })
    }

    /// The peer is where this end is registered: the core, seen from a gateway.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is no CSE.
    pub fn registrar(cse: EntityId) -> Result<Self, Error> {
        Self::new(cse, Place::Registrar)
    }

    /// The peer is the core of another service provider (Mcc′).
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is no CSE.
    pub fn foreign(cse: EntityId) -> Result<Self, Error> {
        Self::new(cse, Place::Foreign)
    }

    /// What a registree may announce to speak for, besides itself and its own AEs: service nodes behind it, and AEs whose
    /// stem begins with `S`. Announcing activates it; until then it counts for nothing. Other peers announce nothing.
    #[must_use]
    pub fn with_allowed(mut self, entities: impl IntoIterator<Item = EntityId>) -> Self {
        if let Place::Registree { allowed } = &mut self.place {
            allowed.extend(entities);
        }
        self
    }

    /// The authenticated entity.
    #[must_use]
    pub const fn peer(&self) -> &EntityId {
        &self.peer
    }

    /// The reference point at which the peer is met.
    #[must_use]
    pub const fn point(&self) -> ReferencePoint {
        match self.place {
            Place::Registree { .. } | Place::Registrar => ReferencePoint::Y,
            Place::Foreign => ReferencePoint::YPrime,
        }
    }

    /// Whether the peer is where this end is registered.
    #[must_use]
    pub const fn is_registrar(&self) -> bool {
        matches!(self.place, Place::Registrar)
    }

    pub(crate) const fn is_registree(&self) -> bool {
        matches!(self.place, Place::Registree { .. })
    }

    /// Whether the peer may announce `entity`.
    pub(crate) fn may_announce(&self, entity: &EntityId) -> bool {
        match &self.place {
            Place::Registree { allowed } => allowed.contains(entity),
            Place::Registrar | Place::Foreign => false,
        }
    }

    pub(crate) fn verdict(
        &self,
        domain: &Domain<'_>,
        checked: &Checked<'_>,
    ) -> Result<(), Failure> {
        let Originator::Entity(from) = Originator::read(checked, domain.local)? else {
            // An AE registers at its own CSE, never through another one.
            return Err(Failure::Impersonation);
        };
        let is_honest = match &self.place {
            Place::Registree { .. } => {
                !domain.is_own(&from) && domain.below.holder(&from) == Some(&self.peer)
            }
            Place::Registrar => !domain.is_own(&from) && domain.below.holder(&from).is_none(),
            Place::Foreign => from.service_provider() == self.peer.service_provider(),
        };
        if is_honest {
            Ok(())
        } else {
            Err(Failure::Impersonation)
        }
    }

    /// Whether the peer, and what it may announce, can be met at `local`.
    pub(crate) fn check(&self, local: &EntityId) -> Result<(), Error> {
        if self.peer == *local {
            return Err(Error::WrongKind(self.peer.clone()));
        }
        let is_ours = self.peer.service_provider() == local.service_provider();
        if is_ours == matches!(self.place, Place::Foreign) {
            return Err(Error::WrongProvider(self.peer.clone()));
        }
        let Place::Registree { allowed } = &self.place else {
            return Ok(());
        };
        let is_own = |entity: &&EntityId| *entity == local || entity.is_at(local);
        if let Some(own) = allowed.iter().find(is_own) {
            return Err(Error::Own(own.clone()));
        }
        let is_elsewhere =
            |entity: &&EntityId| entity.service_provider() != local.service_provider();
        match allowed.iter().find(is_elsewhere) {
            Some(elsewhere) => Err(Error::WrongProvider(elsewhere.clone())),
            None => Ok(()),
        }
    }

    fn new(peer: EntityId, place: Place) -> Result<Self, Error> {
        if peer.kind() != EntityKind::Cse {
            return Err(Error::WrongKind(peer));
        }
        Ok(Self { peer, place })
    }
}
