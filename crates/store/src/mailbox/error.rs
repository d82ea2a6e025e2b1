use crate::Error;

/// Why a mailbox did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    // The caller's.
    /// The message's time is over.
    #[error("the message has expired")]
    Expired,
    /// The message would wait for longer than anything does here.
    #[error("the message expires too late: at most {0} s from now")]
    TooLate(u64),
    /// The message is longer than any that is taken.
    #[error("{size} bytes exceed the limit of {most}: send less at once")]
    TooLong {
        /// Its length, in bytes.
        size: usize,
        /// The longest that is taken, in bytes.
        most: usize,
    },
    /// Another message of this sender has this id.
    #[error("the sender has used this id for another message: draw a new one")]
    Conflict,
    /// The receiver never had such a position.
    #[error("no such position: the receiver acknowledges what it was never given")]
    Unknown,

    // Exhausted.
    /// As much waits for this receiver as may.
    #[error("the receiver's mailbox is full: it must fetch and acknowledge first")]
    ReceiverFull,
    /// As much waits in all as may.
    #[error("the mailbox is full")]
    Full,

    // The machine's.
    /// The medium failed.
    #[error(transparent)]
    Store(#[from] Error),
}
