//! The network keys that this end has: import, renewal, expiry, withdrawal.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use core::time::Duration;

use refpoint_keys::{
    EntityId, KeyId, NetworkKey, NetworkKeyRecord, NetworkKeySource, UtcTime, Validity,
};

use crate::{DeliveredKey, Error, KeyEvent, KeyNotice, KeyRequest, NetworkKeyName};

/// Which keys came from which network, for whom and until when. It holds no key, only what is said of them.
///
/// ```text
///  import ───────────────► renewal due ───────────────► expiry
///    │    3/4 of its life       │   repeated at half of      │
///    │                          │   what is left             │
///    └── validity is clamped    └── import with `replaces`   └── every association made with it
///        to the ring's longest      retires the old key          ends (K3)
/// ```
#[derive(Debug)]
pub struct KeyRing {
    longest: Duration,
    keys: BTreeMap<(EntityId, NetworkKeyName), Entry>,
}

#[derive(Debug)]
struct Entry {
    source: NetworkKeySource,
    id: KeyId,
    entity: EntityId,
    not_after: UtcTime,
    renew_at: UtcTime,
}

/// A key that was imported.
#[derive(Debug)]
pub struct Import {
    /// The key, its validity clamped.
    pub key: NetworkKey,
    /// The key that it replaces, and until when that may still be used.
    pub retired: Option<(KeyId, UtcTime)>,
}

/// What has to be done about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTask {
    /// Ask its network for a newer one; the device may have to authenticate with the network first.
    Renew {
        /// The network that delivered it.
        network: EntityId,
        /// The network's name of it, for [`KeyRequest::with_replaced`].
        name: NetworkKeyName,
        /// Whose it is.
        entity: EntityId,
    },
    /// End every association made with it: it has expired, or was withdrawn.
    Drop {
        /// Its name on our wire.
        id: KeyId,
        /// Whose it was.
        entity: EntityId,
    },
}

/// How long a key that was replaced may still be used: handshakes under way shall not fail.
const OVERLAP: Duration = Duration::from_secs(60);

impl KeyRing {
    /// An empty ring, in which no key lives longer than `longest`.
    #[must_use]
    pub const fn new(longest: Duration) -> Self {
        Self {
            longest,
            keys: BTreeMap::new(),
        }
    }

    /// Takes over the key by which `network` answered `request`, for `entity`: whom this end's own configuration takes
    /// the subscriber for.
    ///
    /// # Errors
    /// Then nothing has changed: [`Error::OtherKey`] and [`Error::OtherEntity`] when the network speaks of another,
    /// [`Error::UnknownPredecessor`] when the key to replace is not `entity`'s from this network and source,
    /// [`Error::Key`] when it has expired.
    pub fn import(
        &mut self,
        utc: UtcTime,
        network: &EntityId,
        request: &KeyRequest,
        delivered: &DeliveredKey,
        entity: &EntityId,
    ) -> Result<Import, Error> {
        if delivered.name() != request.name() {
            return Err(Error::OtherKey);
        }
        if delivered.entity().is_some_and(|named| named != entity) {
            return Err(Error::OtherEntity);
        }
        let predecessor = request
            .replaces()
            .map(|name| (network.clone(), name.clone()));
        if let Some(key) = &predecessor {
            let own = |held: &&Entry| held.entity == *entity && held.source == request.source();
            self.keys
                .get(key)
                .filter(own)
                .ok_or(Error::UnknownPredecessor)?;
        }
        let not_after = delivered
            .validity()
            .not_after()
            .min(utc.saturating_add(self.longest));
        if not_after <= utc {
            return Err(Error::Key(refpoint_keys::Error::Expired));
        }
        let record = NetworkKeyRecord {
            source: request.source(),
            key_id: request.name().as_str().to_string(),
            application: request.application().to_vec(),
            subscriber: delivered.subscriber().map(ToString::to_string),
            bound_entity: entity.clone(),
            validity: Validity::new(delivered.validity().not_before(), not_after)?,
        };
        let key = NetworkKey::new(record, *delivered.expose_bytes())?;
        let retired = predecessor
            .filter(|old| old.1 != *request.name())
            .and_then(|old| self.keys.get_mut(&old))
            .map(|old| {
                old.not_after = old.not_after.min(utc.saturating_add(OVERLAP));
                old.renew_at = old.not_after;
                (old.id, old.not_after)
            });
        let life = not_after.saturating_since(utc);
        let entry = Entry {
            source: request.source(),
            id: key.id(),
            entity: entity.clone(),
            not_after,
            renew_at: utc.saturating_add(life / 4 * 3),
        };
        self.keys
            .insert((network.clone(), request.name().clone()), entry);
        Ok(Import { key, retired })
    }

    /// Whether `network` has delivered the key that it gives notice of.
    #[must_use]
    pub fn knows(&self, network: &EntityId, notice: &KeyNotice) -> bool {
        let key = self.keys.get(&(network.clone(), notice.name.clone()));
        key.is_some_and(|key| key.source == notice.source)
    }

    /// Follows a notice of `network`; none when it did not deliver that key.
    pub fn notice(&mut self, network: &EntityId, notice: &KeyNotice) -> Option<KeyTask> {
        if !self.knows(network, notice) {
            return None;
        }
        let key = (network.clone(), notice.name.clone());
        match notice.event {
            KeyEvent::Revoked => {
                let entry = self.keys.remove(&key)?;
                Some(KeyTask::Drop {
                    id: entry.id,
                    entity: entry.entity,
                })
            }
            KeyEvent::Renew => {
                let entity = self.keys.get(&key)?.entity.clone();
                let (network, name) = key;
                Some(KeyTask::Renew {
                    network,
                    name,
                    entity,
                })
            }
        }
    }

    /// Gives out what is due: keys to renew, and keys whose time is over. Moves [`KeyRing::next_timeout`] beyond `utc`.
    pub fn handle_timeout(&mut self, utc: UtcTime, out: &mut dyn FnMut(KeyTask)) {
        self.keys.retain(|(network, name), entry| {
            if entry.not_after <= utc {
                out(KeyTask::Drop {
                    id: entry.id,
                    entity: entry.entity.clone(),
                });
                return false;
            }
            if entry.renew_at <= utc {
                out(KeyTask::Renew {
                    network: network.clone(),
                    name: name.clone(),
                    entity: entry.entity.clone(),
                });
                let left = entry.not_after.saturating_since(utc) / 2;
                entry.renew_at = utc.saturating_add(left.max(Duration::from_secs(1)));
            }
            true
        });
    }

    /// When to call [`KeyRing::handle_timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<UtcTime> {
        let due = self
            .keys
            .values()
            .map(|entry| entry.renew_at.min(entry.not_after));
        due.min()
    }
}
