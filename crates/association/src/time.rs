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

/// A point in monotonic time to 64 ms, in four bytes: good for eight years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

impl Tick {
    /// The tick that `millis` lies in.
    pub(crate) const fn at(millis: u64) -> Self {
        let tick = millis >> 6;
        Self(if tick > u32::MAX as u64 {
            u32::MAX
        } else {
            tick as u32
        })
    }

    /// When it began.
    pub(crate) const fn millis(self) -> u64 {
        (self.0 as u64) << 6
    }
}
