//! As whom a peer on X may speak.

use alloc::collections::BTreeSet;

use refpoint_keys::{EntityId, EntityKind};
use refpoint_primitive::{Checked, Failure, Originator};

use crate::Error;

/// As whom an authenticated peer may speak.
///
/// | peer | `from` may be |
/// |---|---|
/// | an AE | the AE itself, or an AE that its credential lists; absent, `C` or `S` when it creates an AE (TS-0001, 10.2.2.2) |
/// | the CSE at which this end is registered | anyone but this end's own AEs: it passes on what others ask |
///
/// An AE may write itself in any form: `CSensor1`, `/id-mn/CSensor1`, `//sp.example.com/id-mn/CSensor1`. An AE-ID whose
/// stem begins with `S` tells of no CSE, so it is listed like every other, and has one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    peer: EntityId,
    aes: BTreeSet<EntityId>,
    side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The peer is an AE; `aes` is who it may speak as.
    Application,
    /// The peer is the registrar; `aes` is who is at this end.
    Registrar,
}

impl Identity {
    /// The peer is an AE, and speaks as itself.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is none.
    pub fn application(ae: EntityId) -> Result<Self, Error> {
        Self::new(ae.clone(), EntityKind::Ae, [ae].into(), Side::Application)
    }

    /// The peer is the CSE at which this end's AEs are registered.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is none.
    pub fn registrar(cse: EntityId) -> Result<Self, Error> {
        Self::new(cse, EntityKind::Cse, BTreeSet::new(), Side::Registrar)
    }

    /// Several AEs share one end: an application peer may speak as each of them, a registrar as none.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when one is no AE.
    pub fn with_aes(mut self, aes: impl IntoIterator<Item = EntityId>) -> Result<Self, Error> {
        for ae in aes {
            if ae.kind() != EntityKind::Ae {
                return Err(Error::WrongKind(ae));
            }
            self.aes.insert(ae);
        }
        Ok(self)
    }

    /// The authenticated entity.
    #[must_use]
    pub const fn peer(&self) -> &EntityId {
        &self.peer
    }

    /// Whether a request of this peer to `local` may say what it says.
    ///
    /// # Errors
    /// [`Failure::Impersonation`] when it is from someone the peer may not speak as, [`Failure::Malformed`] when `from`
    /// is no id.
    pub fn verdict(&self, local: &EntityId, checked: &Checked<'_>) -> Result<(), Failure> {
        let cse = match self.side {
            Side::Application => local,
            Side::Registrar => &self.peer,
        };
        let is_honest = match (self.side, Originator::read(checked, cse)?) {
            (Side::Application, Originator::Newcomer) => true,
            (Side::Application, Originator::Entity(from)) => self.aes.contains(&from),
            (Side::Registrar, Originator::Newcomer) => false,
            (Side::Registrar, Originator::Entity(from)) => {
                from != *local && !self.aes.contains(&from)
            }
        };
        if is_honest {
            Ok(())
        } else {
            Err(Failure::Impersonation)
        }
    }

    /// What the peer holds at `local`, so that nobody else may.
    pub(crate) fn held(&self, local: &EntityId) -> Result<BTreeSet<EntityId>, Error> {
        let is_here = |ae: &EntityId| ae.is_at(local) || ae.cse().is_none();
        match (self.side, local.kind()) {
            (Side::Application, EntityKind::Cse) => match self.aes.iter().find(|ae| !is_here(ae)) {
                Some(ae) => Err(Error::Elsewhere(ae.clone())),
                None => Ok(self.aes.clone()),
            },
            (Side::Registrar, EntityKind::Ae) => Ok(BTreeSet::new()),
            _ => Err(Error::WrongKind(self.peer.clone())),
        }
    }

    fn new(
        peer: EntityId,
        kind: EntityKind,
        aes: BTreeSet<EntityId>,
        side: Side,
    ) -> Result<Self, Error> {
        if peer.kind() != kind {
            return Err(Error::WrongKind(peer));
        }
        Ok(Self { peer, aes, side })
    }
}
