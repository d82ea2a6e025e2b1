use alloc::{boxed::Box, vec};
use core::net::IpAddr;

use super::meter::{MILLI, Meter, SECOND};

/// Where a packet claims to come from, as far as networks are handed out: /24 or /56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePrefix(u64);

impl SourcePrefix {
    /// The prefix of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self((address.to_bits() >> 8) as u64),
            // No IPv6 prefix in use begins with a zero byte, so the two kinds never meet.
            IpAddr::V6(address) => Self((address.to_bits() >> 72) as u64 | 1 << 63),
        }
    }

    /// The bytes that a token binds.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// Buckets that prefixes share; one prefix has at most an eighth of what strangers have.
const BUCKETS: usize = 1024;

/// How far ahead a stranger is sent at most: forged requests push the others' slots no further.
const FURTHEST: u64 = 4 * SECOND;
const NEAREST: u64 = 200 * MILLI;

/// Something that all have together, and each prefix at most an eighth of.
#[derive(Debug)]
struct Shared {
    whole: Meter,
    prefixes: Box<[Meter]>,
}

impl Shared {
    /// One every `unit`.
    fn new(unit: u64) -> Self {
        let prefix = unit.saturating_mul(8);
        let meter = |unit: u64| Meter::new(unit, SECOND.saturating_sub(unit));
        Self {
            whole: meter(unit),
            prefixes: vec![meter(prefix); BUCKETS].into(),
        }
    }

    fn take(&mut self, now: u64, bucket: usize) -> bool {
        let prefix = &mut self.prefixes[bucket];
        let fits = prefix.fits(now, 8) && self.whole.fits(now, 8);
        if fits {
            prefix.charge(now);
            self.whole.charge(now);
        }
        fits
    }
}

/// Senders that have not shown who they are. Nothing is kept of one that does not come back.
#[derive(Debug)]
pub(super) struct Strangers {
    /// What they have while others wait, and while nobody does.
    crowded: Shared,
    calm: Meter,
    hints: Shared,
    distance: u64,
    next: u64,
    seed: u64,
}

impl Strangers {
    /// Handshakes take `unit`, of which strangers have `percent`; a hint every `hint`.
    pub(super) fn new((unit, percent): (u64, u32), hint: u64, seed: u64) -> Self {
        let distance = unit.saturating_mul(100) / u64::from(percent.max(1));
        Self {
            crowded: Shared::new(distance),
            calm: Meter::new(unit.saturating_mul(2), SECOND),
            hints: Shared::new(hint),
            distance,
            next: 0,
            seed,
        }
    }

    /// Whether one that has come back from where it claims to be may be served.
    pub(super) fn take_returned(&mut self, now: u64, prefix: SourcePrefix) -> bool {
        self.crowded.take(now, self.bucket(prefix))
    }

    /// Whether one may be served while nobody waits.
    pub(super) fn take_calm(&mut self, now: u64) -> bool {
        self.calm.take(now)
    }

    /// When one may come back, in nanoseconds: a place in no queue, only a time. `None`: it may not
    /// even be told.
    pub(super) fn send_away(&mut self, now: u64, prefix: SourcePrefix) -> Option<u64> {
        if !self.hints.take(now, self.bucket(prefix)) {
            return None;
        }
        let next = self.next.max(now.saturating_add(NEAREST));
        let at = next.min(now.saturating_add(FURTHEST));
        self.next = at.saturating_add(self.distance);
        Some(at)
    }

    fn bucket(&self, prefix: SourcePrefix) -> usize {
        (mix(prefix.0 ^ self.seed) % BUCKETS as u64) as usize
    }
}

/// Spreads numbers (the finalizer of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
