use core::time::Duration;
use std::time::SystemTime;

use refpoint_association::Now;
use refpoint_keys::UtcTime;

/// The present, as rule L3 wants it: time that counts suspended time and never goes back, and the wall clock.
pub(crate) fn now() -> Now {
    let time = rustix::time::clock_gettime(CLOCK);
    let monotonic = Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    );
    let utc = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let utc = utc.map(|since| UtcTime::from_secs(since.as_secs())).ok();
    Now { monotonic, utc }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
