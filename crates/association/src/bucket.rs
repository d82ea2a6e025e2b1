/// A token bucket: what unauthenticated packets may cost, per second and in a burst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    burst: u64,
    /// Thousandths of tokens, and when they were counted, in milliseconds.
    level: u64,
    counted: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) const fn new(per_second: u32, burst: u32) -> Self {
        let burst = burst as u64 * 1000;
        Self {
            per_second: per_second as u64,
            burst,
            level: burst,
            counted: 0,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        let earned = now
            .saturating_sub(self.counted)
            .saturating_mul(self.per_second);
        self.level = self.level.saturating_add(earned).min(self.burst);
        self.counted = self.counted.max(now);
        let taken = self.level >= 1000;
        if taken {
            self.level -= 1000;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(10, 5);
        assert_eq!((0..20).filter(|_| bucket.take(1)).count(), 5);
        assert_eq!((0..1000).filter(|step| bucket.take(1 + step)).count(), 9);
        assert_eq!(
            (0..20).filter(|_| bucket.take(1_000_000)).count(),
            5,
            "never above its burst"
        );
    }
}
