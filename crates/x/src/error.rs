//! What can be wrong with messages and identities on X.

use refpoint_keys::EntityId;
use refpoint_primitive::Held;

/// Why a message or an identity was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the peer sent cannot be read.
    #[error(transparent)]
    Unreadable(#[from] refpoint_primitive::Error),
    /// The message does not fit into one datagram.
    #[error(
        "message of {size} bytes is above the limit of {limit} for a datagram: send it on a stream"
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The most bytes.
        limit: usize,
    },
    /// An end of X is neither AE nor CSE, or both ends are the same kind.
    #[error("{0} cannot be the peer on this x: one end is an ae, the other a cse")]
    WrongKind(EntityId),
    /// A listed AE is named at another CSE.
    #[error("{0} is not named at this cse: list its own aes and those whose stem begins with S")]
    Elsewhere(EntityId),
    /// Two peers list the same entity.
    #[error(transparent)]
    Held(#[from] Held),
}
