use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use refpoint_association::{
    CredentialId, Error, Grants, HeldHandle, IssuedHandles, Now, SessionLabel, StreamSession,
    StreamUnconfirmed,
};

use crate::entropy;

/// How many handles may be issued and not yet redeemed, unless the user says otherwise.
const MOST_ISSUED: usize = 1 << 17;

/// Which held handle takes the place of which.
pub(crate) type Place = (CredentialId, SessionLabel);

/// By what streams are resumed: what this process grants as their responder, and what it holds as their initiator. The
/// two share nothing (rule S3).
pub(crate) struct Handles {
    grants: Mutex<Grants>,
    held: Mutex<BTreeMap<Place, Box<HeldHandle>>>,
}

impl Default for Handles {
    fn default() -> Self {
        let issued = IssuedHandles::new(MOST_ISSUED, &mut entropy::system());
        Self {
            grants: Mutex::new(Grants::new(issued)),
            held: Mutex::default(),
        }
    }
}

impl Handles {
    pub(crate) fn grants<R>(&self, change: impl FnOnce(&mut Grants) -> R) -> R {
        change(&mut self.grants.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Confirms a responder's answer: if a handle is redeemed by it, that happens here, for one stream only (rule S2).
    pub(crate) fn confirm(
        &self,
        now: Now,
        answered: StreamUnconfirmed,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        self.grants(|grants| answered.confirm(now, grants, frame, &mut |_| {}, out))
    }

    /// Grants the next handle, as the responder of a refreshed association.
    pub(crate) fn grant(
        &self,
        now: Now,
        session: &mut StreamSession,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.grants(|grants| session.grant(now, grants, &mut |_| {}, out))
    }

    /// Takes a handle out, so that no two streams redeem it.
    pub(crate) fn take(&self, place: Place) -> Option<Box<HeldHandle>> {
        self.held().remove(&place)
    }

    /// Puts a handle back that has come to nothing, unless there is a newer one.
    pub(crate) fn put_back(&self, place: Place, handle: Box<HeldHandle>) {
        self.held().entry(place).or_insert(handle);
    }

    /// Keeps a handle in place of the one before, or none.
    pub(crate) fn hold(&self, place: Place, handle: Option<Box<HeldHandle>>) {
        let mut held = self.held();
        match handle {
            Some(handle) => drop(held.insert(place, handle)),
            None => drop(held.remove(&place)),
        }
    }

    /// Wipes the handles of credentials that are gone.
    pub(crate) fn forget(&self, gone: impl Iterator<Item = CredentialId>) {
        for id in gone {
            self.held().retain(|place, _| place.0 != id);
            self.grants(|grants| grants.issued_mut().revoke(id, &mut |_| {}));
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Place, Box<HeldHandle>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("issued", &self.grants(|grants| grants.issued().len()))
            .field("held", &self.held().len())
            .finish()
    }
}
