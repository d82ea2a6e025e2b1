use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bucket::{Bucket, BucketKeys};
use crate::{Change, Entry, HandleId};

/// Where an entry lies: its bucket, and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    const NUMBER_BITS: u32 = u64::BITS - Bucket::BITS;
    const LAST_NUMBER: u64 = (1 << Self::NUMBER_BITS) - 1;

    pub(super) fn new(bucket: Bucket, number: u64) -> Option<Self> {
        let bucket = u64::from(bucket.0) << Self::NUMBER_BITS;
        (number <= Self::LAST_NUMBER).then_some(Self(bucket | number))
    }

    pub(super) const fn from_code(code: u64) -> Self {
        Self(code)
    }

    pub(super) const fn code(self) -> u64 {
        self.0
    }

    pub(super) const fn bucket(self) -> Bucket {
        Bucket((self.0 >> Self::NUMBER_BITS) as u32)
    }

    const fn number(self) -> u64 {
        self.0 & Self::LAST_NUMBER
    }

    /// The codes of all places of a bucket.
    pub(super) const fn all(bucket: Bucket) -> RangeInclusive<u64> {
        let first = (bucket.0 as u64) << Self::NUMBER_BITS;
        first..=first | Self::LAST_NUMBER
    }
}

/// Where the row of each handle lies, as it is on the disk: some 40 bytes of memory a handle.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: HashMap<HandleId, Place>,
    /// The number of the next entry of each bucket that has any.
    next: BTreeMap<Bucket, u64>,
}

/// What a batch does to the rows.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    pub(super) removed: Vec<Place>,
    pub(super) inserted: Vec<(Place, HandleId, &'a Entry)>,
    /// Entries without a bucket key.
    pub(super) skipped: usize,
    gone: Vec<HandleId>,
}

impl Places {
    /// Takes in a row that was found.
    pub(super) fn found(&mut self, id: HandleId, place: Place) {
        self.places.insert(id, place);
        self.count(place);
    }

    fn count(&mut self, place: Place) {
        let next = self.next.entry(place.bucket()).or_default();
        *next = (*next).max(place.number() + 1);
    }

    pub(super) fn place(&self, id: HandleId) -> Option<Place> {
        self.places.get(&id).copied()
    }

    /// Whether `place` is where the handle's row lies.
    pub(super) fn is_at(&self, id: HandleId, place: Place) -> bool {
        self.place(id) == Some(place)
    }

    /// The buckets that have rows and no key any more.
    pub(super) fn without_key(&self, keys: &BucketKeys) -> BTreeSet<Bucket> {
        let buckets = self.next.keys().copied();
        buckets
            .filter(|bucket| keys.key(*bucket).is_none())
            .collect()
    }

    /// Plans a batch, of which the last change of each handle counts.
    pub(super) fn plan<'a>(
        &self,
        changes: &'a [Change],
        keys: &BucketKeys,
        bucket: impl Fn(&Entry) -> Bucket,
    ) -> Plan<'a> {
        let mut last = HashMap::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            last.insert(change.id(), at);
        }
        let mut plan = Plan::default();
        let mut next = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let id = change.id();
            if last.get(&id) != Some(&at) {
                continue;
            }
            if let Some(place) = self.place(id) {
                plan.removed.push(place);
                plan.gone.push(id);
            }
            if let Change::Issued { entry, .. } = change {
                let bucket = bucket(entry);
                let known = || self.next.get(&bucket).copied().unwrap_or_default();
                let number = next.entry(bucket).or_insert_with(known);
                match Place::new(bucket, *number).filter(|_| keys.key(bucket).is_some()) {
                    Some(place) => plan.inserted.push((place, id, entry)),
                    None => plan.skipped += 1,
                }
                *number += 1;
            }
        }
        // In the order of the tree, so that each page is touched once.
        plan.removed.sort_unstable();
        plan.inserted.sort_unstable_by_key(|(place, ..)| *place);
        plan
    }

    /// Takes note of a plan that was carried out.
    pub(super) fn carried_out(&mut self, plan: &Plan<'_>) {
        for id in &plan.gone {
            self.places.remove(id);
        }
        for &(place, id, _) in &plan.inserted {
            self.places.insert(id, place);
            self.count(place);
        }
    }

    pub(super) fn remove(&mut self, id: HandleId) {
        self.places.remove(&id);
    }

    /// Forgets the rows of these buckets.
    pub(super) fn remove_buckets(&mut self, buckets: &BTreeSet<Bucket>) {
        self.places
            .retain(|_, place| !buckets.contains(&place.bucket()));
        self.next.retain(|bucket, _| !buckets.contains(bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_by_bucket_and_number_and_end() {
        let place = |bucket, number| Place::new(Bucket(bucket), number).unwrap();
        assert!(place(1, Place::LAST_NUMBER) < place(2, 0));
        assert_eq!(place(7, 9).bucket(), Bucket(7));
        assert_eq!(place(Bucket::LAST, 9).number(), 9);
        assert!(Place::new(Bucket(1), Place::LAST_NUMBER + 1).is_none());
        let all = Place::all(Bucket(7));
        assert!(all.contains(&place(7, 0).code()) && all.contains(&place(7, 9).code()));
        assert!(!all.contains(&place(8, 0).code()) && !all.contains(&place(6, 9).code()));
    }
}
