//! Keys under which small things are authenticated before a handshake is made.

use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::derivation::hmac_sha256;
use crate::secret::Secret;

/// Tags an Initiate, so that a loaded responder admits who holds the key before it does any DH
/// (T1).
///
/// A sibling of [`AssociationPsk`](crate::AssociationPsk): the same context, a label of its own.
///
/// ```text
/// tag = HMAC-SHA256(TagKey, message)[0..8]
/// ```
#[derive(Debug, ZeroizeOnDrop)]
pub struct TagKey(Secret);

/// Authenticates hints: what a loaded responder tells of when to come back (T3).
///
/// A sibling of [`AssociationPsk`](crate::AssociationPsk): the same context, a label of its own.
///
/// ```text
/// tag = HMAC-SHA256(HintKey, message)[0..8]
/// ```
#[derive(Debug, ZeroizeOnDrop)]
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
    let mut tag = [0; 8];
    hmac_sha256(key, &[message], &mut tag);
    tag
}
