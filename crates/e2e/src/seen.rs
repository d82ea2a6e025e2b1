use alloc::collections::BTreeSet;

use crate::Error;

/// The ephemeral keys of all objects that one pre-key has opened: no object opens twice, whatever
/// the clock says. Bounded: when it is full, nothing more opens until the next pre-key is used.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ephemerals: BTreeSet<[u8; 32]>,
}

impl Seen {
    /// Whether an object with this ephemeral may be opened.
    pub(crate) fn admits(&self, ephemeral: &[u8; 32], limit: usize) -> Result<(), Error> {
        if self.ephemerals.contains(ephemeral) {
            return Err(Error::Replayed);
        }
        if self.ephemerals.len() >= limit {
            return Err(Error::Full("ephemeral keys of one pre-key"));
        }
        Ok(())
    }

    /// Whether an object with this ephemeral has opened.
    pub(crate) fn knows(&self, ephemeral: &[u8; 32]) -> bool {
        self.ephemerals.contains(ephemeral)
    }

    /// Remembers the ephemeral of an object that has opened.
    pub(crate) fn mark(&mut self, ephemeral: [u8; 32]) {
        self.ephemerals.insert(ephemeral);
    }

    pub(crate) fn len(&self) -> usize {
        self.ephemerals.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.ephemerals.iter()
    }
}
