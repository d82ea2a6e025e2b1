use std::collections::HashMap;

use refpoint_keys::UtcTime;

use crate::{
    Change, Claim, Committed, Entry, Error, HandleId, Owner, Replayed, StandingKeys, Store,
};

/// A store that ends with the process: for tests, and for who has no disk.
///
/// After a restart every entity makes a full handshake.
#[derive(Debug)]
pub struct Memory {
    keys: StandingKeys,
    owners: HashMap<Owner, HashMap<HandleId, Entry>>,
}

impl Memory {
    /// An empty store with new standing keys.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            keys: StandingKeys::generate()?,
            owners: HashMap::new(),
        })
    }

    fn remove(&mut self, owner: &Owner, id: HandleId) -> Option<Entry> {
        let handles = self.owners.get_mut(owner)?;
        let entry = handles.remove(&id);
        if handles.is_empty() {
            self.owners.remove(owner);
        }
        entry
    }
}

impl Store for Memory {
    fn standing_keys(&self) -> &StandingKeys {
        &self.keys
    }

    fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error> {
        for change in changes {
            match change {
                Change::Issued { owner, id, entry } => {
                    let handles = self.owners.entry(owner.clone()).or_default();
                    handles.insert(*id, entry.duplicate());
                }
                Change::Claimed { owner, id } => {
                    self.remove(owner, *id);
                }
                Change::Revoked { owner } => {
                    self.owners.remove(owner);
                }
            }
        }
        Ok(Committed::default())
    }

    fn claim(&mut self, owner: &Owner, id: HandleId) -> Result<Claim, Error> {
        Ok(match self.remove(owner, id) {
            Some(_) => Claim::Won,
            None => Claim::Lost,
        })
    }

    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(Owner, HandleId, Entry),
    ) -> Result<Replayed, Error> {
        let mut replayed = Replayed::default();
        for (owner, handles) in &self.owners {
            for (id, entry) in handles {
                if entry.expiry() > now {
                    replayed.entries += 1;
                    each(owner.clone(), *id, entry.duplicate());
                } else {
                    replayed.expired += 1;
                }
            }
        }
        Ok(replayed)
    }

    fn expire(&mut self, now: UtcTime) -> Result<(), Error> {
        self.owners.retain(|_, handles| {
            handles.retain(|_, entry| entry.expiry() > now);
            !handles.is_empty()
        });
        Ok(())
    }
}
