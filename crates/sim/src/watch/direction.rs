use core::time::Duration;

use super::{Channel, Claim, Place};

/// One direction of an association: the numbers under its keys, and who is in which epoch.
#[derive(Debug)]
pub(super) struct Direction {
    sender: Option<Place>,
    receiver: Option<Place>,
    deaf: bool,
    bits: u8,
    /// How its records travel.
    pub(super) channel: Option<Channel>,
    /// The number that left last.
    last: Option<u64>,
    pub(super) seals_until: Duration,
    pub(super) opens_until: Duration,
    /// The receiver's epoch, and since when.
    received: u64,
    since: Duration,
    /// Since when a record of a later epoch is there than the receiver is in, and which.
    behind: Option<(Duration, u64)>,
    blamed: bool,
}

impl Direction {
    pub(super) const fn new(bits: u8) -> Self {
        Self {
            sender: None,
            receiver: None,
            deaf: false,
            bits,
            channel: None,
            last: None,
            seals_until: Duration::ZERO,
            opens_until: Duration::ZERO,
            received: 0,
            since: Duration::ZERO,
            behind: None,
            blamed: false,
        }
    }

    /// Its sender says that it has the keys: `false` if anybody has said so before.
    pub(super) fn own(&mut self, sender: Place, claim: &Claim) -> bool {
        self.seals_until = claim.seals_until;
        self.sender.replace(sender).is_none()
    }

    /// Its receiver says that it has the keys: `false` if anybody has said so before.
    pub(super) fn heard_by(&mut self, receiver: Place, claim: &Claim) -> bool {
        self.opens_until = claim.opens_until;
        self.receiver.replace(receiver).is_none()
    }

    /// Who receives, as long as it does.
    pub(super) fn hearer(&self) -> Option<Place> {
        self.receiver.filter(|_| !self.deaf)
    }

    pub(super) const fn deafen(&mut self) {
        self.deaf = true;
    }

    /// When its keys are of no more use to anybody.
    pub(super) fn last_use(&self) -> Duration {
        self.seals_until.max(self.opens_until)
    }

    /// The epoch of what left last.
    pub(super) fn epoch(&self) -> u64 {
        self.last.map_or(0, |last| last >> self.bits)
    }

    /// A record leaves with these low bits of its number: the number, and whether it is above all
    /// before it.
    pub(super) fn leave(&mut self, low: u32, bits: u32) -> (u64, bool) {
        let next = self.last.map_or(0, |last| last + 1);
        let number = nearest(next, low.into(), 1 << bits);
        let ascends = number >= next;
        self.last = self.last.max(Some(number));
        (number, ascends)
    }

    /// Whether a record with these low bits is the next, or the first of the next epoch.
    pub(super) fn is_followed_by(&self, low: u32, bits: u32) -> bool {
        let next = self.last.map_or(0, |last| last + 1);
        let number = nearest(next, low.into(), 1 << bits);
        number == next || number == (self.epoch() + 1) << self.bits
    }

    /// The record with this number has arrived: whether its epoch is within the receiver's reach.
    pub(super) fn arrives(&mut self, now: Duration, number: u64, ahead: u64) -> bool {
        let epoch = number >> self.bits;
        let within = epoch <= self.received.saturating_add(ahead);
        if within && epoch > self.received && self.behind.is_none() {
            self.behind = Some((now, epoch));
        }
        within
    }

    /// The receiver says which epoch it is in; for how long it has been behind.
    pub(super) fn is_in(&mut self, now: Duration, epoch: u64) -> Duration {
        if epoch > self.received {
            self.received = epoch;
            self.since = now;
        }
        let behind = self.behind;
        if behind.is_some_and(|(_, ahead)| epoch >= ahead) {
            self.behind = None;
        }
        behind.map_or(Duration::ZERO, |(since, _)| now.saturating_sub(since))
    }

    /// Whether nobody was blamed yet for being behind.
    pub(super) const fn blame(&mut self) -> bool {
        !core::mem::replace(&mut self.blamed, true)
    }

    /// For how long the receiver has left the epoch that this number belongs to.
    pub(super) fn left_for(&self, now: Duration, number: u64) -> Option<Duration> {
        (number >> self.bits < self.received).then(|| now.saturating_sub(self.since))
    }
}

/// Of the numbers that are `low` modulo `window`, the one nearest to `next`.
fn nearest(next: u64, low: u64, window: u64) -> u64 {
    let same = next - next % window + low;
    let around = [
        same.checked_sub(window),
        Some(same),
        same.checked_add(window),
    ];
    let numbers = around.into_iter().flatten();
    numbers
        .min_by_key(|number| number.abs_diff(next))
        .unwrap_or(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_nearest_of_those_with_its_low_bits() {
        assert_eq!(nearest(0, 0, 1 << 16), 0);
        assert_eq!(nearest(65_536, 0, 1 << 16), 65_536);
        assert_eq!(nearest(65_536, 65_535, 1 << 16), 65_535);
        assert_eq!(nearest(65_534, 2, 1 << 16), 65_538);
        assert_eq!(nearest(5, 1 << 20, 1 << 32), 1 << 20);
    }

    #[test]
    fn numbers_that_do_not_ascend_are_seen() {
        let mut direction = Direction::new(16);
        assert_eq!(direction.leave(0, 16), (0, true));
        assert_eq!(direction.leave(1, 16), (1, true));
        assert_eq!(direction.leave(1, 16), (1, false));
        assert_eq!(direction.leave(1 << 16, 32), (1 << 16, true));
        assert_eq!(direction.epoch(), 1);
        assert_eq!(direction.leave(5, 32), (5, false));
        assert_eq!(direction.leave(1, 16), ((1 << 16) + 1, true));
    }
}
