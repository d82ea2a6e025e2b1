//! Keys under which small things are authenticated before a handshake is made.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::secret::Secret;

/// Tags an Initiate, so that a loaded responder admits who holds the key before it does any DH
/// (T1).
///
/// A sibling of [`AssociationPsk`](crate::AssociationPsk): the same context, a label of its own.
///
/// ```text
/// tag = HMAC-SHA256(TagKey, message)[0..8]
/// ```
pub struct TagKey(Secret);

/// Authenticates hints: what a loaded responder tells of when to come back (T3).
///
/// A sibling of [`AssociationPsk`](crate::AssociationPsk): the same context, a label of its own.
///
/// ```text
/// tag = HMAC-SHA256(HintKey, message)[0..8]
/// ```
pub struct HintKey(Secret);

impl TagKey {
    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The tag of `message`.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> [u8; 8] {
        tag(&self.0, message)
    }

    /// Whether `candidate` is the whole tag of `message`, in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], candidate: &[u8]) -> bool {
        tag(&self.0, message).ct_eq(candidate).into()
    }
}

impl HintKey {
    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The tag of `message`.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> [u8; 8] {
        tag(&self.0, message)
    }

    /// Whether `candidate` is the whole tag of `message`, in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], candidate: &[u8]) -> bool {
        tag(&self.0, message).ct_eq(candidate).into()
    }
}

fn tag(key: &Secret, message: &[u8]) -> [u8; 8] {
    let mac = hmac_sha256(key.bytes(), &[message]);
    let mut tag = [0; 8];
    tag.copy_from_slice(&mac.bytes()[..8]);
    tag
}

/// HMAC-SHA256 of the joined `parts`.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    let mut out = Secret::zero();
    out.bytes_mut().copy_from_slice(mac.finalize().as_bytes());
    out
}

impl ZeroizeOnDrop for TagKey {}

impl ZeroizeOnDrop for HintKey {}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

impl fmt::Debug for HintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HintKey(..)")
    }
}
