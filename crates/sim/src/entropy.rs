//! Randomness for the protocol under test.

use core::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng as _, TryCryptoRng, TryRng};

use crate::chance::{Chance, below};

/// Repeatable randomness for one end point, independent of the network's.
///
/// It implements [`rand_core::CryptoRng`], since that is what protocols ask for. It is no secret to
/// anybody: never use it outside tests and simulations.
#[derive(Debug)]
pub struct Entropy(ChaCha20Rng);

impl Entropy {
    /// The stream of randomness that belongs to `seed` and `name`; each name has its own.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        // FNV-1a: any spread of names over streams will do.
        let spread = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        rng.set_stream(name.bytes().fold(0xcbf2_9ce4_8422_2325, spread));
        Self(rng)
    }

    /// A uniformly random number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        below(self, bound)
    }

    /// Whether something happens that has this chance.
    pub fn strikes(&mut self, chance: Chance) -> bool {
        chance.strikes(self)
    }
}

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Entropy {}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;

    use super::*;

    #[test]
    fn the_same_seed_and_name_repeat_and_others_differ() {
        let first = |seed, name| Entropy::new(seed, name).next_u64();
        assert_eq!(first(1, "device"), first(1, "device"));
        assert_ne!(first(1, "device"), first(1, "core"));
        assert_ne!(first(1, "device"), first(2, "device"));
    }
}
