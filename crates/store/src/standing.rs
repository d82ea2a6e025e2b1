use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::Error;
use crate::secret::Secret;

/// Keys of a responder that must be the same after a restart, and how often it has started.
#[derive(Debug)]
pub struct StandingKeys {
    /// Keys the tags of handles (S6), which are checked before any look-up.
    pub tag: StandingKey,
    /// Authenticates address cookies (T2).
    pub cookie: StandingKey,
    /// Authenticates slot tokens (T2): a sender that was told to come back later is admitted
    /// although the responder has restarted in between.
    pub slot: StandingKey,
    /// Which start this is.
    pub generation: Generation,
}

impl StandingKeys {
    /// New keys, for a store that has none yet.
    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self {
            tag: StandingKey::generate()?,
            cookie: StandingKey::generate()?,
            slot: StandingKey::generate()?,
            generation: Generation(1),
        })
    }
}

/// 32 uniformly random bytes that a store keeps; wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct StandingKey(Secret);

impl StandingKey {
    pub(crate) fn generate() -> Result<Self, Error> {
        Secret::generate().map(Self)
    }

    pub(crate) fn copy_from(bytes: &[u8; 32]) -> Self {
        Self(Secret::copy_from(bytes))
    }

    /// The key's bytes, for the end point that uses it.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl fmt::Debug for StandingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandingKey(..)")
    }
}

/// How often a store has been opened, this time included: durable before anything else is done, so
/// no two starts have the same (the boot counter of S2).
///
/// A store that was restored from a copy repeats generations: it is a counter, not entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(crate) u64);

impl Generation {
    /// The count, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn next(self) -> Result<Self, Error> {
        self.0.checked_add(1).map(Self).ok_or(Error::Exhausted)
    }
}
