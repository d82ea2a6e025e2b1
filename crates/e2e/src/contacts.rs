use alloc::{collections::BTreeMap, sync::Arc};

use refpoint_association::PublicKey;
use refpoint_keys::{ApplicationKey, EntityId, KeyId, UtcTime};

use crate::{EntityRecord, Error};

/// Who may seal for an entity, and by what it is known.
///
/// A sender entered with an application key opens as `Kpsk0` only, one entered with a record as
/// `X` only; who is to be allowed both is entered twice. So nobody can choose the weaker form for
/// somebody else.
#[derive(Debug, Default)]
pub struct Contacts {
    by_key: BTreeMap<KeyId, (Arc<ApplicationKey>, EntityRecord)>,
    by_sealing_key: BTreeMap<PublicKey, EntityRecord>,
}

impl Contacts {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A sender that shares `key` and whose static key is that of `sender`.
    ///
    /// # Errors
    /// [`Error::Config`] when the key is not one with this sender, or its id is taken.
    pub fn insert_key(
        &mut self,
        key: Arc<ApplicationKey>,
        sender: EntityRecord,
    ) -> Result<(), Error> {
        if key.peer_of(sender.id()).is_none() {
            return Err(Error::Config("application key: it serves others, and so"));
        }
        if self.by_key.contains_key(&key.id()) {
            return Err(Error::Config("key id: it is taken, and so"));
        }
        self.by_key.insert(key.id(), (key, sender));
        Ok(())
    }

    /// A sender that its record alone identifies.
    ///
    /// # Errors
    /// [`Error::Config`] when the record's static key is another entity's.
    pub fn insert_record(&mut self, sender: EntityRecord) -> Result<(), Error> {
        let owner = self.by_sealing_key.get(&sender.sealing_key());
        if owner.is_some_and(|owner| owner.id() != sender.id()) {
            return Err(Error::Config("sealing key: it is another entity's, and so"));
        }
        self.by_sealing_key.insert(sender.sealing_key(), sender);
        Ok(())
    }

    /// Removes every key and record of `sender`: what it seals opens no more.
    pub fn remove(&mut self, sender: &EntityId) {
        self.by_key.retain(|_, (_, record)| record.id() != sender);
        self.by_sealing_key
            .retain(|_, record| record.id() != sender);
    }

    pub(crate) fn by_key(
        &self,
        id: KeyId,
        now: Option<UtcTime>,
    ) -> Result<(&ApplicationKey, &EntityRecord), Error> {
        let (key, record) = self.by_key.get(&id).ok_or(Error::UnknownSender)?;
        let holds = |now| key.validity().contains(now) && record.holds(now).is_ok();
        if now.is_none_or(holds) {
            Ok((key, record))
        } else {
            Err(Error::UnknownSender)
        }
    }

    pub(crate) fn by_sealing_key(
        &self,
        key: PublicKey,
        now: Option<UtcTime>,
    ) -> Result<&EntityRecord, Error> {
        let record = self.by_sealing_key.get(&key).ok_or(Error::UnknownSender)?;
        if now.is_none_or(|now| record.holds(now).is_ok()) {
            Ok(record)
        } else {
            Err(Error::UnknownSender)
        }
    }
}
