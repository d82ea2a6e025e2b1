//! What can be wrong with messages, identities and keys on Z.

use refpoint_keys::EntityId;

/// Why a message, an identity or a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the peer sent cannot be read.
    #[error(transparent)]
    Unreadable(#[from] refpoint_primitive::Error),
    /// An end of Z is neither CSE nor NSE, or both ends are the same kind.
    #[error("{0} cannot be the peer on this z: one end is a cse, the other an nse")]
    WrongKind(EntityId),
    /// The network answered with another key than the one it was asked for.
    #[error("the network's answer is about another key: ask again")]
    OtherKey,
    /// The network says that the key belongs to another entity than this end's configuration does.
    #[error(
        "the network binds the key to another entity: correct the subscriber's entry at one end"
    )]
    OtherEntity,
    /// The key that this one should replace was not delivered by this network for this entity.
    #[error("the key to replace is unknown: import the new one without naming it")]
    UnknownPredecessor,
    /// The key cannot be used: it has expired, or is malformed.
    #[error(transparent)]
    Key(#[from] refpoint_keys::Error),
}
