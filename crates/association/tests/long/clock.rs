use core::time::Duration;

use refpoint_association::Now;
use refpoint_keys::UtcTime;

/// True time zero, in seconds since 1970.
pub const EPOCH: u64 = 1_800_000_000;

/// A machine's idea of time: it runs too fast or too slow, and begins anew with each boot.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub boot: Duration,
    /// Seconds that it counts in a million true ones.
    pub rate: u64,
    /// By how many seconds its date is off, if it has one.
    pub date: Option<i64>,
}

const MILLION: u128 = 1_000_000;

impl Clock {
    pub fn now(&self, truth: Duration) -> Now {
        let counted = (truth - self.boot).as_nanos() * u128::from(self.rate) / MILLION;
        let monotonic = nanos(counted);
        match self.date {
            Some(off) => {
                let seconds = (EPOCH + truth.as_secs()).saturating_add_signed(off);
                Now::new(monotonic, UtcTime::from_secs(seconds))
            }
            None => Now::without_utc(monotonic),
        }
    }

    /// The first true time at which it shows this.
    pub fn truth(&self, monotonic: Duration) -> Duration {
        let true_ones = (monotonic.as_nanos() * MILLION).div_ceil(u128::from(self.rate));
        self.boot + nanos(true_ones)
    }

    /// The true length of what it counts as `span`.
    pub fn stretch(&self, span: Duration) -> Duration {
        nanos((span.as_nanos() * MILLION).div_ceil(u128::from(self.rate)))
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).expect("five hundred years suffice"))
}
