//! Probabilities that mean the same on every machine.

use rand_core::Rng;

/// How often something happens, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

const ONE: u32 = 1_000_000;

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);

    /// It always happens.
    pub const ALWAYS: Self = Self(ONE);

    /// It happens `percent` times in a hundred.
    ///
    /// # Panics
    ///
    /// When `percent` is above 100.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        assert!(percent <= 100, "a chance is at most 100 percent");
        Self(percent * (ONE / 100))
    }

    /// It happens `count` times in a million.
    ///
    /// # Panics
    ///
    /// When `count` is above a million.
    #[must_use]
    pub const fn per_million(count: u32) -> Self {
        assert!(count <= ONE, "a chance is at most a million in a million");
        Self(count)
    }

    /// Draws once, always: what happens to one packet never shifts the draws of the next.
    pub(crate) fn strikes(self, rng: &mut impl Rng) -> bool {
        below(rng, u64::from(ONE)) < u64::from(self.0)
    }
}

/// A number below `bound`, from one draw; 0 when `bound` is 0.
pub(crate) fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    let product = u128::from(rng.next_u64()) * u128::from(bound);
    u64::try_from(product >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn never_never_strikes_and_always_always_does() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..1_000 {
            assert!(!Chance::NEVER.strikes(&mut rng));
            assert!(Chance::ALWAYS.strikes(&mut rng));
        }
    }

    #[test]
    fn thirty_percent_strikes_three_times_in_ten() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let strikes = (0..100_000)
            .filter(|_| Chance::percent(30).strikes(&mut rng))
            .count();
        assert!((29_500..30_500).contains(&strikes), "{strikes}");
    }

    #[test]
    fn below_stays_below() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        assert_eq!(below(&mut rng, 0), 0);
        for bound in [1, 2, 3, u64::MAX] {
            assert!((0..100).all(|_| below(&mut rng, bound) < bound));
        }
    }
}
