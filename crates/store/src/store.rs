use refpoint_keys::UtcTime;

use crate::{Change, Entry, Error, HandleId, StandingKeys};

/// Where issued handles outlive the process that issued them.
///
/// Redemption happens in memory (S7); a store is read once, at start, and then written behind
/// ([`WriteBehind`](crate::WriteBehind)). [`Memory`](crate::Memory) keeps nothing beyond the
/// process, [`Redb`](crate::Redb) keeps it on a disk. A cluster implements this trait over what it
/// shares, and claims by [`Store::claim`] before it redeems.
pub trait Store: Send {
    /// The keys that stay the same from start to start.
    fn standing_keys(&self) -> &StandingKeys;

    /// Makes all of `changes` durable, in their order, or none: to try again is safe.
    ///
    /// # Errors
    ///
    /// When the medium failed; nothing has changed then.
    fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error>;

    /// Takes a handle if nobody has taken it, durable when this returns: a compare-and-set.
    ///
    /// What several responders on one store need before the first delivery of a resumed
    /// association. A single responder claims in memory and commits [`Change::Gone`] later.
    ///
    /// # Errors
    ///
    /// When the medium failed: whether the handle was taken is unknown then.
    fn claim(&mut self, id: HandleId) -> Result<Claim, Error>;

    /// Hands over every entry that has not expired at `now`.
    ///
    /// # Errors
    ///
    /// When the medium failed.
    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(HandleId, Entry),
    ) -> Result<Replayed, Error>;

    /// Forgets what has expired at `now`, and destroys the keys that nothing else needs (S4).
    ///
    /// To be called regularly, at least once a bucket length: an entry can be opened until then.
    ///
    /// # Errors
    ///
    /// When the medium failed; keys may be destroyed and rows left, which are taken for expired.
    fn expire(&mut self, now: UtcTime) -> Result<(), Error>;
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The handle is the caller's.
    Won,
    /// Somebody has taken it, or it was never stored, or it expired.
    Lost,
}

/// What became of changes that were committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Entries that were not stored, because there are [`BucketLength`](crate::BucketLength)s for
    /// only so many different expiries. Who holds them makes a full handshake after a restart.
    pub skipped: usize,
}

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Entries handed over.
    pub entries: usize,
    /// Entries that had expired, or whose bucket key had been destroyed.
    pub expired: usize,
    /// Entries that do not open under their bucket's key: altered, or sealed under a key that an
    /// old copy of the key file has brought back.
    pub unreadable: usize,
}
