use refpoint_wire::Sequence;

use crate::{Error, schedule::Traffic, time::Tick};

/// Records of a new epoch that state four bytes of their sequence (rule R1), from the first one of the
/// peer that opens in it on: who hears nothing may not be heard either, and the peer may be in an earlier
/// epoch, where two bytes mean another number.
const WIDE_AT_START: u8 = 32;
/// Every such record states four bytes, so that a receiver finds its way back after any outage.
const WIDE_EVERY: u64 = 32;
/// After so much silence, and so long before a planned skip, sequences are wide; in milliseconds.
const SILENCE: u64 = 5_000;
const BEFORE_SKIP: u64 = 1_000;

/// The sending direction of an association: its traffic secret and its sequence (rules R1, R2).
#[derive(Debug)]
pub(crate) struct Sender {
    traffic: Traffic,
    /// The sequence of the next record.
    next: u64,
    /// Payload bytes and records sealed, for the limits.
    bytes: u64,
    records: u64,
    /// When the epoch began and the last record went out.
    epoch_since: Tick,
    last_sent: Tick,
    /// Where the expanded key was cached last.
    pub(crate) cached_at: u32,
    /// So many of the next records are wide, from when the peer is heard on.
    wide: u8,
    /// A record of the peer has opened since the epoch began.
    heard: bool,
    bits: u8,
}

/// What the next record will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) sequence: Sequence,
    pub(crate) epoch: u64,
    /// Four bytes of sequence instead of two (datagrams).
    pub(crate) wide: bool,
    /// The sequence is a skip to the next epoch (streams say so): what it would be without.
    pub(crate) skipped: Option<Sequence>,
}

impl Sender {
    pub(crate) const fn new(traffic: Traffic, bits: u8, now: u64) -> Self {
        Self {
            traffic,
            next: 0,
            bytes: 0,
            records: 0,
            epoch_since: Tick::at(now),
            last_sent: Tick::at(now),
            cached_at: u32::MAX,
            wide: WIDE_AT_START,
            heard: false,
            bits,
        }
    }

    /// Chooses the sequence of the next record and ratchets to its epoch.
    ///
    /// The sequence is spent even if the record is then not sent.
    pub(crate) fn advance(&mut self, now: u64, ratchet: Option<u64>) -> Result<Next, Error> {
        let age = now.saturating_sub(self.epoch_since.millis());
        let epoch = self.epoch();
        // Nothing to leave behind in an epoch that has carried nothing.
        let within = self.next > 0 && self.next >> self.bits == epoch;
        let skips = within && ratchet.is_some_and(|interval| age >= interval);
        let without = Sequence::new(self.next).map_err(|_| Error::Limit("sequence"))?;
        let skipped = skips.then_some(without);
        if skips {
            self.next = (epoch + 1) << self.bits;
        }
        let sequence = Sequence::new(self.next).map_err(|_| Error::Limit("sequence"))?;
        if epoch < self.next >> self.bits {
            self.traffic.ratchet();
            self.epoch_since = Tick::at(now);
            self.wide = WIDE_AT_START;
            self.heard = false;
        }
        let skip_soon = ratchet.is_some_and(|interval| age + BEFORE_SKIP >= interval);
        let wide = self.next.is_multiple_of(WIDE_EVERY)
            || self.wide > 0
            || skip_soon
            || now.saturating_sub(self.last_sent()) >= SILENCE;
        self.wide = self.wide.saturating_sub(self.heard.into());
        self.next += 1;
        self.last_sent = Tick::at(now);
        let epoch = self.epoch();
        Ok(Next {
            sequence,
            epoch,
            wide,
            skipped,
        })
    }

    /// A record of the peer, above all before it, has opened.
    pub(crate) const fn hear(&mut self) {
        self.heard = true;
    }

    /// Makes the next records wide: the path has changed.
    pub(crate) fn widen(&mut self) {
        self.wide = WIDE_AT_START;
    }

    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.records += 1;
    }

    pub(crate) const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Records and payload bytes sealed, for the limits.
    pub(crate) const fn usage(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// When the last record went out, in milliseconds.
    pub(crate) const fn last_sent(&self) -> u64 {
        self.last_sent.millis()
    }

    /// The epoch of the traffic secret: that of the last record.
    pub(crate) const fn epoch(&self) -> u64 {
        self.next.saturating_sub(1) >> self.bits
    }
}
