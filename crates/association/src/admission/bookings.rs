use alloc::{collections::BTreeMap, vec::Vec};

/// The slot of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Booking {
    /// When it is due, in milliseconds.
    pub(super) slot: u64,
    /// How long before that it was given.
    pub(super) wait: u32,
    /// When its entity was last told, after it was given.
    pub(super) told: u32,
    /// It has been used.
    pub(super) used: bool,
    /// It was given in place of one that others had taken.
    pub(super) instead: bool,
}

impl Booking {
    pub(super) fn new(now: u64, slot: u64) -> Self {
        Self {
            slot,
            wait: narrow(slot.saturating_sub(now)),
            told: 0,
            used: false,
            instead: false,
        }
    }

    /// How early and late its entity may be: clocks that run a tenth too fast or slow included.
    pub(super) fn leeway(&self, grace: u64) -> u64 {
        grace.saturating_add(u64::from(self.wait / 8))
    }

    /// By how much its entity is later than its clock explains.
    pub(super) fn lateness(&self, now: u64) -> u64 {
        now.saturating_sub(self.slot.saturating_add(self.leeway(0)))
    }

    /// Milliseconds since it was given.
    pub(super) fn age(&self, now: u64) -> u32 {
        narrow(
            now.saturating_add(self.wait.into())
                .saturating_sub(self.slot),
        )
    }

    fn death(&self, grace: u64) -> u64 {
        self.slot.saturating_add(self.leeway(grace))
    }
}

fn narrow(millis: u64) -> u32 {
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// Who has which slot, until the slot and its grace are over.
#[derive(Debug)]
pub(super) struct Bookings {
    limit: usize,
    grace: u64,
    held: BTreeMap<u64, Booking>,
    /// Whose booking may end in which second.
    ends: BTreeMap<u64, Vec<u64>>,
}

impl Bookings {
    pub(super) const fn new(limit: usize, grace: u64) -> Self {
        Self {
            limit,
            grace,
            held: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Forgets the slots that are over.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(entry) = self.ends.first_entry() {
            if *entry.key() * 1_000 > now {
                return;
            }
            for entity in entry.remove() {
                let over = |held: &Booking| held.death(self.grace) <= now;
                if self.held.get(&entity).is_some_and(over) {
                    self.held.remove(&entity);
                }
            }
        }
    }

    pub(super) fn find(&self, entity: u64) -> Option<&Booking> {
        self.held.get(&entity)
    }

    /// Changes what is noted about a booking, but not its slot.
    pub(super) fn replace(&mut self, entity: u64, booking: Booking) {
        if let Some(held) = self.held.get_mut(&entity) {
            *held = booking;
        }
    }

    /// Whether `entity` may have a booking: it has one, or there is room.
    pub(super) fn has_room_for(&self, entity: u64) -> bool {
        self.held.len() < self.limit || self.held.contains_key(&entity)
    }

    pub(super) fn insert(&mut self, entity: u64, booking: Booking) {
        let end = booking.death(self.grace) / 1_000 + 1;
        self.held.insert(entity, booking);
        self.ends.entry(end).or_default().push(entity);
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}
