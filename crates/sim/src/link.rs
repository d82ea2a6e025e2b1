//! One direction between two addresses, and what it does to packets.

use core::ops::Range;
use core::time::Duration;

use rand_core::Rng;

use crate::Tally;
use crate::chance::{Chance, below};

/// How a direction treats what is sent over it.
///
/// ```
/// use core::time::Duration;
/// use refpoint_sim::{Chance, Link};
///
/// let lossy = Link::perfect()
///     .with_delay(Duration::from_millis(40))
///     .with_jitter(Duration::from_millis(5))
///     .with_loss(Chance::percent(30))
///     .with_duplication(Chance::percent(10))
///     .with_reordering(Chance::percent(10), Duration::from_millis(200));
/// # let _ = lossy;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Link {
    delay: Duration,
    jitter: Duration,
    loss: Chance,
    duplication: Chance,
    reordering: Chance,
    held_back: Duration,
    corruption: Chance,
    limit: Option<usize>,
    blackouts: Vec<Range<Duration>>,
}

impl Link {
    /// Carries everything, at once and in order.
    #[must_use]
    pub fn perfect() -> Self {
        Self::default()
    }

    /// Every packet takes `delay`.
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Every packet takes up to `jitter` longer, so that later ones may overtake it.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Loses packets.
    #[must_use]
    pub const fn with_loss(mut self, chance: Chance) -> Self {
        self.loss = chance;
        self
    }

    /// Delivers packets twice; the second copy has its own delay.
    #[must_use]
    pub const fn with_duplication(mut self, chance: Chance) -> Self {
        self.duplication = chance;
        self
    }

    /// Holds packets back for up to `held_back` more, behind those sent after them.
    #[must_use]
    pub const fn with_reordering(mut self, chance: Chance, held_back: Duration) -> Self {
        self.reordering = chance;
        self.held_back = held_back;
        self
    }

    /// Flips one bit of a packet.
    #[must_use]
    pub const fn with_corruption(mut self, chance: Chance) -> Self {
        self.corruption = chance;
        self
    }

    /// Drops packets of more than `bytes`.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Carries nothing that is sent in `interval` of virtual time; may be given several times.
    #[must_use]
    pub fn with_blackout(mut self, interval: Range<Duration>) -> Self {
        self.blackouts.push(interval);
        self
    }

    /// Decides what becomes of `data`, sent at `now`: the copies and when each arrives.
    ///
    /// The number of draws is the same for every packet, whatever becomes of it.
    pub(crate) fn carry(
        &self,
        now: Duration,
        data: Vec<u8>,
        rng: &mut impl Rng,
        tally: &mut Tally,
    ) -> Vec<(Duration, Vec<u8>)> {
        let lost = self.loss.strikes(rng);
        let doubled = self.duplication.strikes(rng);
        let first = self.fate(now, rng);
        let second = self.fate(now, rng);

        if self
            .blackouts
            .iter()
            .any(|interval| interval.contains(&now))
        {
            tally.blacked_out += 1;
            return Vec::new();
        }
        if self.limit.is_some_and(|limit| data.len() > limit) {
            tally.oversized += 1;
            return Vec::new();
        }
        if lost {
            tally.lost += 1;
            return Vec::new();
        }
        let mut copies = Vec::with_capacity(1 + usize::from(doubled));
        if doubled {
            tally.duplicated += 1;
            copies.push(second.apply(data.clone(), tally));
        }
        copies.push(first.apply(data, tally));
        copies
    }

    fn fate(&self, now: Duration, rng: &mut impl Rng) -> Fate {
        let jitter = part(self.jitter, rng);
        let held_back = self.reordering.strikes(rng);
        let longer = part(self.held_back, rng);
        let flip = self.corruption.strikes(rng);
        let bit = rng.next_u64();
        let extra = if held_back { longer } else { Duration::ZERO };
        Fate {
            at: now + self.delay + jitter + extra,
            held_back,
            flip: flip.then_some(bit),
        }
    }
}

/// What becomes of one copy.
struct Fate {
    at: Duration,
    held_back: bool,
    flip: Option<u64>,
}

impl Fate {
    fn apply(self, mut data: Vec<u8>, tally: &mut Tally) -> (Duration, Vec<u8>) {
        tally.reordered += u64::from(self.held_back);
        if let Some(draw) = self.flip
            && !data.is_empty()
        {
            let bits = data.len() as u64 * 8;
            let bit = draw % bits;
            if let Some(byte) = usize::try_from(bit / 8)
                .ok()
                .and_then(|at| data.get_mut(at))
            {
                *byte ^= 1 << (bit % 8);
                tally.corrupted += 1;
            }
        }
        (self.at, data)
    }
}

/// A random part of `most`.
fn part(most: Duration, rng: &mut impl Rng) -> Duration {
    let nanoseconds = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(below(rng, nanoseconds))
}
