/// Nanoseconds in a millisecond.
pub(super) const MILLI: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(super) const SECOND: u64 = 1_000 * MILLI;

/// A token bucket, kept as the time up to which its rate is used up (in nanoseconds).
///
/// In any interval it gives at most `(interval + tolerance) / unit + 1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    used: u64,
    unit: u64,
    tolerance: u64,
}

impl Meter {
    /// One every `unit`, and what `tolerance` holds of them at once.
    pub(super) fn new(unit: u64, tolerance: u64) -> Self {
        Self {
            used: 0,
            unit: unit.max(1),
            tolerance,
        }
    }

    /// Whether there is one for who may use `eighths` eighths of the tolerance.
    pub(super) const fn fits(&self, now: u64, eighths: u64) -> bool {
        self.used <= now.saturating_add(self.tolerance / 8 * eighths)
    }

    /// Takes one, there or not.
    pub(super) fn charge(&mut self, now: u64) {
        self.used = self.used.max(now).saturating_add(self.unit);
    }

    /// Takes one if there is one.
    pub(super) fn take(&mut self, now: u64) -> bool {
        let fits = self.fits(now, 8);
        if fits {
            self.charge(now);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_gives_its_tolerance_and_then_its_rate() {
        let mut meter = Meter::new(SECOND / 10, SECOND / 2);
        assert_eq!((0..20).filter(|_| meter.take(SECOND)).count(), 6);
        let later = |step: u64| SECOND + step * MILLI;
        assert_eq!((1..1000).filter(|step| meter.take(later(*step))).count(), 9);
    }

    #[test]
    fn a_smaller_part_of_the_tolerance_leaves_the_rest_to_others() {
        let mut meter = Meter::new(SECOND / 10, SECOND);
        while meter.fits(0, 4) {
            meter.charge(0);
        }
        assert!(meter.fits(0, 8));
    }
}
