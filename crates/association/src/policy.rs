use core::time::Duration;

use refpoint_wire::{Limits, LogLimit, Modes, RecordKind};

use crate::{Error, time::millis};

/// How long an association may live and what it may carry (countermeasure CM10).
///
/// Both ends state theirs inside the handshake, and each enforces the smaller of both: a peer's
/// value only shortens, and not below [`Policy::with_minimum_lifetime`].
///
/// | limit | default | at the limit |
/// |---|---|---|
/// | lifetime | 2^16 s (18 h) | closed; sealing stops a tenth earlier, refresh before half of it |
/// | bytes a direction | 2^50 | closed |
/// | messages a direction | 2^48 | closed |
/// | failed opens an epoch key | 2^32 | refresh at once |
/// | epoch | 2^20 records | keys are ratcheted, without a message |
/// | ratchet | 120 s | the next record skips to the next epoch |
/// | resumption | `light` and `fresh`, a week after the last full handshake | a full handshake |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    limits: Limits,
    ratchet: Option<Duration>,
    keepalive: Option<Duration>,
    minimum_lifetime: Duration,
    resumption: Modes,
    resumption_age: Duration,
}

pub(crate) const DEFAULT_LIFETIME: LogLimit = LogLimit::at_most(1 << 16);
pub(crate) const DEFAULT_BYTES: LogLimit = LogLimit::at_most(1 << 50);
pub(crate) const DEFAULT_MESSAGES: LogLimit = LogLimit::at_most(1 << 48);
pub(crate) const DEFAULT_FAILED_OPENS: LogLimit = LogLimit::at_most(1 << 32);
pub(crate) const DEFAULT_EPOCH_BITS: u8 = 20;

/// Below this, a policy would let an attacker off the path force refreshes (rule R5).
const LEAST_FAILED_OPENS: u64 = 1 << 30;

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            ratchet: Some(Duration::from_secs(120)),
            keepalive: None,
            minimum_lifetime: Duration::from_secs(60),
            resumption: Modes::BOTH,
            resumption_age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Policy {
    /// The hard limit of time, rounded down to a [`LogLimit`] of seconds; at least one second.
    ///
    /// # Errors
    /// [`Error::Config`] below one second.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if lifetime.as_secs() == 0 {
            return Err(Error::Config("lifetime"));
        }
        self.limits.lifetime = unless(LogLimit::at_most(lifetime.as_secs()), DEFAULT_LIFETIME);
        Ok(self)
    }

    /// The limit of payload bytes a direction, rounded down; at least 2^16.
    ///
    /// # Errors
    /// [`Error::Config`] below 2^16.
    pub fn with_bytes(mut self, bytes: u64) -> Result<Self, Error> {
        if bytes < 1 << 16 {
            return Err(Error::Config("bytes"));
        }
        self.limits.bytes = unless(LogLimit::at_most(bytes), DEFAULT_BYTES);
        Ok(self)
    }

    /// The limit of records a direction, rounded down; at least 64. The last eight are for control.
    ///
    /// # Errors
    /// [`Error::Config`] below 64.
    pub fn with_messages(mut self, messages: u64) -> Result<Self, Error> {
        if messages < 64 {
            return Err(Error::Config("messages"));
        }
        self.limits.messages = unless(LogLimit::at_most(messages), DEFAULT_MESSAGES);
        Ok(self)
    }

    /// Failed opens of one epoch key after which a refresh is started, rounded down.
    ///
    /// # Errors
    /// [`Error::Config`] below 2^30: forged packets must not be a cheap way to force refreshes.
    pub fn with_failed_opens(mut self, failed: u64) -> Result<Self, Error> {
        if failed < LEAST_FAILED_OPENS {
            return Err(Error::Config("failed opens"));
        }
        self.limits.failed_opens = unless(LogLimit::at_most(failed), DEFAULT_FAILED_OPENS);
        Ok(self)
    }

    /// The binary logarithm of the records an epoch covers.
    ///
    /// # Errors
    /// [`Error::Config`] outside 16 to 22.
    pub fn with_epoch_bits(mut self, bits: u8) -> Result<Self, Error> {
        if !(16..=22).contains(&bits) {
            return Err(Error::Config("epoch bits"));
        }
        self.limits.epoch_bits = (bits != DEFAULT_EPOCH_BITS).then_some(bits);
        Ok(self)
    }

    /// How long an epoch may last; `None`: only its records end it. At least two seconds.
    ///
    /// # Errors
    /// [`Error::Config`] below two seconds: before a skip, a second of wide sequences is due.
    pub fn with_ratchet(mut self, interval: Option<Duration>) -> Result<Self, Error> {
        if interval.is_some_and(|interval| interval < Duration::from_secs(2)) {
            return Err(Error::Config("ratchet"));
        }
        self.ratchet = interval;
        Ok(self)
    }

    /// After how much silence to send an empty record, to keep a NAT's mapping; `None` (the
    /// default) is right for sleepy devices (rule R8). At least one second.
    ///
    /// # Errors
    /// [`Error::Config`] below one second.
    pub fn with_keepalive(mut self, interval: Option<Duration>) -> Result<Self, Error> {
        if interval.is_some_and(|interval| interval < Duration::from_secs(1)) {
            return Err(Error::Config("keepalive"));
        }
        self.keepalive = interval;
        Ok(self)
    }

    /// Below this a peer's offer does not shorten the lifetime.
    #[must_use]
    pub const fn with_minimum_lifetime(mut self, minimum: Duration) -> Self {
        self.minimum_lifetime = minimum;
        self
    }

    /// By which modes associations may be resumed, and until how long after the last full handshake
    /// (rule S5): as a responder it grants handles for these, as an initiator it redeems by these.
    ///
    /// `light` makes no DH: who learns a handle's secret reads what is resumed from it, and what
    /// was resumed while its time bucket lived (rule S4). `fresh` adds a DH.
    #[must_use]
    pub const fn with_resumption(mut self, modes: Modes, age: Duration) -> Self {
        self.resumption = modes;
        self.resumption_age = age;
        self
    }

    /// By which modes associations may be resumed.
    #[must_use]
    pub const fn resumption(&self) -> Modes {
        self.resumption
    }

    /// Until how long after the last full handshake.
    #[must_use]
    pub const fn resumption_age(&self) -> Duration {
        self.resumption_age
    }

    /// The hard limit of time.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.limits.lifetime.unwrap_or(DEFAULT_LIFETIME).value())
    }

    /// How long an epoch may last.
    #[must_use]
    pub const fn ratchet(&self) -> Option<Duration> {
        self.ratchet
    }

    /// After how much silence an empty record is sent.
    #[must_use]
    pub const fn keepalive(&self) -> Option<Duration> {
        self.keepalive
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// What both ends enforce, given the peer's offer.
    pub(crate) fn agree(&self, peer: Limits) -> Agreed {
        let least = |own: Option<LogLimit>, peer: Option<LogLimit>, default: LogLimit| {
            own.unwrap_or(default).min(peer.unwrap_or(default))
        };
        let own = self.limits;
        let lifetime = least(own.lifetime, peer.lifetime, DEFAULT_LIFETIME);
        let floor = LogLimit::at_most(self.minimum_lifetime.as_secs())
            .min(own.lifetime.unwrap_or(DEFAULT_LIFETIME));
        let floor_opens = LogLimit::at_most(LEAST_FAILED_OPENS);
        Agreed {
            lifetime: lifetime.max(floor),
            bytes: least(own.bytes, peer.bytes, DEFAULT_BYTES).max(LogLimit::at_most(1 << 16)),
            messages: least(own.messages, peer.messages, DEFAULT_MESSAGES)
                .max(LogLimit::at_most(64)),
            failed_opens: least(own.failed_opens, peer.failed_opens, DEFAULT_FAILED_OPENS)
                .max(floor_opens),
            epoch_bits: Agreed::epoch_bits(own.epoch_bits.unwrap_or(DEFAULT_EPOCH_BITS), peer),
        }
    }
}

fn unless(limit: LogLimit, default: LogLimit) -> Option<LogLimit> {
    (limit != default).then_some(limit)
}

/// Records that only control messages may use.
const RESERVE: u64 = 8;

/// Records and payload bytes of one direction.
pub(crate) type Usage = (u64, u64);

/// The limits of one association: five bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    lifetime: LogLimit,
    bytes: LogLimit,
    messages: LogLimit,
    failed_opens: LogLimit,
    pub(crate) epoch_bits: u8,
}

impl Agreed {
    /// k of rule R2: the smaller of both ends' policies.
    pub(crate) fn epoch_bits(own: u8, peer: Limits) -> u8 {
        own.min(peer.epoch_bits.unwrap_or(DEFAULT_EPOCH_BITS))
    }

    /// What the end that made this offers when it is resumed without offering anew (`light`).
    pub(crate) const fn as_limits(&self) -> Limits {
        Limits {
            lifetime: Some(self.lifetime),
            bytes: Some(self.bytes),
            messages: Some(self.messages),
            failed_opens: Some(self.failed_opens),
            epoch_bits: Some(self.epoch_bits),
        }
    }

    pub(crate) fn lifetime_millis(&self) -> u64 {
        millis(Duration::from_secs(self.lifetime.value()))
    }

    /// Whether a record may still be sealed or opened, after so many records and payload bytes in
    /// its direction. Control messages may use a reserve, for an orderly end.
    pub(crate) fn admits(&self, kind: RecordKind, (records, bytes): Usage) -> Result<(), Error> {
        let reserve = match kind {
            RecordKind::Data => RESERVE,
            RecordKind::Control => 0,
        };
        if records + reserve >= self.messages.value() {
            return Err(Error::Limit("message"));
        }
        if kind == RecordKind::Data && bytes >= self.bytes.value() {
            return Err(Error::Limit("byte"));
        }
        Ok(())
    }

    /// Whether three quarters of what a direction may carry are used: a successor is due.
    pub(crate) const fn is_nearly_used(&self, (records, bytes): Usage) -> bool {
        let (most_records, most_bytes) = self.nearly_used_at();
        records >= most_records || bytes >= most_bytes
    }

    /// What either of is nearly all that a direction may carry.
    pub(crate) const fn nearly_used_at(&self) -> Usage {
        (self.messages.value() / 4 * 3, self.bytes.value() / 4 * 3)
    }

    /// Its five bytes, for a kept state.
    pub(crate) const fn codes(&self) -> [u8; 5] {
        [
            self.lifetime.code(),
            self.bytes.code(),
            self.messages.code(),
            self.failed_opens.code(),
            self.epoch_bits,
        ]
    }

    /// The limits with these codes.
    pub(crate) fn from_codes(codes: [u8; 5]) -> Option<Self> {
        let [lifetime, bytes, messages, failed_opens, epoch_bits] = codes;
        (16..=22).contains(&epoch_bits).then_some(Self {
            lifetime: LogLimit::from_code(lifetime),
            bytes: LogLimit::from_code(bytes),
            messages: LogLimit::from_code(messages),
            failed_opens: LogLimit::from_code(failed_opens),
            epoch_bits,
        })
    }

    pub(crate) const fn failed_opens(&self) -> u64 {
        self.failed_opens.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers the least that a peer can write.
    const fn least() -> Limits {
        let one = Some(LogLimit::at_most(1));
        Limits {
            lifetime: one,
            bytes: one,
            messages: one,
            failed_opens: one,
            epoch_bits: Some(16),
        }
    }

    #[test]
    fn a_peers_offer_shortens_but_not_below_the_minimum() {
        let own = Policy::default().with_minimum_lifetime(Duration::from_secs(64));
        let agreed = own.agree(least());
        assert_eq!(agreed.lifetime.value(), 64);
        assert_eq!(agreed.bytes.value(), 1 << 16);
        assert_eq!(agreed.messages.value(), 64);
        assert_eq!(agreed.failed_opens.value(), LEAST_FAILED_OPENS);
        assert_eq!(agreed.epoch_bits, 16);
        // Its own choice may be below its minimum for others.
        let short = own.with_lifetime(Duration::from_secs(2)).expect("valid");
        assert_eq!(short.agree(least()).lifetime.value(), 2);
        assert_eq!(short.agree(Limits::default()).lifetime.value(), 2);
    }

    #[test]
    fn each_limit_is_the_smaller_of_both_whoever_offers_it() {
        let strict = Policy::default()
            .with_lifetime(Duration::from_secs(1 << 10))
            .and_then(|policy| policy.with_bytes(1 << 20))
            .and_then(|policy| policy.with_messages(1 << 12))
            .and_then(|policy| policy.with_failed_opens(1 << 31))
            .and_then(|policy| policy.with_epoch_bits(17))
            .expect("valid");
        let loose = Policy::default();
        let agreed = [strict.agree(loose.limits()), loose.agree(strict.limits())];
        assert_eq!(agreed[0], agreed[1]);
        assert_eq!(agreed[0].lifetime.value(), 1 << 10);
        assert_eq!(agreed[0].bytes.value(), 1 << 20);
        assert_eq!(agreed[0].messages.value(), 1 << 12);
        assert_eq!(agreed[0].failed_opens.value(), 1 << 31);
        assert_eq!(agreed[0].epoch_bits, 17);
    }
}
