use rand_core::CryptoRng;

/// Capped exponential backoff with full jitter: how long to wait before asking again when nothing
/// has answered and no slot was given.
///
/// ```text
/// delay n = floor + U(0, min(first * 2^n, longest))
/// ```
///
/// Full jitter spreads those who failed together better than any other blind rule; the floor keeps
/// the repeat from overtaking an answer that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    floor: u64,
    first: u64,
    longest: u64,
}

impl Backoff {
    /// Repeats of a packet to a peer that is expected to be there: after a tenth of a second and up
    /// to half a second more, doubling up to two: some nine in the eight seconds of an attempt, of
    /// which one has to come through on a bad link or in a flood.
    pub const REPEAT: Self = Self::new(100, 500, 2_000);

    /// Repeats of a request in its slot, to a peer that is busy but expects it: after 0.3 seconds and up
    /// to half a second more, doubling up to four.
    pub const SLOT: Self = Self::new(300, 500, 4_000);

    /// Asking for an association again after an outage, when everybody asks: two seconds, the time
    /// that a responder may take to answer a storm with slots, and up to half a second more, doubling
    /// up to a minute.
    pub const RETURN: Self = Self::new(2_000, 500, 60_000);

    /// A backoff of `floor` milliseconds and a random part of `first`, which doubles up to
    /// `longest`.
    #[must_use]
    pub const fn new(floor: u64, first: u64, longest: u64) -> Self {
        Self {
            floor,
            first,
            longest,
        }
    }

    /// The delay before the repeat that follows `repeats` earlier ones, in milliseconds.
    pub fn delay(&self, repeats: u32, rng: &mut dyn CryptoRng) -> u64 {
        let doubled = self.first.saturating_mul(1 << repeats.min(32));
        self.floor
            .saturating_add(below(doubled.min(self.longest), rng))
    }
}

/// A uniformly random number below `bound`, or 0.
pub(crate) fn below(bound: u64, rng: &mut dyn CryptoRng) -> u64 {
    let mut random = [0; 8];
    rng.fill_bytes(&mut random);
    share(bound, u64::from_be_bytes(random))
}

/// `part` of 2^64 of `whole`: below it, or 0.
pub(crate) fn share(whole: u64, part: u64) -> u64 {
    let product = u128::from(part) * u128::from(whole);
    u64::try_from(product >> 64).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn the_random_part_doubles_up_to_its_cap_and_fills_its_range() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (repeats, cap) in [(0, 500), (1, 1_000), (2, 2_000), (3, 2_000), (40, 2_000)] {
            let delays: std::vec::Vec<_> = (0..1_000)
                .map(|_| Backoff::REPEAT.delay(repeats, &mut rng))
                .collect();
            let (low, high) = (delays.iter().min(), delays.iter().max());
            assert!(low.is_some_and(|low| (100..100 + cap / 20).contains(low)));
            assert!(high.is_some_and(|high| (100 + cap * 19 / 20..100 + cap).contains(high)));
        }
    }

    #[test]
    fn no_backoff_overflows() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let endless = Backoff::new(u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(endless.delay(u32::MAX, &mut rng), u64::MAX);
        assert_eq!(Backoff::new(0, 0, 0).delay(0, &mut rng), 0);
    }
}
