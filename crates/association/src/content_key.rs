//! The key of one object for many receivers.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use hkdf::Hkdf;
use rand_core::CryptoRng;
use refpoint_wire::Suite;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Backend, Error, backend::Aead};

const SEALING: &[u8] = b"refpoint/1 content key";
const COMMITMENT: &[u8] = b"refpoint/1 content commitment";

/// A key that seals one content, once: sealing uses it up.
///
/// Neither AES-GCM nor ChaCha20-Poly1305 commits to its key: whoever makes a ciphertext can make it
/// open differently under two keys. So a key comes with a commitment, which is bound to what is
/// sealed and checked before the key is used.
///
/// ```text
/// key        = HKDF-Expand(ContentKey, lp("refpoint/1 content key"), 32)          nonce: zero, since used once
/// commitment = HKDF-Expand(ContentKey, lp("refpoint/1 content commitment"), 32)
/// ```
pub struct ContentKey(SpentContentKey);

/// A [`ContentKey`] that has sealed its one content: it opens that content, and is handed to the
/// receivers.
pub struct SpentContentKey(Box<Zeroizing<[u8; 32]>>);

impl ContentKey {
    /// A new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        rng.fill_bytes(&mut **key);
        Self(SpentContentKey(key))
    }

    /// What commits to this key.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        self.0.commitment()
    }

    /// Seals `content` in place and appends the tag of 16 bytes; `aad` is authenticated, too.
    ///
    /// # Errors
    /// [`Error::Backend`] for lengths beyond the AEAD's.
    pub fn seal(
        self,
        backend: Backend,
        suite: Suite,
        aad: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<SpentContentKey, Error> {
        let tag = self.0.aead(backend, suite).seal([0; 12], aad, content);
        content.extend_from_slice(&tag.map_err(|()| Error::Backend("length"))?);
        Ok(self.0)
    }
}

impl SpentContentKey {
    /// The key with these bytes, which are wiped.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        key.copy_from_slice(&bytes);
        bytes.zeroize();
        Self(key)
    }

    /// The key's bytes, for who seals them to a receiver.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `commitment` commits to this key, in constant time.
    #[must_use]
    pub fn is_committed_by(&self, commitment: &[u8; 32]) -> bool {
        self.commitment().ct_eq(commitment).into()
    }

    /// Opens `sealed` in place, and takes the tag off.
    ///
    /// # Errors
    /// [`Error::Authentication`] when anything was altered.
    pub fn open(
        &self,
        backend: Backend,
        suite: Suite,
        aad: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let len = sealed.len().checked_sub(16).ok_or(Error::Authentication)?;
        self.aead(backend, suite)
            .open([0; 12], aad, sealed)
            .map_err(|()| Error::Authentication)?;
        sealed.truncate(len);
        Ok(())
    }

    fn commitment(&self) -> [u8; 32] {
        let mut commitment = [0; 32];
        self.expand(COMMITMENT, &mut commitment);
        commitment
    }

    fn aead(&self, backend: Backend, suite: Suite) -> Aead {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(SEALING, &mut key);
        Aead::new(backend, suite, &key)
    }

    fn expand(&self, label: &[u8], out: &mut [u8; 32]) {
        Hkdf::<Sha256>::from_prk(&**self.0)
            .expect("a key has the length of the hash")
            .expand_multi_info(&[&[label.len() as u8], label], out)
            .expect("32 bytes are one hash");
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl fmt::Debug for SpentContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpentContentKey(..)")
    }
}
