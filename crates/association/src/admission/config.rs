use alloc::{boxed::Box, vec};
use core::time::Duration;

use super::meter::{MILLI, SECOND};
use crate::{Error, time::millis};

/// How a responder shares out what it can do.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    pub(super) capacity: u32,
    pub(super) hint_cost: u32,
    pub(super) emergency: u32,
    pub(super) strangers: u32,
    pub(super) tenants: Box<[u32]>,
    pub(super) grace: u64,
    pub(super) longest: u64,
    pub(super) bookings: usize,
    pub(super) seed: u64,
}

/// How many handshakes may bunch up at small capacities.
const BUNCH: u64 = 2;

/// What hints may cost without slots lying further apart, in thousandths of a handshake each: the
/// processor's time that a capacity leaves free.
const FREE_HINTS: u32 = 50;

impl AdmissionConfig {
    /// `capacity` handshakes a second, one tenant; a hint costs a twenty-fifth of a handshake, the
    /// emergency class has a tenth for itself, strangers have at most a tenth while others wait,
    /// the longest slot is an hour away, who is late by up to five seconds is still served, and a
    /// million entities may wait.
    ///
    /// # Errors
    /// [`Error::Config`] unless the capacity lies between one and a hundred million.
    pub fn new(capacity: u32) -> Result<Self, Error> {
        if !(1..=100_000_000).contains(&capacity) {
            return Err(Error::Config("capacity"));
        }
        Ok(Self {
            capacity,
            hint_cost: 40,
            emergency: 10,
            strangers: 10,
            tenants: vec![1].into(),
            grace: 5_000,
            longest: 3_600_000,
            bookings: 1 << 20,
            seed: 0,
        })
    }

    /// What a hint costs to receive and send, in thousandths of a handshake.
    ///
    /// # Errors
    /// [`Error::Config`] above 1 000: then hints are no help.
    pub fn with_hint_cost(mut self, thousandths: u32) -> Result<Self, Error> {
        if thousandths > 1_000 {
            return Err(Error::Config("hint cost"));
        }
        self.hint_cost = thousandths;
        Ok(self)
    }

    /// The percentage of the capacity that the emergency class has for itself.
    ///
    /// # Errors
    /// [`Error::Config`] unless between 1 and 50.
    pub fn with_emergency(mut self, percent: u32) -> Result<Self, Error> {
        if !(1..=50).contains(&percent) {
            return Err(Error::Config("emergency share"));
        }
        self.emergency = percent;
        Ok(self)
    }

    /// The percentage of the capacity that unverified senders share while verified ones wait.
    ///
    /// # Errors
    /// [`Error::Config`] unless between 1 and 10 (rule T1).
    pub fn with_strangers(mut self, percent: u32) -> Result<Self, Error> {
        if !(1..=10).contains(&percent) {
            return Err(Error::Config("share of unverified senders"));
        }
        self.strangers = percent;
        Ok(self)
    }

    /// The tenants' weights: each has at least its part of the sum, and what others leave.
    ///
    /// # Errors
    /// [`Error::Config`] for none, more than 65 535 or a weight outside 1 to 1 000.
    pub fn with_tenants(mut self, weights: &[u32]) -> Result<Self, Error> {
        let valid = weights.iter().all(|weight| (1..=1_000).contains(weight));
        if weights.is_empty() || weights.len() > usize::from(u16::MAX) || !valid {
            return Err(Error::Config("tenants"));
        }
        self.tenants = weights.into();
        Ok(self)
    }

    /// How early or late a sender may be for its slot, besides an eighth of its wait.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = millis(grace).clamp(1, 3_600_000);
        self
    }

    /// How far ahead a slot may lie: at least a second, at most a day.
    #[must_use]
    pub fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = millis(longest).clamp(1_000, 86_400_000);
        self
    }

    /// How many entities may wait at a time; about 60 bytes each.
    #[must_use]
    pub const fn with_bookings(mut self, limit: usize) -> Self {
        self.bookings = limit;
        self
    }

    /// A random number that keeps strangers from choosing whose bucket they share.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Nanoseconds of the whole capacity that a handshake takes.
    pub(super) fn unit(&self) -> u64 {
        SECOND / u64::from(self.capacity)
    }

    /// By how much handshakes may bunch up, in nanoseconds.
    pub(super) fn bunch(&self) -> u64 {
        (12 * MILLI).max((BUNCH * self.unit()).min(100 * MILLI))
    }

    /// The distance of handshakes in nanoseconds at which, bunched up or not, no second holds more
    /// of them than the capacity.
    pub(super) fn distance(&self) -> u64 {
        (SECOND + self.bunch()).div_ceil(u64::from(self.capacity))
    }

    /// The distance of handshakes when `part` of `whole` of the capacity is had, of which the
    /// emergency class and strangers have theirs already.
    pub(super) fn of_tenant(&self, part: u32, whole: u32) -> u64 {
        let scaled = self.spacing().saturating_mul(whole.into()) / u64::from(part);
        scaled.saturating_mul(100) / u64::from(100 - self.emergency - self.strangers)
    }

    /// The distance of slots: a handshake, what its hint costs too much, and somewhat less than is
    /// served at most, so that returns which bunch up fit in.
    pub(super) fn spacing(&self) -> u64 {
        let beyond = self.hint_cost.saturating_sub(FREE_HINTS);
        let with_hint = self.unit() + self.unit() * u64::from(beyond) / 1_000;
        (self.distance() + self.distance() / 256).max(with_hint)
    }

    /// Nanoseconds of the whole capacity that a hint takes.
    pub(super) fn hint(&self) -> u64 {
        (self.unit() * u64::from(self.hint_cost) / 1_000).max(1)
    }
}
