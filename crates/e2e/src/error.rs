use refpoint_primitive::Failure;
use thiserror::Error;

/// Why something could not be sealed or opened.
///
/// Ordered by whose fault it is: the sender's or a node's in between, ours, exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    // The sender's fault, or that of a node in between.
    /// The bytes are not what they should be.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// It was sealed with other keys, for another receiver or target, or altered since. Says
    /// nothing more on purpose.
    #[error(
        "it does not open: it was altered, redirected, or sealed with other keys, ids or for another target"
    )]
    Authentication,
    /// It was held back until after its expiry.
    #[error("it has expired: it was held back, or the clocks differ")]
    Expired,
    /// It was opened before.
    #[error("it was opened before: a replay")]
    Replayed,
    /// It was to be opened again, and was not opened before.
    #[error("it was not opened before: what is read again is what was read")]
    NotOpened,
    /// It is for something else.
    #[error("it is meant for another target")]
    WrongTarget,
    /// The static key that sealed it belongs to somebody else than it says.
    #[error("the sender is not who the object says: its static key is another entity's")]
    Impersonation,
    /// A group's content key is not the one that its sender committed to.
    #[error("the content key is not the one that the sender committed to")]
    Commitment,
    /// A session's association refuses it.
    #[error(transparent)]
    Association(refpoint_association::Error),

    // Ours.
    /// No application key or record of the sender is known.
    #[error(
        "the sender's key is unknown or outside its validity: add its record or application key"
    )]
    UnknownSender,
    /// The pre-key is unknown, or was destroyed when its time was over.
    #[error("the pre-key is unknown or destroyed: the sender must fetch the present one")]
    UnknownPreKey,
    /// A record, pre-key or key does not hold at present.
    #[error("the {0} is outside its validity: renew it or set the clock")]
    NotValid(&'static str),
    /// Without a wall clock expiry cannot be checked.
    #[error("expiry cannot be checked without a wall clock: set it, or allow to open without")]
    NoClock,
    /// The configuration does not allow it.
    #[error("{0} is not allowed here")]
    NotAllowed(&'static str),
    /// Kept state is older than what the mailbox knows to be acknowledged (rule E1).
    #[error(
        "the state is older than the mailbox's last acknowledgement: discard it and begin anew"
    )]
    Stale,
    /// A setting does not make sense.
    #[error("{0} is outside its range")]
    Config(&'static str),
    /// A key does not serve these two entities.
    #[error(transparent)]
    Keys(#[from] refpoint_keys::Error),
    /// A primitive cannot be carried.
    #[error(transparent)]
    Primitive(#[from] refpoint_primitive::Error),

    // Exhausted.
    /// It does not fit.
    #[error("{size} bytes exceed the limit of {limit}: use a group object or a session")]
    TooLarge {
        /// What was given.
        size: usize,
        /// What fits.
        limit: usize,
    },
    /// No more can be remembered.
    #[error("no room for more {0}: raise the limit or rotate sooner")]
    Full(&'static str),
}

impl Error {
    /// As what a node refuses a primitive for this reason, and with which result code.
    ///
    /// | error | failure |
    /// |---|---|
    /// | unknown sender or pre-key, out of validity, no session | unknown key |
    /// | altered, redirected, replayed, impersonated, not committed to | not sealed |
    /// | malformed, not carried | malformed |
    /// | expired | expired |
    /// | not allowed | forbidden |
    /// | too large | too large |
    /// | no room | queue full |
    /// | clock, state, configuration | internal |
    ///
    /// It tells a node in between no more than it can read off key id, number and expiry, which are in clear.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::UnknownSender
            | Self::UnknownPreKey
            | Self::NotValid(_)
            | Self::Association(_) => Failure::UnknownKey,
            Self::Authentication
            | Self::Replayed
            | Self::NotOpened
            | Self::WrongTarget
            | Self::Impersonation
            | Self::Commitment => Failure::NotSealed,
            Self::Malformed(_) | Self::Primitive(_) => Failure::Malformed,
            Self::Expired => Failure::Expired,
            Self::NotAllowed(_) => Failure::Forbidden,
            Self::TooLarge { .. } => Failure::TooLarge,
            Self::Full(_) => Failure::QueueFull,
            Self::NoClock | Self::Stale | Self::Config(_) | Self::Keys(_) => Failure::Internal,
        }
    }
}

impl From<refpoint_association::Error> for Error {
    fn from(error: refpoint_association::Error) -> Self {
        use refpoint_association::Error as Cause;
        match error {
            Cause::Authentication => Self::Authentication,
            Cause::TooLarge { size, limit } => Self::TooLarge { size, limit },
            error => Self::Association(error),
        }
    }
}
