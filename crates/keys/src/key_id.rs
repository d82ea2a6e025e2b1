//! The name of a key.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::Error;

/// Names a key to both of its holders: 1 to 32 opaque bytes.
///
/// It is no secret. In the profiles `psk` and `pinned` an eavesdropper sees it, the same for the
/// key's whole life. Short ids make short handshakes: four bytes suffice for most deployments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    // Zero beyond `length`, so that the derived comparisons are those of the byte strings.
    bytes: [u8; Self::MAX],
    length: u8,
}

impl KeyId {
    /// The longest key id, in bytes.
    pub const MAX: usize = 32;

    /// Takes an id as it is.
    ///
    /// # Errors
    /// [`Error::KeyIdLength`] unless there are 1 to 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(Error::KeyIdLength);
        }
        let length = u8::try_from(bytes.len()).map_err(|_| Error::KeyIdLength)?;
        let mut padded = [0; Self::MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self {
            bytes: padded,
            length,
        })
    }

    /// Makes an id of the text that another system names the key by (a B-TID, an A-KID, a KpsaID).
    ///
    /// ```text
    /// KeyId = text                          when UTF-8 of text has 1 to 32 bytes
    ///         SHA-256(text)[0..16]          when it is longer
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyIdLength`] when the text is empty.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        if text.len() <= Self::MAX {
            return Self::new(text.as_bytes());
        }
        Self::new(&Sha256::digest(text.as_bytes())[..16])
    }

    /// The id's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl TryFrom<&[u8]> for KeyId {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        Self::new(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
