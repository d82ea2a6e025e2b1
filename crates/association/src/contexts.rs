use alloc::{boxed::Box, vec::Vec};

use crate::{Error, epoch::EpochKey};

/// Whose expanded key it is: the association's serial, and which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) serial: u64,
    pub(crate) sends: bool,
}

#[derive(Debug)]
struct Entry {
    /// `None`: the key was wiped, the place is free.
    held: Option<Held>,
    used: bool,
}

#[derive(Debug)]
struct Held {
    owner: Owner,
    epoch: u64,
    /// Boxed: where entries move to, no copy of a key stays behind.
    key: Box<EpochKey>,
}

impl Entry {
    fn is_of(&self, owner: Owner) -> bool {
        self.held.as_ref().is_some_and(|held| held.owner == owner)
    }
}

/// The bounded cache of expanded keys (design 4.3): associations in motion have theirs here, idle
/// ones only their secrets. An owner remembers where it was put; the clock algorithm evicts.
#[derive(Debug)]
pub(crate) struct Contexts {
    entries: Vec<Entry>,
    /// Places without a key.
    free: Vec<u32>,
    limit: usize,
    hand: usize,
}

impl Contexts {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
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
        let own = self
            .entries
            .get(place)
            .is_some_and(|entry| entry.is_of(owner));
        let place = if own { place } else { self.place() };
        if place == self.entries.len() {
            self.entries.push(Entry {
                held: None,
                used: true,
            });
        }
        *at = place as u32;
        let entry = self
            .entries
            .get_mut(place)
            .ok_or(Error::Full("expanded keys"))?;
        entry.used = true;
        let fits = |held: &Held| own && held.epoch == epoch;
        if !entry.held.as_ref().is_some_and(fits) {
            entry.held = None;
        }
        let held = entry.held.get_or_insert_with(|| Held {
            owner,
            epoch,
            key: Box::new(make()),
        });
        Ok(&held.key)
    }

    /// A place for a new entry: a free one, or that of one not used since the hand passed.
    fn place(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            return place as usize;
        }
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
        let entry = self.entries.get_mut(at as usize);
        if let Some(entry) = entry.filter(|entry| entry.is_of(owner)) {
            entry.held = None;
            self.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use refpoint_wire::Suite;

    use super::*;
    use crate::Backend;

    const fn owner(serial: u64) -> Owner {
        Owner {
            serial,
            sends: true,
        }
    }

    fn use_key(contexts: &mut Contexts, serial: u64, epoch: u64, at: &mut u32) {
        let make = || EpochKey::new(Backend::default(), Suite::ChaChaPoly, &[7; 32], [0; 12]);
        contexts
            .key(owner(serial), epoch, at, make)
            .expect("there is room");
    }

    fn kept(contexts: &Contexts, serial: u64) -> usize {
        let entries = contexts.entries.iter();
        entries.filter(|entry| entry.is_of(owner(serial))).count()
    }

    #[test]
    fn a_key_is_kept_once_and_gone_when_forgotten_whatever_others_do() {
        for limit in [2, 3, 8] {
            let mut contexts = Contexts::new(limit);
            let mut at = [u32::MAX; 5];
            for round in 0..20 {
                for serial in 0..5 {
                    use_key(&mut contexts, serial, round, &mut at[serial as usize]);
                    assert_eq!(kept(&contexts, serial), 1);
                }
                let gone = round % 5;
                contexts.forget(owner(gone), at[gone as usize]);
                assert_eq!(kept(&contexts, gone), 0);
                assert!(contexts.entries.len() <= limit);
            }
            for serial in 0..5 {
                contexts.forget(owner(serial), at[serial as usize]);
            }
            let left: usize = (0..5).map(|serial| kept(&contexts, serial)).sum();
            assert_eq!(left, 0);
        }
    }
}
