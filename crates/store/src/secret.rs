use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// 32 secret bytes at one place on the heap, wiped before that place is given back.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Secret(Box<[u8; Self::LEN]>);

impl Secret {
    pub(crate) const LEN: usize = 32;

    /// Draws a secret from the operating system.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut secret = Self(Box::new([0; Self::LEN]));
        random(&mut *secret.0)?;
        Ok(secret)
    }

    /// Copies a secret from where the caller wipes it.
    pub(crate) fn copy_from(bytes: &[u8; Self::LEN]) -> Self {
        let mut secret = Self(Box::new([0; Self::LEN]));
        secret.0.copy_from_slice(bytes);
        secret
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Fills `bytes` from the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error::Randomness(error.to_string()))
}
