use core::fmt;

use refpoint_wire::{Sequence, Suite};
use zeroize::Zeroize;

use crate::{Backend, backend::Aead};

/// The expanded key of one direction and epoch.
pub(crate) struct EpochKey {
    aead: Aead,
    iv: [u8; 12],
}

impl EpochKey {
    pub(crate) fn new(backend: Backend, suite: Suite, key: &[u8; 32], iv: [u8; 12]) -> Self {
        Self {
            aead: Aead::new(backend, suite, key),
            iv,
        }
    }

    /// Of the key and the IV of an epoch.
    pub(crate) fn from_secret(backend: Backend, suite: Suite, secret: &[u8; 44]) -> Self {
        let (key, iv) = secret.split_first_chunk().expect("44 bytes hold 32");
        Self::new(backend, suite, key, iv.try_into().expect("12 bytes remain"))
    }

    /// `nonce = iv XOR sequence` (rule R3): the sequence big-endian in the last 8 bytes.
    #[inline]
    fn nonce(&self, sequence: Sequence) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.number().to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    #[inline]
    pub(crate) fn seal(
        &self,
        sequence: Sequence,
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], ()> {
        self.aead.seal(self.nonce(sequence), aad, data)
    }

    #[inline]
    pub(crate) fn open(&self, sequence: Sequence, aad: &[u8], sealed: &mut [u8]) -> Result<(), ()> {
        self.aead.open(self.nonce(sequence), aad, sealed)
    }
}

impl Drop for EpochKey {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}
