use alloc::{boxed::Box, vec::Vec};

use refpoint_wire::Sequence;

use crate::{schedule::Traffic, window::Window};

/// Epochs that a receiver derives ahead of its own (rule R2).
pub(crate) const MAX_AHEAD: u64 = 64;

/// How long late records of the previous epoch are still opened, in milliseconds.
pub(crate) const REORDER: u64 = 5_000;

/// The receiving direction of an association (rules R1, R2, R4).
#[derive(Debug)]
pub(crate) struct Receiver {
    traffic: Traffic,
    window: Window,
    /// Opens that failed under the current epoch's key.
    failed: u64,
    /// Payload bytes and records opened, for the limits.
    bytes: u64,
    records: u64,
    cold: Option<Box<Cold>>,
    /// Where the current epoch's expanded key was cached last.
    pub(crate) cached_at: u32,
    bits: u8,
}

/// What only an association in motion has.
#[derive(Debug)]
struct Cold {
    previous: Option<Previous>,
    /// Secrets of the epochs after the current one, derived for records that did not open yet.
    ahead: Vec<Traffic>,
    /// When all of it is wiped.
    until: u64,
}

impl Cold {
    const fn until(until: u64) -> Self {
        Self {
            previous: None,
            ahead: Vec::new(),
            until,
        }
    }

    /// Derives so many epochs ahead. A vector that grows leaves its old memory as it was, so a
    /// larger one is made beside it.
    fn derive(&mut self, current: &Traffic, distance: usize) {
        if self.ahead.capacity() < distance {
            let mut larger = Vec::with_capacity(distance);
            larger.extend(self.ahead.iter().map(Traffic::copy));
            self.ahead = larger;
        }
        while self.ahead.len() < distance {
            let next = self.ahead.last().unwrap_or(current).next();
            self.ahead.push(next);
        }
    }
}

#[derive(Debug)]
struct Previous {
    traffic: Traffic,
    window: Window,
    until: u64,
}

/// Under which key a record is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Current,
    Previous,
    /// So many epochs ahead.
    Ahead(u64),
}

impl Receiver {
    pub(crate) const fn new(traffic: Traffic, bits: u8) -> Self {
        Self {
            traffic,
            window: Window::new(),
            failed: 0,
            bytes: 0,
            records: 0,
            cold: None,
            cached_at: u32::MAX,
            bits,
        }
    }

    /// The sequence that is expected next, from which truncated ones are expanded.
    pub(crate) const fn expected(&self) -> u64 {
        self.window.next()
    }

    /// Where the record with this sequence belongs; `None` when it is a replay, too old or too
    /// far ahead. Derives what it needs; changes nothing that a forged record could spoil.
    pub(crate) fn locate(&mut self, sequence: Sequence, now: u64) -> Option<Place> {
        let number = sequence.number();
        let epoch = number >> self.bits;
        if epoch == self.epoch() {
            return self.window.admits(number).then_some(Place::Current);
        }
        if epoch > self.epoch() {
            let distance = epoch - self.epoch();
            if distance > MAX_AHEAD {
                return None;
            }
            let cold = self
                .cold
                .get_or_insert_with(|| Box::new(Cold::until(now + REORDER)));
            cold.derive(&self.traffic, distance as usize);
            return Some(Place::Ahead(distance));
        }
        let previous = self.cold.as_ref()?.previous.as_ref()?;
        let admitted = epoch + 1 == self.epoch() && now < previous.until;
        (admitted && previous.window.admits(number)).then_some(Place::Previous)
    }

    /// The secret of a place that [`locate`](Self::locate) gave.
    pub(crate) fn traffic(&self, place: Place) -> Option<&Traffic> {
        match place {
            Place::Current => Some(&self.traffic),
            Place::Previous => Some(&self.cold.as_ref()?.previous.as_ref()?.traffic),
            Place::Ahead(distance) => self
                .cold
                .as_ref()?
                .ahead
                .get(usize::try_from(distance).ok()?.checked_sub(1)?),
        }
    }

    /// Takes note of a record that opened; `true` when it is the highest so far.
    pub(crate) fn commit(
        &mut self,
        place: Place,
        sequence: Sequence,
        bytes: usize,
        now: u64,
    ) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.records += 1;
        let number = sequence.number();
        match place {
            Place::Previous => {
                if let Some(previous) = self.cold.as_mut().and_then(|cold| cold.previous.as_mut()) {
                    previous.window.mark(number);
                }
                return false;
            }
            Place::Ahead(distance) => self.enter(distance, now),
            Place::Current => {}
        }
        let highest = number >= self.window.next();
        self.window.mark(number);
        highest
    }

    /// Moves `distance` epochs on. The previous epoch is kept for late records only when it is
    /// the one just before.
    fn enter(&mut self, distance: u64, now: u64) {
        let until = now + REORDER;
        let entered = self.epoch() + distance;
        let cold = self
            .cold
            .get_or_insert_with(|| Box::new(Cold::until(until)));
        let Some(traffic) = cold.ahead.get(distance as usize - 1).map(Traffic::copy) else {
            return;
        };
        // Dropped, not moved out of: that wipes every secret where it lies. What was derived
        // further ahead is derived again if it is needed.
        cold.ahead = Vec::new();
        cold.until = until;
        let left = core::mem::replace(&mut self.traffic, traffic);
        let window = Window::starting_at(entered << self.bits);
        let window = core::mem::replace(&mut self.window, window);
        cold.previous = (distance == 1).then_some(Previous {
            traffic: left,
            window,
            until,
        });
        self.failed = 0;
    }

    /// Counts an open that failed under the current epoch's key; gives the sum.
    pub(crate) fn count_failure(&mut self) -> u64 {
        self.failed = self.failed.saturating_add(1);
        self.failed
    }

    /// Opens that have failed under the current epoch's key.
    pub(crate) const fn failed(&self) -> u64 {
        self.failed
    }

    /// As if so many opens had failed.
    #[cfg(test)]
    pub(crate) const fn set_failed(&mut self, failed: u64) {
        self.failed = failed;
    }

    /// When the secrets of other epochs than the current one have to be wiped.
    pub(crate) fn deadline(&self) -> Option<u64> {
        Some(self.cold.as_ref()?.until)
    }

    /// Wipes what is over.
    pub(crate) fn expire(&mut self, now: u64) {
        if self.cold.as_ref().is_some_and(|cold| now >= cold.until) {
            self.cold = None;
        }
    }

    /// Records and payload bytes opened, for the limits.
    pub(crate) const fn usage(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// The current epoch: that of the highest record.
    pub(crate) const fn epoch(&self) -> u64 {
        self.window.next().saturating_sub(1) >> self.bits
    }
}
