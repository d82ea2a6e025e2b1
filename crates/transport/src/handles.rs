use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use refpoint_association::{
    CredentialId, Credentials, Error, Grants, HandleChange, HeldHandle, IssuedHandles, Now,
    ResponderKeys, SessionLabel, StoredHandle, StreamSession, StreamUnconfirmed,
};

use crate::{DeviceStorage, HandleLog, clock, entropy};

/// How many handles may be issued and not yet redeemed, unless the user says otherwise.
const MOST_ISSUED: usize = 1 << 17;

/// Which held handle takes the place of which.
pub(crate) type Place = (CredentialId, SessionLabel);

/// By what streams are resumed: what this process grants as their responder, and what it holds as their initiator. The
/// two share nothing (rule S3).
pub(crate) struct Handles {
    granting: Mutex<Granting>,
    holding: Mutex<Holding>,
}

struct Granting {
    grants: Grants,
    log: Option<Box<dyn HandleLog>>,
}

#[derive(Default)]
struct Holding {
    held: BTreeMap<Place, Box<HeldHandle>>,
    device: Option<Box<dyn DeviceStorage>>,
}

impl Default for Handles {
    fn default() -> Self {
        let issued = IssuedHandles::new(MOST_ISSUED, &mut entropy::system());
        Self {
            granting: Mutex::new(Granting {
                grants: Grants::new(issued),
                log: None,
            }),
            holding: Mutex::default(),
        }
    }
}

impl Handles {
    pub(crate) fn grants<R>(&self, change: impl FnOnce(&mut Grants) -> R) -> R {
        self.logging(|grants, _| change(grants))
    }

    /// Looks at the grants, and tells the log of what changes.
    fn logging<R>(&self, change: impl FnOnce(&mut Grants, &mut dyn FnMut(HandleChange)) -> R) -> R {
        let mut granting = lock(&self.granting);
        let Granting { grants, log } = &mut *granting;
        change(grants, &mut |changed| {
            if let Some(log) = log {
                log.write(changed);
            }
        })
    }

    /// Takes in what an earlier process has issued, with the key of its tags, and logs what changes from now on.
    pub(crate) fn restore_issued(
        &self,
        credentials: &Credentials,
        (keys, issued): (Option<ResponderKeys>, &[StoredHandle]),
        log: Option<Box<dyn HandleLog>>,
    ) {
        let mut table = IssuedHandles::new(MOST_ISSUED, &mut entropy::system());
        if let Some(keys) = keys {
            table = table.with_key(keys.handles);
        }
        for stored in issued {
            if let Err(error) = table.restore(clock::now(), credentials, stored) {
                tracing::debug!(%error, "a stored handle is of no use any more");
            }
        }
        let grants = Grants::new(table);
        *lock(&self.granting) = Granting { grants, log };
    }

    /// Takes in what an earlier process held, and keeps what comes from now on.
    pub(crate) fn restore_held(&self, credentials: &Credentials, device: Box<dyn DeviceStorage>) {
        let mut holding = lock(&self.holding);
        for bytes in device.held() {
            let Ok(held) = HeldHandle::from_bytes(clock::now(), &bytes) else {
                continue;
            };
            if let Some((id, _)) = credentials.by_key(held.point(), held.key_id()) {
                holding.held.insert((id, held.session()), Box::new(held));
            }
        }
        holding.device = Some(device);
    }

    /// Confirms a responder's answer: if a handle is redeemed by it, that happens here, for one stream only (rule S2).
    pub(crate) fn confirm(
        &self,
        now: Now,
        answered: StreamUnconfirmed,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        if let (Some(log), Some(utc)) = (&mut lock(&self.granting).log, now.utc) {
            log.tell(utc);
        }
        self.logging(|grants, changes| answered.confirm(now, grants, frame, changes, out))
    }

    /// Grants the next handle, as the responder of a refreshed association.
    pub(crate) fn grant(
        &self,
        now: Now,
        session: &mut StreamSession,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.logging(|grants, changes| session.grant(now, grants, changes, out))
    }

    /// Takes a handle out, so that no two streams redeem it.
    pub(crate) fn take(&self, place: Place) -> Option<Box<HeldHandle>> {
        lock(&self.holding).held.remove(&place)
    }

    /// Puts a handle back that has come to nothing, unless there is a newer one.
    pub(crate) fn put_back(&self, place: Place, handle: Box<HeldHandle>) {
        lock(&self.holding).held.entry(place).or_insert(handle);
    }

    /// Keeps a handle in place of the one before, or none.
    pub(crate) fn hold(&self, place: Place, handle: Option<Box<HeldHandle>>) {
        let mut holding = lock(&self.holding);
        let Holding { held, device } = &mut *holding;
        let Some(handle) = handle else {
            held.remove(&place);
            return;
        };
        if let Some(Err(error)) = device.as_mut().map(|device| device.save(&handle)) {
            tracing::warn!(%error, "a handle was not kept: after the next start a full handshake follows");
        }
        held.insert(place, handle);
    }

    /// Wipes the handles of credentials that are gone.
    pub(crate) fn forget(&self, gone: impl Iterator<Item = CredentialId>) {
        for id in gone {
            lock(&self.holding).held.retain(|place, _| place.0 != id);
            self.logging(|grants, changes| grants.issued_mut().revoke(id, changes));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("issued", &self.grants(|grants| grants.issued().len()))
            .field("held", &lock(&self.holding).held.len())
            .finish()
    }
}
