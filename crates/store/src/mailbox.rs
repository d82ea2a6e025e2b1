//! Store-and-forward: what was put for a receiver waits until the receiver has it.

mod account;
mod durable;
mod error;
mod memory;
mod message;
mod rules;
mod tables;

use refpoint_keys::{EntityId, UtcTime};

pub use account::Quota;
pub use durable::{MailboxOptions, RedbMailbox};
pub use error::MailboxError;
pub use memory::MemoryMailbox;
pub use message::{Message, MessageId, Position, Waiting};

/// Messages for receivers that are not there: ordered by receiver, each until it is acknowledged
/// or expires.
///
/// The bytes are sealed end to end; a mailbox sees who writes to whom, how much and until when.
///
/// | call | when it returns |
/// |---|---|
/// | [`Mailbox::put`] | the message is durable: nothing loses it but its acknowledgement and its expiry |
/// | the same put again | the same [`Position`], nothing changed, also after the acknowledgement, until the expiry |
/// | [`Mailbox::fetch`] | the durable messages after a position, in their order |
/// | [`Mailbox::acknowledge`] | the messages are gone, durably: no crash brings one back |
///
/// All calls may be made from many threads at once; those that write wait for the disk, together
/// if they come together. From asynchronous code use [`Mailbox::put_then`].
pub trait Mailbox: Send + Sync {
    /// Puts `message` and calls `done` with its position when it is durable, or with what it was
    /// refused for. Waits only when very many puts are under way.
    ///
    /// `done` runs on the mailbox's thread and should only hand the outcome on.
    fn put_then(&self, now: UtcTime, message: Message, done: Done<Position>);

    /// Acknowledges as [`Mailbox::acknowledge`] and calls `done` when that is durable.
    fn acknowledge_then(&self, receiver: EntityId, up_to: Position, done: Done<()>);

    /// The messages for `receiver` after the position `after` that have not expired at `now`: at
    /// most `most` of them, and no more than `bytes` in all unless the first alone is longer.
    ///
    /// # Errors
    ///
    /// When the medium failed.
    fn fetch(
        &self,
        now: UtcTime,
        receiver: &EntityId,
        after: Position,
        most: usize,
        bytes: usize,
    ) -> Result<Vec<Waiting>, MailboxError>;

    /// Removes what has expired at `now`; how many messages nobody fetched in time.
    ///
    /// # Errors
    ///
    /// When the medium failed.
    fn expire(&self, now: UtcTime) -> Result<u64, MailboxError>;

    /// Puts a message; its position once it is durable.
    ///
    /// # Errors
    ///
    /// When it has expired, is too long, exceeds a quota, or has the id of another message; and
    /// when the medium failed: whether it was put is unknown then, and to put it again is safe.
    fn put(&self, now: UtcTime, message: Message) -> Result<Position, MailboxError> {
        wait(|done| self.put_then(now, message, done))
    }

    /// Removes all messages for `receiver` up to and with `up_to`: it has them.
    ///
    /// # Errors
    ///
    /// [`MailboxError::Unknown`] when the position was never given; and when the medium failed: to
    /// acknowledge again is safe.
    fn acknowledge(&self, receiver: &EntityId, up_to: Position) -> Result<(), MailboxError> {
        wait(|done| self.acknowledge_then(receiver.clone(), up_to, done))
    }
}

/// What is called with an outcome once it is durable.
pub type Done<T> = Box<dyn FnOnce(Result<T, MailboxError>) + Send>;

/// Makes a call and waits for its outcome.
fn wait<T: Send + 'static>(call: impl FnOnce(Done<T>)) -> Result<T, MailboxError> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    call(Box::new(move |outcome| {
        // Who waits is below; it does not go away.
        let _ = sender.send(outcome);
    }));
    // The call was dropped without an outcome: the mailbox's thread has panicked.
    receiver.recv().unwrap_or(Err(crate::Error::Ended.into()))
}
