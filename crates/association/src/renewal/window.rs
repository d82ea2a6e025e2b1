use rand_core::CryptoRng;

use crate::{Lifetime, backoff::share};

/// When an initiator is to renew an association: some time between two.
///
/// In milliseconds of the clock of whoever holds it; on the wire, seconds from the time it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: u64,
    length: u64,
}

impl Window {
    /// `length` milliseconds from `from` on.
    #[must_use]
    pub const fn new(from: u64, length: u64) -> Self {
        Self { from, length }
    }

    /// At once: what a responder asks for when a key may have been compromised.
    #[must_use]
    pub const fn at_once(now: u64) -> Self {
        Self::new(now, 0)
    }

    /// When it begins.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// How long it is.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// When it ends.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.from.saturating_add(self.length)
    }

    /// The initiator's part: a uniformly random time inside, never before `now` and never after
    /// half of the association's life (rule L2), unless that is over.
    ///
    /// What the peer proposes is clamped. A window that is over means now. One that begins after
    /// half of the life is no use and is replaced by its second quarter.
    #[must_use]
    pub fn draw(&self, now: u64, life: &Lifetime, rng: &mut dyn CryptoRng) -> u64 {
        let mut random = [0; 8];
        rng.fill_bytes(&mut random);
        self.at(now, life, u64::from_be_bytes(random))
    }

    /// As [`draw`](Self::draw), at a part of 2^64 of the window that was drawn before.
    pub(crate) fn at(&self, now: u64, life: &Lifetime, part: u64) -> u64 {
        let latest = life.half().max(now);
        let (from, end) = if self.from > latest {
            (life.since() + (life.half() - life.since()) / 2, latest)
        } else {
            (self.from, self.end())
        };
        let (from, end) = (from.max(now), end.clamp(now, latest));
        from.saturating_add(share(end.saturating_sub(from), part))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn what_is_drawn_fills_the_window_evenly() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (window, life) = (Window::new(1_000, 1_000), Lifetime::spanning(0, 10_000));
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let at = window.draw(500, &life, &mut rng);
            tenths[usize::try_from((at - 1_000) / 100).unwrap_or(9)] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1_150).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn a_window_that_is_over_means_now() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let life = Lifetime::spanning(0, 100_000);
        assert_eq!(Window::new(1_000, 500).draw(2_000, &life, &mut rng), 2_000);
        assert_eq!(Window::at_once(2_000).draw(2_000, &life, &mut rng), 2_000);
        let late = Window::new(1_000, 500).draw(90_000, &life, &mut rng);
        assert_eq!(late, 90_000, "also when more than half of the life is over");
    }

    proptest! {
        #[test]
        fn nothing_is_drawn_before_now_or_after_half_of_the_life(
            from: u64, length: u64, since in 0_u64..1 << 40, span: u64, passed in 0_u64..1 << 40, seed: u64,
        ) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let life = Lifetime::spanning(since, span);
            let now = since + passed;
            let at = Window::new(from, length).draw(now, &life, &mut rng);
            prop_assert!(at >= now);
            prop_assert!(at <= life.half().max(now));
        }
    }
}
