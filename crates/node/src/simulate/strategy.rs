use core::fmt;

use refpoint_association::Backoff;
use refpoint_sim::Entropy;

/// What devices do when the responder is back, and what it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Ask again every five seconds.
    Fixed,
    /// Wait five seconds for an answer, then one more, doubled each time, up to 64.
    Exponential,
    /// The same, but a uniformly random part of it.
    FullJitter,
    /// Each pause is random between one second and three times the last, up to 64.
    Decorrelated,
    /// Ask again after five seconds and up to 334 milliseconds more.
    WireGuard,
    /// refpoint: who cannot be served is told when to come back.
    Reservations,
    /// refpoint: devices hold handles of their former associations, and redeem them without any
    /// Diffie-Hellman; nobody is turned away.
    Light,
}

/// How long rivals wait for an answer, in milliseconds, before any pause.
const TIMEOUT: u64 = 5_000;
const FIRST: u64 = 1_000;
const LONGEST: u64 = 64_000;

impl Strategy {
    /// All of them, those of today first.
    pub const ALL: [Self; 7] = [
        Self::Fixed,
        Self::Exponential,
        Self::FullJitter,
        Self::Decorrelated,
        Self::WireGuard,
        Self::Reservations,
        Self::Light,
    ];

    /// Its name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Exponential => "exponential",
            Self::FullJitter => "full-jitter",
            Self::Decorrelated => "decorrelated",
            Self::WireGuard => "wireguard",
            Self::Reservations => "reservations",
            Self::Light => "light",
        }
    }

    /// The strategy of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }

    /// Whether it is refpoint's, and few enough events a device for ten millions of them.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Reservations | Self::Light)
    }

    /// How long a device waits after its request number `repeats` (from 0) before the next, in
    /// milliseconds; `pause` is its own note of the last pause.
    pub(super) fn delay(self, repeats: u32, pause: &mut u32, entropy: &mut Entropy) -> u64 {
        match self {
            Self::Fixed => TIMEOUT,
            Self::Exponential => TIMEOUT + LONGEST.min(FIRST << repeats.min(16)),
            Self::FullJitter => Backoff::new(TIMEOUT, FIRST, LONGEST).delay(repeats, entropy),
            Self::Decorrelated => {
                let last = u64::from(*pause).max(FIRST);
                let next = LONGEST.min(FIRST + entropy.below(3 * last - FIRST + 1));
                *pause = next as u32;
                TIMEOUT + next
            }
            Self::WireGuard => TIMEOUT + entropy.below(335),
            Self::Reservations | Self::Light => Backoff::RETURN.delay(repeats, entropy),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_found_by_their_names() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::named(strategy.name()), Some(strategy));
        }
        assert_eq!(Strategy::named("hope"), None);
    }

    #[test]
    fn delays_lie_where_each_strategy_puts_them() {
        let mut entropy = Entropy::new(1, "delays");
        let mut delays = |strategy: Strategy, repeats| -> Vec<u64> {
            let mut pause = 0;
            (0..1_000)
                .map(|_| strategy.delay(repeats, &mut pause, &mut entropy))
                .collect()
        };
        let within = |delays: &[u64], low, high| {
            let (least, most) = (delays.iter().min(), delays.iter().max());
            assert!(least.is_some_and(|least| *least >= low), "{least:?}");
            assert!(most.is_some_and(|most| *most <= high), "{most:?}");
        };
        within(&delays(Strategy::Fixed, 9), 5_000, 5_000);
        within(&delays(Strategy::Exponential, 3), 13_000, 13_000);
        within(&delays(Strategy::FullJitter, 3), 5_000, 13_000);
        within(&delays(Strategy::Decorrelated, 3), 6_000, 69_000);
        within(&delays(Strategy::WireGuard, 9), 5_000, 5_334);
        within(&delays(Strategy::Reservations, 0), 2_000, 2_500);
    }
}
