use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use sha2::{Digest, Sha256};

/// The first 16 bytes of an Initiate's SHA-256.
pub(crate) type Key = [u8; 16];

/// The answers to recent Initiates, by the hash of the Initiate (rule H5): a repeated one gets the
/// same answer and costs nothing more.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    answers: BTreeMap<Key, Vec<u8>>,
    /// All live equally long, so the first in is the first out.
    expiry: VecDeque<(u64, Key)>,
}

impl HalfOpen {
    pub(crate) fn key(packet: &[u8]) -> Key {
        let hash = Sha256::digest(packet);
        *hash.first_chunk().expect("32 bytes hold 16")
    }

    pub(crate) fn answer(&self, key: &Key) -> Option<&[u8]> {
        self.answers.get(key).map(Vec::as_slice)
    }

    pub(crate) fn insert(&mut self, key: Key, answer: Vec<u8>, until: u64) {
        self.answers.insert(key, answer);
        self.expiry.push_back((until, key));
    }

    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.expiry.front().map(|(until, _)| *until)
    }

    pub(crate) fn expire(&mut self, now: u64) {
        while self.expiry.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, key)) = self.expiry.pop_front() {
                self.answers.remove(&key);
            }
        }
    }
}
