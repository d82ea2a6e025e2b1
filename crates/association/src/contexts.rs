use alloc::vec::Vec;

use crate::{Error, epoch::EpochKey};

/// Whose expanded key it is: the association's serial, and which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) serial: u64,
    pub(crate) sends: bool,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    epoch: u64,
    key: EpochKey,
    used: bool,
}

/// The bounded cache of expanded keys (design 4.3): associations in motion have theirs here, idle
/// ones only their secrets. An owner remembers where it was put; the clock algorithm evicts.
#[derive(Debug)]
pub(crate) struct Contexts {
    entries: Vec<Entry>,
    limit: usize,
    hand: usize,
}

impl Contexts {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            limit,
            hand: 0,
        }
    }

    /// The key of `owner` in `epoch`, made if it is not there; `at` is where the owner saw it last.
    #[inline]
    pub(crate) fn key(
        &mut self,
        owner: Owner,
        epoch: u64,
        at: &mut u32,
        make: impl FnOnce() -> EpochKey,
    ) -> Result<&EpochKey, Error> {
        let place = *at as usize;
        let held = self
            .entries
            .get(place)
            .is_some_and(|entry| entry.owner == owner);
        if held && self.entries[place].epoch == epoch {
            let entry = &mut self.entries[place];
            entry.used = true;
            return Ok(&entry.key);
        }
        let entry = Entry {
            owner,
            epoch,
            key: make(),
            used: true,
        };
        let place = if held { place } else { self.place() };
        if place == self.entries.len() {
            self.entries.push(entry);
        } else {
            *self
                .entries
                .get_mut(place)
                .ok_or(Error::Full("expanded keys"))? = entry;
        }
        *at = place as u32;
        Ok(&self.entries[place].key)
    }

    /// A place for a new entry: a free one, or that of one not used since the hand passed.
    fn place(&mut self) -> usize {
        if self.entries.len() < self.limit {
            return self.entries.len();
        }
        loop {
            self.hand = (self.hand + 1) % self.entries.len().max(1);
            match self.entries.get_mut(self.hand) {
                Some(entry) if entry.used => entry.used = false,
                _ => return self.hand,
            }
        }
    }

    /// Wipes the key that `owner` put at `at`, if it is still there.
    pub(crate) fn forget(&mut self, owner: Owner, at: u32) {
        let place = at as usize;
        if self
            .entries
            .get(place)
            .is_some_and(|entry| entry.owner == owner)
        {
            self.entries.swap_remove(place);
        }
    }
}
