use core::time::Duration;

/// How long to wait between attempts: nothing before the first, then a uniformly random time between nothing and a cap
/// that doubles with each failure (full jitter), so that many who failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    not_before: Duration,
    succeeded: Option<Duration>,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            not_before: Duration::ZERO,
            succeeded: None,
        }
    }

    /// An attempt is wanted: how long to wait before it. A success that did not last counts as a failure.
    pub(crate) fn wait(&mut self, now: Duration, draw: u32) -> Duration {
        if let Some(succeeded) = self.succeeded.take() {
            if now.saturating_sub(succeeded) < self.first {
                self.failed(now, draw);
            } else {
                self.failures = 0;
            }
        }
        self.not_before.saturating_sub(now)
    }

    pub(crate) fn failed(&mut self, now: Duration, draw: u32) {
        let doubled = self.first.saturating_mul(1u32 << self.failures.min(20));
        let cap = doubled.min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let part = (cap.as_nanos() * u128::from(draw)) >> 32;
        let part = Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX));
        self.not_before = now.saturating_add(part);
    }

    pub(crate) const fn succeeded(&mut self, now: Duration) {
        self.succeeded = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);
    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn the_cap_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert_eq!(backoff.wait(NOW, 0), Duration::ZERO);
        let caps = [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000];
        for cap in caps {
            backoff.failed(NOW, u32::MAX);
            let waits = backoff.wait(NOW, 0);
            assert_eq!(waits.as_millis() + 1, cap);
        }
        backoff.failed(NOW, 0);
        assert_eq!(backoff.wait(NOW, 0), Duration::ZERO, "full jitter");
    }

    #[test]
    fn a_success_that_lasts_forgets_failures_and_one_that_does_not_is_one() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        backoff.failed(NOW, u32::MAX);
        backoff.failed(NOW, u32::MAX);
        backoff.succeeded(NOW);
        let later = NOW + LONGEST;
        assert_eq!(backoff.wait(later, u32::MAX), Duration::ZERO);
        backoff.succeeded(later);
        assert_eq!(backoff.wait(later, u32::MAX).as_millis() + 1, 500);
    }
}
