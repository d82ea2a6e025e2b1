//! The ledger's entries and the orders in which they are found: by key, by expiry, by age.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use prost::bytes::Bytes;
use refpoint_keys::EntityId;

use super::Key;
use crate::RequestDigest;

#[derive(Debug)]
pub(super) struct Entry {
    entity: EntityId,
    pub(super) digest: RequestDigest,
    expiry: Duration,
    age: u64,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Pending,
    Answered(Bytes),
    Gone,
}

impl Entry {
    pub(super) const fn new(entity: EntityId, digest: RequestDigest, expiry: Duration) -> Self {
        Self {
            entity,
            digest,
            expiry,
            age: 0,
            state: State::Pending,
        }
    }

    fn answer_length(&self) -> usize {
        match &self.state {
            State::Answered(answer) => answer.len(),
            State::Pending | State::Gone => 0,
        }
    }
}

/// Invariants: `expiries` holds every entry; an entity's page counts its entries; `settled` holds those that are not
/// pending, `answered` those whose answer is kept, both in a page and in all; `bytes` is the sum of those answers.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<Key, Entry>,
    expiries: BTreeSet<(Duration, Key)>,
    pages: BTreeMap<EntityId, Page>,
    all: Ages,
    next_age: u64,
}

#[derive(Debug, Default)]
struct Page {
    len: usize,
    ages: Ages,
}

#[derive(Debug, Default)]
struct Ages {
    settled: BTreeMap<u64, Key>,
    answered: BTreeMap<u64, Key>,
    bytes: usize,
}

impl Ages {
    fn settle(&mut self, age: u64, key: Key, kept: Option<usize>) {
        self.settled.insert(age, key);
        if let Some(length) = kept {
            self.answered.insert(age, key);
            self.bytes += length;
        }
    }

    fn forget_answer(&mut self, age: u64, length: usize) {
        self.answered.remove(&age);
        self.bytes -= length;
    }

    fn forget(&mut self, age: u64, length: usize) {
        self.settled.remove(&age);
        self.forget_answer(age, length);
    }
}

impl Book {
    pub(super) fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn len_of(&self, entity: &EntityId) -> usize {
        self.pages.get(entity).map_or(0, |page| page.len)
    }

    pub(super) const fn answers(&self) -> usize {
        self.all.bytes
    }

    pub(super) fn answers_of(&self, entity: &EntityId) -> usize {
        self.pages.get(entity).map_or(0, |page| page.ages.bytes)
    }

    pub(super) fn first_expiry(&self) -> Option<Duration> {
        self.expiries.first().map(|first| first.0)
    }

    /// Enters a pending entry under a new key and returns its age.
    pub(super) fn insert(&mut self, key: Key, mut entry: Entry) -> u64 {
        self.next_age += 1;
        entry.age = self.next_age;
        self.expiries.insert((entry.expiry, key));
        self.pages.entry(entry.entity.clone()).or_default().len += 1;
        self.entries.insert(key, entry);
        self.next_age
    }

    /// Answers the pending entry of this key and age, with an answer to keep or without; none when it has expired.
    pub(super) fn settle(
        &mut self,
        key: &Key,
        age: u64,
        answer: Option<Bytes>,
    ) -> Option<EntityId> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.age == age)?;
        let length = answer.as_ref().map(Bytes::len);
        entry.state = answer.map_or(State::Gone, State::Answered);
        self.all.settle(age, *key, length);
        if let Some(page) = self.pages.get_mut(&entry.entity) {
            page.ages.settle(age, *key, length);
        }
        Some(entry.entity.clone())
    }

    pub(super) fn abandon(&mut self, key: &Key, age: u64) {
        if self.entries.get(key).is_some_and(|entry| entry.age == age) {
            self.remove(key);
        }
    }

    pub(super) fn expire(&mut self, now: Duration) {
        while let Some(&(expiry, key)) = self.expiries.first()
            && expiry <= now
        {
            self.remove(&key);
        }
    }

    /// Gives up the oldest answered entry of `entity`; false when there is none.
    pub(super) fn drop_oldest_of(&mut self, entity: &EntityId) -> bool {
        let page = self.pages.get(entity);
        let oldest = page.and_then(|page| page.ages.settled.first_key_value());
        let key = oldest.map(|oldest| *oldest.1);
        key.inspect(|key| self.remove(key)).is_some()
    }

    /// Gives up the oldest answered entry; false when there is none.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let key = self.all.settled.first_key_value().map(|oldest| *oldest.1);
        key.inspect(|key| self.remove(key)).is_some()
    }

    pub(super) fn drop_oldest_answer_of(&mut self, entity: &EntityId) {
        let page = self.pages.get(entity);
        let oldest = page.and_then(|page| page.ages.answered.first_key_value());
        if let Some(key) = oldest.map(|oldest| *oldest.1) {
            self.forget_answer(&key);
        }
    }

    pub(super) fn drop_oldest_answer(&mut self) {
        if let Some(key) = self.all.answered.first_key_value().map(|oldest| *oldest.1) {
            self.forget_answer(&key);
        }
    }

    fn forget_answer(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let length = entry.answer_length();
        entry.state = State::Gone;
        self.all.forget_answer(entry.age, length);
        if let Some(page) = self.pages.get_mut(&entry.entity) {
            page.ages.forget_answer(entry.age, length);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        self.expiries.remove(&(entry.expiry, *key));
        let length = entry.answer_length();
        self.all.forget(entry.age, length);
        if let Some(page) = self.pages.get_mut(&entry.entity) {
            page.len -= 1;
            page.ages.forget(entry.age, length);
            if page.len == 0 {
                self.pages.remove(&entry.entity);
            }
        }
    }
}
