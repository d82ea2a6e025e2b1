//! Between an end point's table of issued handles and a store.

use refpoint_association::{HandleChange, ResponderKeys, StoredHandle};
use refpoint_keys::UtcTime;
use zeroize::Zeroizing;

use crate::{Batching, Change, Entry, Error, StandingKeys, Statistics, Store, WriteBehind};

/// How often what has expired is looked for, in seconds: twice in the shortest bucket.
const EXPIRY_EVERY: u64 = 30;

/// Keeps the handles that one end point issues.
///
/// It makes the end point's changes durable behind its back ([`WriteBehind`]), and what has expired
/// impossible to open. Changes that the store does not take are logged: they cost their owners a
/// full handshake after the next restart.
#[derive(Debug)]
pub struct Journal {
    behind: WriteBehind,
    /// When the store was last told the time.
    told: UtcTime,
    refused: u64,
}

/// What a store has kept for the end point that starts on it.
#[derive(Debug)]
pub struct Kept {
    /// The keys of its cookies, slots and handles' tags: for
    /// [`Endpoint::with_responder_keys`](refpoint_association::Endpoint::with_responder_keys).
    pub keys: ResponderKeys,
    /// What it had issued: for
    /// [`Endpoint::restore_issued`](refpoint_association::Endpoint::restore_issued).
    pub handles: Vec<StoredHandle>,
}

impl Journal {
    /// Reads what `store` has kept, and writes to it from now on.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the operating system gives no thread.
    pub fn open(
        mut store: impl Store + 'static,
        now: UtcTime,
        batching: Batching,
    ) -> Result<(Self, Kept), Error> {
        let keys = store.standing_keys().responder();
        let (mut handles, mut damaged) = (Vec::new(), Vec::new());
        let replayed = store.replay(now, &mut |id, entry| match StoredHandle::from_bytes(
            entry.expose_bytes(),
        ) {
            Ok(handle) if handle.id() == id => handles.push(handle),
            _ => damaged.push(Change::Gone(id)),
        })?;
        let unreadable = replayed.unreadable + damaged.len();
        if unreadable > 0 {
            tracing::warn!(
                unreadable,
                "handles in the store are damaged or of another version: their owners make full handshakes"
            );
        }
        if !damaged.is_empty() {
            store.commit(&damaged)?;
        }
        let journal = Self {
            behind: WriteBehind::start(store, batching).map_err(Error::Thread)?,
            told: now,
            refused: 0,
        };
        Ok((journal, Kept { keys, handles }))
    }

    /// Takes a change of the end point's handles; it becomes durable later. Never waits.
    pub fn write(&mut self, change: HandleChange) {
        let change = match change {
            HandleChange::Issued(handle) => {
                let bytes = Zeroizing::new(handle.expose_bytes().to_vec());
                let id = handle.id();
                Entry::new(handle.expires(), bytes)
                    .map(|entry| Change::Issued { id, entry })
                    .ok()
            }
            HandleChange::Gone(id) => Some(Change::Gone(id)),
            // Whatever it is, it is no handle that could be redeemed after a restart.
            _ => None,
        };
        if let Some(change) = change
            && let Err(error) = self.behind.submit(change)
        {
            self.refused += 1;
            // Not a line for each: there are many when there is one.
            if self.refused.is_power_of_two() {
                let problem = self.behind.statistics().problem;
                tracing::warn!(%error, refused = self.refused, ?problem, "handles are not kept");
            }
        }
    }

    /// Tells the time: what has expired is forgotten, now and then.
    pub fn tell(&mut self, now: UtcTime) {
        if now.as_secs() >= self.told.as_secs().saturating_add(EXPIRY_EVERY) {
            self.told = now;
            self.behind.expire(now);
        }
    }

    /// Waits until everything that was taken before is durable.
    ///
    /// # Errors
    ///
    /// As [`WriteBehind::flush`].
    pub fn flush(&self) -> Result<(), Error> {
        self.behind.flush()
    }

    /// How the store fares.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.behind.statistics()
    }
}

impl StandingKeys {
    /// The keys as an end point takes them.
    #[must_use]
    pub fn responder(&self) -> ResponderKeys {
        ResponderKeys {
            cookies: *self.cookie.expose_bytes(),
            slots: *self.slot.expose_bytes(),
            handles: *self.tag.expose_bytes(),
        }
    }
}
