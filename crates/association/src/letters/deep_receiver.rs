use alloc::{boxed::Box, collections::VecDeque};
use core::fmt;

use refpoint_wire::{Sequence, Suite};
use zeroize::Zeroizing;

use super::received::Received;
use crate::{Backend, epoch::EpochKey, receiver::MAX_AHEAD, schedule::Traffic};

/// Epochs whose keys and windows are kept for letters that come late.
pub(crate) const KEPT: usize = 64;

/// Key and IV of one epoch, without the traffic secret from which all later ones follow.
pub(crate) struct EpochSecret(Box<Zeroizing<[u8; 44]>>);

impl EpochSecret {
    pub(crate) fn of(traffic: &Traffic) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; 44]));
        traffic.epoch_secret(&mut secret);
        Self(secret)
    }

    pub(crate) fn from_bytes(bytes: &[u8; 44]) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; 44]));
        secret.copy_from_slice(bytes);
        Self(secret)
    }

    pub(crate) fn bytes(&self) -> &[u8; 44] {
        &self.0
    }

    fn key(&self, backend: Backend, suite: Suite) -> EpochKey {
        EpochKey::from_secret(backend, suite, &self.0)
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSecret(..)")
    }
}

/// An epoch that may still receive.
#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) number: u64,
    pub(crate) secret: EpochSecret,
    pub(crate) received: Received,
    /// When it is wiped, once a later epoch has begun.
    pub(crate) until: Option<u64>,
}

/// The receiving direction of an association whose records are kept by others for hours.
#[derive(Debug)]
pub(crate) struct DeepReceiver {
    /// Of the newest epoch. Boxed: a session that moves leaves no copy of it behind.
    pub(crate) traffic: Box<Traffic>,
    /// The newest last; never empty.
    pub(crate) epochs: VecDeque<Epoch>,
    pub(crate) bits: u8,
    /// Payload bytes and records opened, for the limits.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

/// Under which key a record is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// One of the kept epochs, by its place.
    Kept(usize),
    /// So many epochs ahead.
    Ahead(u64),
}

impl DeepReceiver {
    pub(crate) fn new(traffic: Traffic, bits: u8) -> Self {
        let first = Epoch {
            number: 0,
            secret: EpochSecret::of(&traffic),
            received: Received::default(),
            until: None,
        };
        Self {
            traffic: Box::new(traffic),
            epochs: VecDeque::from([first]),
            bits,
            bytes: 0,
            records: 0,
        }
    }

    fn newest(&self) -> u64 {
        self.epochs.back().map_or(0, |epoch| epoch.number)
    }

    fn within(&self, sequence: Sequence) -> u32 {
        // Epochs cover at most 2^22 records.
        (sequence.number() & ((1 << self.bits) - 1)) as u32
    }

    /// Where the record belongs; `None`: a replay, too old, or too far ahead. Changes nothing.
    pub(crate) fn locate(&self, sequence: Sequence) -> Option<Depth> {
        let epoch = sequence.number() >> self.bits;
        let newest = self.newest();
        if epoch > newest {
            let distance = epoch - newest;
            return (distance <= MAX_AHEAD).then_some(Depth::Ahead(distance));
        }
        let at = self.epochs.iter().position(|kept| kept.number == epoch)?;
        let admitted = self.epochs[at].received.admits(self.within(sequence));
        admitted.then_some(Depth::Kept(at))
    }

    /// The key for that place.
    pub(crate) fn key(&self, depth: Depth, backend: Backend, suite: Suite) -> Option<EpochKey> {
        match depth {
            Depth::Kept(at) => Some(self.epochs.get(at)?.secret.key(backend, suite)),
            Depth::Ahead(distance) => {
                let mut traffic = self.traffic.next();
                (1..distance).for_each(|_| traffic.ratchet());
                Some(traffic.epoch_key(backend, suite))
            }
        }
    }

    /// Takes note of a record that opened. Epochs that are left behind, those between included, are
    /// kept for `retention`, at most [`KEPT`] of them.
    pub(crate) fn commit(
        &mut self,
        depth: Depth,
        sequence: Sequence,
        bytes: usize,
        (now, retention, window): (u64, u64, usize),
    ) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.records += 1;
        let at = match depth {
            Depth::Kept(at) => at,
            Depth::Ahead(distance) => {
                for _ in 0..distance {
                    self.enter(now.saturating_add(retention));
                }
                self.epochs.len() - 1
            }
        };
        let number = self.within(sequence);
        if let Some(epoch) = self.epochs.get_mut(at) {
            epoch.received.mark(number, window);
        }
    }

    fn enter(&mut self, until: u64) {
        let number = self.newest() + 1;
        if let Some(left) = self.epochs.back_mut() {
            left.until = Some(until);
        }
        self.traffic.ratchet();
        if self.epochs.len() == KEPT {
            self.epochs.pop_front();
        }
        self.epochs.push_back(Epoch {
            number,
            secret: EpochSecret::of(&self.traffic),
            received: Received::default(),
            until: None,
        });
    }

    /// Wipes the epochs whose retention is over.
    pub(crate) fn expire(&mut self, now: u64) {
        self.epochs
            .retain(|epoch| epoch.until.is_none_or(|until| until > now));
    }

    /// When the next epoch is wiped.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.epochs.iter().filter_map(|epoch| epoch.until).min()
    }
}
