use alloc::sync::Arc;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    Backend, Error,
    backend::{self, X25519},
};

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes. Keys of low order are refused when they are used.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// The long-term X25519 key of an entity, for the profiles `pinned` and `known`.
///
/// It is bound to one backend when made, so that a handshake need not expand it again. Sharing it
/// between end points shares one copy.
#[derive(Clone)]
pub struct StaticKey {
    key: Arc<X25519>,
    backend: Backend,
}

impl StaticKey {
    /// The key with these secret bytes.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend refuses it.
    pub fn from_bytes(secret: &[u8; 32], backend: Backend) -> Result<Self, Error> {
        Ok(Self {
            key: X25519::shared(backend, secret)?,
            backend,
        })
    }

    /// A new key; its secret bytes are returned for safekeeping.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend refuses it.
    pub fn generate(
        rng: &mut dyn CryptoRng,
        backend: Backend,
    ) -> Result<(Self, Zeroizing<[u8; 32]>), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Ok((Self::from_bytes(&secret, backend)?, secret))
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        backend::public_key(&self.key)
    }

    /// The backend it is bound to.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn shared(&self) -> Arc<X25519> {
        self.key.clone()
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKey({:?})", self.public_key())
    }
}
