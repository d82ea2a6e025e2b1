//! What can be wrong with messages and identities on Y.

use refpoint_keys::EntityId;
use refpoint_primitive::Held;

/// Why a message or an identity was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the peer sent cannot be read.
    #[error(transparent)]
    Unreadable(#[from] refpoint_primitive::Error),
    /// An end of Y is no CSE, or is this end itself.
    #[error("{0} cannot be the peer on this y: name another cse")]
    WrongKind(EntityId),
    /// The peer's service provider does not go with its place: registrars and registrees have ours, Mcc' peers another.
    #[error(
        "{0} is of the wrong service provider: use mcc' for other providers, and only for them"
    )]
    WrongProvider(EntityId),
    /// The peer would speak for an entity of this end's own.
    #[error("{0} belongs to this end: no peer may speak for it")]
    Own(EntityId),
    /// There is a registrar already.
    #[error("{0} would be a second registrar: a cse registers at one only")]
    SecondRegistrar(EntityId),
    /// Another peer speaks for the entity.
    #[error(transparent)]
    Held(#[from] Held),
}
