use core::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use refpoint_association::{
    Authenticated, Backend, CloseReason, Credential, CredentialId, Credentials, Error, Grants,
    HeldHandle, Local,
};
use refpoint_keys::{EntityId, ReferencePoint};

use tokio::sync::watch;

use crate::Persistence;
use crate::association::{Association, WeakAssociation};
use crate::handles::{Handles, Place};

/// Who this process speaks for and what it knows of its peers, shared by all that makes or takes associations.
///
/// The handles by which streams are resumed are here, too: those that this process has granted as a responder, and
/// those that it holds as an initiator, as far as the credentials' policies want any. So who connects again, through
/// whatever connector and listener of the same two keyrings, resumes.
///
/// It can change while associations live: [`Keyring::update`] closes those whose credential is gone, and leaves the
/// others alone. So a reload is: compare, remove what went or changed, insert what is new.
///
/// ```
/// # use std::sync::Arc;
/// # use refpoint_association::{Credential, Credentials, Local};
/// # use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
/// use refpoint_transport::Keyring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = EntityId::parse("//sp.example.com/id-mn")?;
/// # let core = EntityId::parse("//sp.example.com/id-in")?;
/// # let validity = Validity::until(UtcTime::from_secs(2_000_000_000));
/// # let key = ConnectionKey::from_bytes([7; 32], KeyId::new(b"k1")?, ReferencePoint::Y, &gateway, &core, validity)?;
/// let credential = Credential::new(&gateway, Arc::new(key), &[Profile::Psk])?;
/// let keyring = Keyring::new(Local::new(gateway), Credentials::new());
/// let id = keyring.update(|_, credentials| credentials.insert(credential))?;
///
/// // Later: every association by this credential is closed.
/// keyring.update(|_, credentials| credentials.remove(id));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    backend: Backend,
    table: RwLock<Table>,
    /// Locked after the table, if both are.
    handles: Handles,
    live: Mutex<Live>,
    changes: watch::Sender<()>,
}

struct Table {
    local: Local,
    credentials: Credentials,
}

/// The associations made from this keyring, some of them gone.
#[derive(Default)]
struct Live {
    associations: Vec<WeakAssociation>,
    sweep_at: usize,
}

impl Keyring {
    /// A keyring that uses the default cryptographic backend.
    #[must_use]
    pub fn new(local: Local, credentials: Credentials) -> Self {
        Self::with_backend(local, credentials, Backend::default())
    }

    /// A keyring that uses `backend`.
    #[must_use]
    pub fn with_backend(local: Local, credentials: Credentials, backend: Backend) -> Self {
        Self(Arc::new(Shared {
            backend,
            table: RwLock::new(Table { local, credentials }),
            handles: Handles::default(),
            live: Mutex::default(),
            changes: watch::Sender::new(()),
        }))
    }

    /// With what the streams of an earlier process have left behind for this one, and a place for what these leave.
    ///
    /// Of the keys, those of handles are used. Without any, every peer makes a full handshake over a stream after a
    /// restart of either end.
    #[must_use]
    pub fn with_persistence(self, persistence: Persistence) -> Self {
        let Persistence {
            log,
            keys,
            issued,
            device,
        } = persistence;
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let handles = &self.0.handles;
        if log.is_some() || keys.is_some() {
            handles.restore_issued(&table.credentials, (keys, &issued), log);
        }
        if let Some(device) = device {
            table.local = table.local.clone().with_boot_counter(device.boot());
            handles.restore_held(&table.credentials, device);
        }
        drop(table);
        self
    }

    /// Looks at the present state.
    pub fn read<R>(&self, look: impl FnOnce(&Local, &Credentials) -> R) -> R {
        let table = self.table();
        look(&table.local, &table.credentials)
    }

    /// Changes it, then closes every association whose very credential is not in the table any more. An association
    /// whose credential stays keeps what it was made with until it is refreshed.
    pub fn update<R>(&self, change: impl FnOnce(&mut Local, &mut Credentials) -> R) -> R {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let Table { local, credentials } = &mut *table;
        let before: Vec<_> = credentials.iter().map(|(id, _)| id).collect();
        let result = change(local, credentials);
        let gone = before.into_iter();
        self.0
            .handles
            .forget(gone.filter(|id| credentials.find(*id).is_none()));
        let live = self.live().sweep();
        for association in live {
            let is_held =
                association.is_of_datagrams() || holds(credentials, &association.authenticated());
            if !is_held {
                association.close(CloseReason::Revoked);
            }
        }
        drop(table);
        self.0.changes.send_replace(());
        result
    }

    /// The credential for `peer` at this reference point: the newest, if there are several.
    #[must_use]
    pub fn credential(
        &self,
        point: ReferencePoint,
        peer: &EntityId,
    ) -> Option<(CredentialId, Arc<Credential>)> {
        let table = self.table();
        let fitting = table
            .credentials
            .iter()
            .filter(|(_, credential)| credential.point() == point && credential.peer() == peer);
        fitting
            .max_by_key(|(id, _)| *id)
            .map(|(id, credential)| (id, credential.clone()))
    }

    /// Closes every association, telling the peers the reason.
    pub fn close(&self, reason: CloseReason) {
        let live = self.live().sweep();
        live.iter()
            .for_each(|association| association.close(reason));
    }

    /// How many associations live.
    #[must_use]
    pub fn associations(&self) -> usize {
        self.live().sweep().len()
    }

    /// Looks at, or changes, what streams are granted here as their responder: to restore handles that an earlier
    /// process has issued, to put a table with another limit or key in place of this one (131 072 handles and a key of
    /// this process), or to count.
    pub fn grants<R>(&self, change: impl FnOnce(&mut Grants) -> R) -> R {
        self.0.handles.grants(change)
    }

    pub(crate) fn handles(&self) -> &Handles {
        &self.0.handles
    }

    /// Keeps what a responder has granted, unless its credential is gone meanwhile.
    pub(crate) fn hold(&self, place: Place, held: Option<Box<HeldHandle>>) {
        // The table is locked: a revocation comes before, or finds the handle.
        let table = self.table();
        let held = held.filter(|_| table.credentials.find(place.0).is_some());
        self.0.handles.hold(place, held);
    }

    /// The cryptographic backend.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Takes an association that was just made into care: from now on a revocation finds it.
    pub(crate) fn admit(&self, association: &Association) -> Result<(), Error> {
        // The table is locked until the association is listed: no revocation falls in between.
        let table = self.table();
        if !holds(&table.credentials, &association.authenticated()) {
            return Err(Error::Closed(CloseReason::Revoked));
        }
        self.list(association);
        Ok(())
    }

    /// Another association has succeeded one that was admitted. If its credential is gone meanwhile, it is closed.
    pub(crate) fn succeed(&self, association: &Association, peer: Authenticated) {
        // As in `admit`: a revocation comes before, and is seen here, or after, and finds the new credential.
        let table = self.table();
        let is_held = holds(&table.credentials, &peer);
        association.succeed(peer);
        drop(table);
        if !is_held {
            association.close(CloseReason::Revoked);
        }
    }

    /// Lists an association for [`Keyring::close`]; a revocation is its carrier's to notice.
    pub(crate) fn list(&self, association: &Association) {
        let mut live = self.live();
        if live.associations.len() >= live.sweep_at {
            let held = live.sweep().len();
            live.sweep_at = 2 * held + 64;
        }
        live.associations.push(association.downgrade());
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Forgets those that are gone; returns the others.
    fn sweep(&mut self) -> Vec<Association> {
        let mut held = Vec::new();
        self.associations.retain(|association| {
            let association = association.upgrade().filter(|held| !held.is_closed());
            let is_held = association.is_some();
            held.extend(association);
            is_held
        });
        held
    }
}

fn holds(credentials: &Credentials, authenticated: &Authenticated) -> bool {
    credentials
        .find(authenticated.credential_id())
        .is_some_and(|credential| Arc::ptr_eq(credential, authenticated.credential()))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|local, credentials| {
            f.debug_struct("Keyring")
                .field("local", local.entity())
                .field("credentials", &credentials.iter().count())
                .finish()
        })
    }
}
