use core::time::Duration;

use refpoint_keys::UtcTime;

/// The present, as the caller knows it (rule L3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed instant, never going back and counting suspended time
    /// (`CLOCK_BOOTTIME`): lifetimes and timers use it.
    pub monotonic: Duration,
    /// Wall-clock time, if this machine knows it: validity of credentials uses it.
    pub utc: Option<UtcTime>,
}

impl Now {
    /// The present of a machine with a wall clock.
    #[must_use]
    pub const fn new(monotonic: Duration, utc: UtcTime) -> Self {
        Self {
            monotonic,
            utc: Some(utc),
        }
    }

    /// The present of a machine without a wall clock.
    #[must_use]
    pub const fn without_utc(monotonic: Duration) -> Self {
        Self {
            monotonic,
            utc: None,
        }
    }

    pub(crate) fn millis(&self) -> u64 {
        millis(self.monotonic)
    }
}

/// Internal time: milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
