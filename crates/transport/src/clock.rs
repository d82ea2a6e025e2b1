use core::time::Duration;
use std::time::SystemTime;

use refpoint_association::Now;
use refpoint_keys::UtcTime;

/// Wall clocks below this (2020-01-01) were never set.
const PLAUSIBLE: u64 = 1_577_836_800;

/// The present, as rule L3 wants it.
pub(crate) fn now() -> Now {
    let utc = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| since.as_secs())
        .ok()
        .filter(|seconds| *seconds >= PLAUSIBLE)
        .map(UtcTime::from_secs);
    Now {
        monotonic: monotonic(),
        utc,
    }
}

/// The present for what has no more to do with wall clocks: records and timers.
pub(crate) fn present() -> Now {
    Now::without_utc(monotonic())
}

/// Time since some fixed instant, suspended time included where the system counts it.
pub(crate) fn monotonic() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
