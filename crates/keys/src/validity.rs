//! When a key may be used.

use core::time::Duration;

use crate::Error;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(u64);

impl UtcTime {
    /// The instant so many seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the beginning of 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This instant and the whole seconds of `duration`; the last instant there is when that
    /// would be beyond it.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// The time from `earlier` until this instant, zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// The time in which a key may be used: from `not_before` until just before `not_after`.
///
/// The end is exclusive, so that a key holds exactly while [`Validity::remaining`] is not zero.
/// An association never outlives its connection key (K3): whoever makes one clamps it by
/// [`Validity::remaining`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    not_before: Option<UtcTime>,
    not_after: UtcTime,
}

impl Validity {
    /// Valid from ever until `not_after`.
    #[must_use]
    pub const fn until(not_after: UtcTime) -> Self {
        Self {
            not_before: None,
            not_after,
        }
    }

    /// Valid from `not_before` (or ever) until `not_after`.
    ///
    /// # Errors
    /// [`Error::EmptyValidity`] when it would end no later than it begins.
    pub fn new(not_before: Option<UtcTime>, not_after: UtcTime) -> Result<Self, Error> {
        if not_before.is_some_and(|start| start >= not_after) {
            return Err(Error::EmptyValidity);
        }
        Ok(Self {
            not_before,
            not_after,
        })
    }

    /// The first second of validity, if there is one.
    #[must_use]
    pub const fn not_before(&self) -> Option<UtcTime> {
        self.not_before
    }

    /// The first second that is no longer valid.
    #[must_use]
    pub const fn not_after(&self) -> UtcTime {
        self.not_after
    }

    /// Whether the key may be used at `now`.
    #[must_use]
    pub fn contains(&self, now: UtcTime) -> bool {
        self.not_before.is_none_or(|start| start <= now) && now < self.not_after
    }

    /// Whether the end has been reached. A key that is not yet valid has not expired.
    #[must_use]
    pub fn is_over(&self, now: UtcTime) -> bool {
        self.not_after <= now
    }

    /// How long the key may still be used from `now` on; zero outside the validity.
    #[must_use]
    pub fn remaining(&self, now: UtcTime) -> Duration {
        if self.contains(now) {
            self.not_after.saturating_since(now)
        } else {
            Duration::ZERO
        }
    }

    /// The time in which both hold, if there is any.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let not_before = self.not_before.max(other.not_before);
        let not_after = self.not_after.min(other.not_after);
        Self::new(not_before, not_after).ok()
    }
}
