//! Memory that holds a secret.

use alloc::boxed::Box;
use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes at one place on the heap, which are wiped before that place is given back.
///
/// Boxed, because a move would leave a copy of an array behind: on the stack, or in the old
/// memory of a collection that grew.
pub(crate) struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Takes the bytes over and wipes the argument's own copy.
    pub(crate) fn take(mut bytes: [u8; 32]) -> Self {
        let mut secret = Self::zero();
        secret.0.copy_from_slice(&bytes);
        bytes.zeroize();
        secret
    }

    /// Room to write a secret into.
    pub(crate) fn zero() -> Self {
        Self(Box::new([0; 32]))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

// `derive(Debug)` on a key of this crate prints `Name(..)`.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // That `drop` calls `zeroize` is in this file; to read memory that was given back would take
    // unsafe code, so the residue itself is for the scans of whole processes.
    #[test]
    fn wiping_a_secret_leaves_zeros() {
        let mut secret = Secret::take([0xa5; 32]);
        assert_eq!(secret.bytes(), &[0xa5; 32]);
        secret.zeroize();
        assert_eq!(secret.bytes(), &[0; 32]);
    }
}
