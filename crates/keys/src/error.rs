//! What can be wrong with an id, a key or a derivation.

/// Why an id, a key or a derivation was refused.
///
/// In this order: what another party sent or named, what a key refuses, what the caller got wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A version byte that this build does not speak.
    #[error("unknown protocol version: use one that both ends speak")]
    UnknownVersion,
    /// A profile byte that stands for no profile.
    #[error("unknown profile code: use 1 psk, 2 pinned, 3 known or 4 first-contact")]
    UnknownProfile,
    /// A reference point byte that stands for no reference point.
    #[error("unknown reference point code: use 1 X, 2 Y, 3 Y', 4 Z or 5 end to end")]
    UnknownReferencePoint,
    /// A role byte that stands for no role.
    #[error("unknown role code: use 1 initiator or 2 responder")]
    UnknownRole,
    /// The id does not have one of the forms of oneM2M.
    #[error(
        "not an entity id: write //provider/cse, //provider/cse/Cname, //provider/Sname or //provider/nse-name"
    )]
    MalformedEntityId,
    /// The id holds a character that ids must not hold.
    #[error("entity id holds an illegal character: use letters, digits and - . _ ~ only")]
    IllegalCharacter,
    /// The service provider is no domain name.
    #[error("not a service provider id: write a domain name of letters, digits, - and .")]
    MalformedServiceProvider,
    /// The id is too long.
    #[error("entity id is too long: keep its absolute form within 255 bytes")]
    EntityIdTooLong,
    /// An AE-ID stem with `C` means nothing without the CSE at which it is registered.
    #[error("a stem with C is relative to a CSE: name the CSE, or use the absolute form")]
    StemWithoutCse,
    /// The entity named as the CSE is none, or is one of another service provider.
    #[error("not a CSE of this service provider: name a CSE by //provider/cse")]
    NotLocalCse,
    /// A key id of no bytes or of more than 32.
    #[error("key id has a wrong length: use 1 to 32 bytes")]
    KeyIdLength,
    /// A text that enters a derivation is empty or too long.
    #[error("text has a wrong length: use 1 to 255 bytes")]
    TextLength,

    /// The key belongs to another reference point than the one asked for.
    #[error("the key is for another reference point: use the key of this one")]
    WrongReferencePoint,
    /// The key belongs to another pair of entities than the one asked for.
    #[error("the key is for another pair of entities: use the key of this pair")]
    WrongEntities,
    /// The imported key's time is over.
    #[error("the network key has expired: bootstrap again with the network")]
    Expired,

    /// A pair made of one entity twice.
    #[error("both ends are the same entity: name two different ones")]
    SameEntity,
    /// A validity that ends before it begins.
    #[error("the validity is empty: let it end after it begins")]
    EmptyValidity,
    /// A code that is no security usage of oneM2M.
    #[error("unknown security usage: use 10 to 15, 21 to 25, 32 to 35 or 40 to 45")]
    UnknownUsage,
}
