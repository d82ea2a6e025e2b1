use std::collections::HashMap;

use refpoint_keys::UtcTime;

use crate::{Change, Claim, Committed, Entry, Error, HandleId, Replayed, StandingKeys, Store};

/// A store that ends with the process: for tests, and for who has no disk.
///
/// After a restart every entity makes a full handshake.
#[derive(Debug)]
pub struct Memory {
    keys: StandingKeys,
    entries: HashMap<HandleId, Entry>,
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
            entries: HashMap::new(),
        })
    }
}

impl Store for Memory {
    fn standing_keys(&self) -> &StandingKeys {
        &self.keys
    }

    fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error> {
        for change in changes {
            match change {
                Change::Issued { id, entry } => self.entries.insert(*id, entry.duplicate()),
                Change::Gone(id) => self.entries.remove(id),
            };
        }
        Ok(Committed::default())
    }

    fn claim(&mut self, id: HandleId) -> Result<Claim, Error> {
        Ok(match self.entries.remove(&id) {
            Some(_) => Claim::Won,
            None => Claim::Lost,
        })
    }

    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(HandleId, Entry),
    ) -> Result<Replayed, Error> {
        let mut replayed = Replayed::default();
        for (id, entry) in &self.entries {
            if entry.expiry() > now {
                replayed.entries += 1;
                each(*id, entry.duplicate());
            } else {
                replayed.expired += 1;
            }
        }
        Ok(replayed)
    }

    fn expire(&mut self, now: UtcTime) -> Result<(), Error> {
        self.entries.retain(|_, entry| entry.expiry() > now);
        Ok(())
    }
}
