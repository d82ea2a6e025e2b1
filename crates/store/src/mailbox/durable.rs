use core::fmt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{Database, ReadableDatabase};
use refpoint_keys::{EntityId, UtcTime};

use super::account::Quota;
use super::tables::{self, Opened};
use super::{Done, Mailbox, MailboxError, Message, Position, Waiting, rules, wait};
use crate::Error;
use crate::embedded::{Claimed, Guarded};

const KIND: &str = "refpoint mailbox 1";
const DATABASE: &str = "mailbox.redb";
const LOCK: &str = "mailbox.lock";

/// So many operations share a transaction at most, and as many wait for the next.
const MOST: usize = 1024;

/// How a [`RedbMailbox`] behaves.
#[derive(Clone, Debug)]
pub struct MailboxOptions {
    quota: Quota,
    cache: usize,
}

impl Default for MailboxOptions {
    /// The default [`Quota`] and 64 MiB of cache.
    fn default() -> Self {
        Self {
            quota: Quota::default(),
            cache: 64 << 20,
        }
    }
}

impl MailboxOptions {
    /// With another quota. What waits already stays, even if it exceeds it.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// With so many bytes of cache for the database.
    #[must_use]
    pub const fn with_cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }
}

/// A mailbox on a disk.
///
/// One thread writes: while the disk works on a transaction, the operations that come gather for
/// the next, so that many puts cost one sync (group commit). It lies beside a
/// [`Redb`](crate::Redb) store or in a directory of its own, as `mailbox.redb`, for its owner only.
pub struct RedbMailbox {
    database: Arc<Mutex<Guarded>>,
    operations: Option<SyncSender<Operation>>,
    thread: Option<JoinHandle<()>>,
    _directory: Claimed,
}

enum Operation {
    Put(UtcTime, Message, Done<Position>),
    Acknowledge(EntityId, Position, Done<()>),
    Expire(UtcTime, Done<u64>),
}

/// Tells the caller how its operation went, if the transaction went well.
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl RedbMailbox {
    /// Opens the mailbox in `directory`, or makes one.
    ///
    /// # Errors
    ///
    /// When another process has it, when the file is damaged or readable by others, which leaves
    /// it as it is, and when the disk fails.
    pub fn open(directory: &Path, options: &MailboxOptions) -> Result<Self, Error> {
        let directory = Claimed::claim(directory, LOCK)?;
        let path = directory.path().join(DATABASE);
        let database = Guarded::open(path, KIND, None, options.cache)?;
        let database = Arc::new(Mutex::new(database));
        let (operations, waiting) = sync_channel(MOST);
        let committer = Committer {
            database: database.clone(),
            quota: options.quota.clone(),
            waiting,
        };
        let thread = thread::Builder::new()
            .name("refpoint-mailbox".to_owned())
            .spawn(move || committer.run())
            .map_err(Error::io(directory.path()))?;
        Ok(Self {
            database,
            operations: Some(operations),
            thread: Some(thread),
            _directory: directory,
        })
    }

    fn send(&self, operation: Operation) {
        if let Some(operations) = &self.operations {
            // Without a receiver the thread has panicked: the outcome is dropped, and that says so.
            let _ = operations.send(operation);
        }
    }
}

impl Mailbox for RedbMailbox {
    fn put_then(&self, now: UtcTime, message: Message, done: Done<Position>) {
        self.send(Operation::Put(now, message, done));
    }

    fn acknowledge_then(&self, receiver: EntityId, up_to: Position, done: Done<()>) {
        self.send(Operation::Acknowledge(receiver, up_to, done));
    }

    fn fetch(
        &self,
        now: UtcTime,
        receiver: &EntityId,
        after: Position,
        most: usize,
        bytes: usize,
    ) -> Result<Vec<Waiting>, MailboxError> {
        // The lock is not held while the disk works.
        let database = lock(&self.database).database()?;
        let fetched = database
            .begin_read()
            .map_err(Into::into)
            .and_then(|read| tables::fetch(&read, now, receiver, after, most, bytes));
        drop(database);
        Ok(lock(&self.database).judge(fetched)?)
    }

    fn expire(&self, now: UtcTime) -> Result<u64, MailboxError> {
        wait(|done| self.send(Operation::Expire(now, done)))
    }
}

impl Drop for RedbMailbox {
    /// Waits until everything that was put is durable.
    fn drop(&mut self) {
        self.operations = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for RedbMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbMailbox").finish_non_exhaustive()
    }
}

fn lock(database: &Mutex<Guarded>) -> MutexGuard<'_, Guarded> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Committer {
    database: Arc<Mutex<Guarded>>,
    quota: Quota,
    waiting: Receiver<Operation>,
}

impl Committer {
    fn run(self) {
        while let Ok(first) = self.waiting.recv() {
            let more = self.waiting.try_iter().take(MOST - 1);
            self.commit(core::iter::once(first).chain(more).collect());
        }
    }

    /// Runs the operations in their order in one transaction, and answers when it is durable.
    fn commit(&self, operations: Vec<Operation>) {
        let database = match lock(&self.database).database() {
            Ok(database) => database,
            Err(error) => {
                let problem = error.to_string();
                for operation in operations {
                    operation.fail(lock(&self.database).failure(&problem));
                }
                return;
            }
        };
        let mut answers = Vec::with_capacity(operations.len());
        let mut left = operations.into_iter();
        let worked = self.transact(&database, &mut left, &mut answers);
        drop(database);
        let problem = lock(&self.database)
            .judge(worked)
            .err()
            .map(|error| error.to_string());
        let outcome = || match &problem {
            None => Ok(()),
            Some(problem) => Err(lock(&self.database).failure(problem)),
        };
        answers.into_iter().for_each(|answer| answer(outcome()));
        // Those that were not come to, because the medium failed before.
        for operation in left {
            if let Err(error) = outcome() {
                operation.fail(error);
            }
        }
    }

    fn transact(
        &self,
        database: &Database,
        operations: &mut impl Iterator<Item = Operation>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut tables = Opened::open(&transaction)?;
            for operation in operations {
                operation.run(&mut tables, &self.quota, answers)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Operation {
    fn run(
        self,
        tables: &mut Opened<'_>,
        quota: &Quota,
        answers: &mut Vec<Answer>,
    ) -> Result<(), redb::Error> {
        match self {
            Self::Put(now, message, done) => {
                let outcome = rules::expire(tables, now)
                    .and_then(|_| rules::put(tables, quota, now, &message));
                answer(answers, outcome, done)
            }
            Self::Acknowledge(receiver, up_to, done) => {
                let outcome = rules::acknowledge(tables, receiver.as_str(), up_to);
                answer(answers, outcome, done)
            }
            Self::Expire(now, done) => {
                let outcome = rules::expire(tables, now);
                answer(answers, outcome.map(Ok), done)
            }
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Put(_, _, done) => done(Err(error.into())),
            Self::Acknowledge(_, _, done) => done(Err(error.into())),
            Self::Expire(_, done) => done(Err(error.into())),
        }
    }
}

/// Keeps the outcome until the transaction is durable. Also when the medium has failed: the caller
/// must be told then, too.
fn answer<T: Send + 'static>(
    answers: &mut Vec<Answer>,
    outcome: Result<Result<T, MailboxError>, redb::Error>,
    done: Done<T>,
) -> Result<(), redb::Error> {
    let (outcome, failed) = match outcome {
        Ok(outcome) => (Some(outcome), Ok(())),
        Err(error) => (None, Err(error)),
    };
    answers.push(Box::new(move |committed| {
        let ended = || Err(Error::Ended.into());
        done(match committed {
            Ok(()) => outcome.unwrap_or_else(ended),
            Err(error) => Err(error.into()),
        });
    }));
    failed
}
