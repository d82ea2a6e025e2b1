//! Writing behind: the store follows what happens in memory.

mod coalesce;
mod queue;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use refpoint_keys::UtcTime;

use self::coalesce::coalesce;
use self::queue::Queue;
use crate::{Change, Error, Store};

/// Commits changes to a [`Store`] in batches, on a thread of its own (S7).
///
/// Redemption happens in memory, and a durable write takes many times as long as a resumption. So
/// [`WriteBehind::submit`] only puts the change into a bounded queue, and one durable transaction
/// takes thousands of them ([`Batching::with_most`]).
///
/// | | what happens |
/// |---|---|
/// | the disk is slow | batches get full; the queue fills; then issued handles are refused and counted, those that are gone only at twice the length |
/// | the disk is full or fails | the batch is kept and tried again, at once when somebody flushes, else after a growing pause; [`Statistics::problem`] tells; the queue fills as above |
/// | the process is killed | what was not flushed is lost: see the crate's table |
/// | it is dropped | everything is written, or given up after three attempts and logged |
///
/// A refused handle costs its holder one full handshake after the next restart, nothing before. That
/// one is gone is 16 bytes to keep and worse to lose, so it has the longer queue.
/// No tokio is needed: [`WriteBehind::submit`] never waits for the disk and may be called from
/// anywhere; [`WriteBehind::flush`], [`WriteBehind::stop`] and dropping do wait.
pub struct WriteBehind {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// How changes are gathered.
#[derive(Clone, Debug)]
pub struct Batching {
    most: usize,
    linger: Duration,
    capacity: usize,
}

impl Default for Batching {
    /// Up to 4096 changes or 5 ms a batch, up to 65 536 changes waiting.
    fn default() -> Self {
        Self {
            most: 4096,
            linger: Duration::from_millis(5),
            capacity: 65_536,
        }
    }
}

impl Batching {
    /// With at most so many changes in one transaction, and at least one.
    #[must_use]
    pub fn with_most(mut self, changes: usize) -> Self {
        self.most = changes.max(1);
        self
    }

    /// With a change waiting so long for others to come.
    #[must_use]
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// With at most so many changes waiting, and at least one; each takes about 300 bytes.
    ///
    /// Changes that say that a handle is gone may double it.
    #[must_use]
    pub fn with_capacity(mut self, changes: usize) -> Self {
        self.capacity = changes.max(1);
        self
    }

    /// How long to wait after so many failed attempts.
    fn pause(&self, attempts: u32) -> Duration {
        Duration::from_millis(10 << attempts.min(7))
    }
}

/// A change that was not taken, because as many wait as may, or the writer has ended.
#[derive(Debug, thiserror::Error)]
#[error("the store is behind: a change was refused; see its statistics for why")]
pub struct Overloaded(pub Change);

/// How a [`WriteBehind`] fares. All counts are since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Changes taken.
    pub submitted: u64,
    /// Changes that are durable; in order, so these are the first ones.
    pub durable: u64,
    /// Changes refused because too many waited.
    pub refused: u64,
    /// Entries that the store skipped ([`Committed::skipped`](crate::Committed::skipped)).
    pub skipped: u64,
    /// Transactions.
    pub batches: u64,
    /// Failed attempts.
    pub failures: u64,
    /// Why the last attempt failed; `None` after a success.
    pub problem: Option<String>,
}

impl Statistics {
    /// Changes that were taken and are not durable yet.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.submitted - self.durable
    }
}

impl WriteBehind {
    /// Starts to write to `store`, which was replayed before.
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread.
    pub fn start(store: impl Store + 'static, batching: Batching) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(batching));
        let writer = Writer {
            queue: queue.clone(),
            store: Box::new(store),
        };
        let thread = thread::Builder::new()
            .name("refpoint-store".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Takes a change; it becomes durable later. Never waits for the disk.
    ///
    /// # Errors
    ///
    /// [`Overloaded`], with the change, when too many wait.
    pub fn submit(&self, change: Change) -> Result<(), Overloaded> {
        self.queue.submit(change)
    }

    /// Asks for [`Store::expire`], which happens soon.
    pub fn expire(&self, now: UtcTime) {
        self.queue.expire(now);
    }

    /// Waits until everything that was submitted before is durable.
    ///
    /// # Errors
    ///
    /// [`Error::Behind`] when writing it was tried and failed: the changes are kept and tried
    /// again. [`Error::Ended`] when the store panicked.
    pub fn flush(&self) -> Result<(), Error> {
        self.queue.flush()
    }

    /// How it fares.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.queue.statistics()
    }

    /// Writes everything and ends. The same as dropping it, but it tells.
    ///
    /// # Errors
    ///
    /// As [`WriteBehind::flush`]: what it could not write is lost.
    pub fn stop(mut self) -> Result<(), Error> {
        let flushed = self.queue.flush();
        self.end();
        flushed
    }

    fn end(&mut self) {
        self.queue.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the store was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteBehind")
            .field(&self.statistics())
            .finish()
    }
}

struct Writer {
    queue: Arc<Queue>,
    store: Box<dyn Store>,
}

impl Writer {
    fn run(mut self) {
        while let Some(work) = self.queue.next() {
            let count = work.changes.len();
            let changes = coalesce(work.changes);
            let queue = self.queue.clone();
            let written = persist(&queue, || match changes.is_empty() {
                true => Ok(0),
                false => self
                    .store
                    .commit(&changes)
                    .map(|committed| committed.skipped),
            });
            let Some(skipped) = written else {
                break;
            };
            if count > 0 {
                self.queue.written(count, skipped);
            }
            if let Some(now) = work.expire
                && persist(&queue, || self.store.expire(now)).is_none()
            {
                break;
            }
        }
    }
}

/// Repeats `attempt` until it succeeds; `None` when it was given up because the queue stopped.
fn persist<T>(queue: &Queue, mut attempt: impl FnMut() -> Result<T, Error>) -> Option<T> {
    for attempts in 0.. {
        match attempt() {
            Ok(done) => return Some(done),
            Err(error) => {
                tracing::warn!(%error, attempts, "the store cannot be written");
                if queue.failed(&error, attempts) {
                    break;
                }
            }
        }
    }
    None
}

impl Drop for Writer {
    fn drop(&mut self) {
        let lost = self.queue.end();
        if lost > 0 {
            tracing::error!(
                lost,
                "changes of handles were not written: after a restart those handles are as they were before"
            );
        }
    }
}
