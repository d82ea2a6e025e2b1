//! Ed25519, by `ed25519-dalek`: the one seam to it.

use alloc::boxed::Box;
use core::fmt;

use ed25519_dalek::Signer as _;
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Error;

/// The private Ed25519 key of an entity (signs its pre-keys) or an authority (signs records).
///
/// Boxed and wiped when dropped. It is never the key that seals: one leaked does not give the other.
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

/// The public half of a [`SigningKey`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = ed25519_dalek::SIGNATURE_LENGTH;

impl SigningKey {
    /// The key with this seed (RFC 8032: the private key), which is wiped.
    #[must_use]
    pub fn from_bytes(mut seed: [u8; 32]) -> Self {
        let key = Box::new(ed25519_dalek::SigningKey::from_bytes(&seed));
        seed.zeroize();
        Self(key)
    }

    /// A new key; its seed is returned for safekeeping.
    pub fn generate(rng: &mut dyn CryptoRng) -> (Self, Zeroizing<[u8; 32]>) {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        (Self::from_bytes(*seed), seed)
    }

    /// Its public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, statement: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(statement).to_bytes()
    }
}

impl VerifyingKey {
    /// The key with these bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when they are no key, or one of low order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .map_err(|_| Error::Malformed("signing key"))?;
        if key.is_weak() {
            return Err(Error::Malformed("signing key"));
        }
        Ok(Self(key))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Refuses what the key's owner did not sign, and every second encoding of what it did.
    pub(crate) fn verify(&self, statement: &[u8], signature: &[u8]) -> Result<(), Error> {
        let signature = signature
            .try_into()
            .map_err(|_| Error::Malformed("signature"))?;
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0
            .verify_strict(statement, &signature)
            .map_err(|_| Error::Authentication)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(")?;
        let shown = self.as_bytes().iter().take(8);
        shown
            .into_iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}
