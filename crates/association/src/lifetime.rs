use core::time::Duration;

use crate::{Error, policy::Agreed, time::millis};

/// When an association must be refreshed and when it ends, in milliseconds of monotonic time.
///
/// Counted from before this end's own first send, with a tenth of margin (rule L3): sealing stops
/// at nine tenths of the hard limit, opening at the limit itself, so that a peer whose clock runs
/// a tenth faster never sees a record after its own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    since: u64,
    hard: u64,
}

impl Lifetime {
    /// The shortest of what was agreed on and how long the credential holds (rule K3).
    pub(crate) fn new(since: u64, agreed: &Agreed, remaining: Option<Duration>) -> Self {
        let span = agreed
            .lifetime_millis()
            .min(remaining.map_or(u64::MAX, millis));
        Self::spanning(since, span)
    }

    /// A life of `span` milliseconds from `since` on.
    #[must_use]
    pub const fn spanning(since: u64, span: u64) -> Self {
        Self {
            since,
            hard: since.saturating_add(span),
        }
    }

    /// When it began: before this end's own first send.
    #[must_use]
    pub const fn since(&self) -> u64 {
        self.since
    }

    /// Shortens it to a grant received at `now`.
    pub(crate) fn clamp(&mut self, now: u64, remaining: Duration) {
        self.hard = self.hard.min(now.saturating_add(millis(remaining)));
    }

    /// When opening stops and all secrets go.
    #[must_use]
    pub const fn hard(&self) -> u64 {
        self.hard
    }

    /// When sealing stops.
    #[must_use]
    pub const fn last_seal(&self) -> u64 {
        self.hard - (self.hard - self.since) / 10
    }

    /// When to close: the last instant at which the close itself may be sealed.
    pub(crate) const fn close(&self) -> u64 {
        self.last_seal().saturating_sub(1)
    }

    /// Half-way: the responder asks for a refresh, and an initiator should have made one.
    #[must_use]
    pub const fn half(&self) -> u64 {
        self.since + (self.hard - self.since) / 2
    }

    /// A point between a quarter and a half of the life, at `fraction` of 2^32 of that window.
    pub(crate) const fn soft(&self, fraction: u32) -> u64 {
        let quarter = (self.hard - self.since) / 4;
        self.since + quarter + ((quarter as u128 * fraction as u128) >> 32) as u64
    }

    pub(crate) const fn may_seal(&self, now: u64) -> Result<(), Error> {
        if now < self.last_seal() {
            Ok(())
        } else {
            Err(Error::Limit("time"))
        }
    }

    pub(crate) const fn may_open(&self, now: u64) -> Result<(), Error> {
        if now < self.hard {
            Ok(())
        } else {
            Err(Error::Limit("time"))
        }
    }
}
