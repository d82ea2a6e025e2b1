//! What an application key becomes for objects that are sealed one way.

use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::derivation::hmac_sha256;
use crate::secret::Secret;

/// The pre-shared key of sealed objects from one end point to another.
///
/// Made by [`ApplicationKey::object_psk`](crate::ApplicationKey::object_psk), used in the one-way
/// pattern `Kpsk0` and nowhere else.
#[derive(Debug, ZeroizeOnDrop)]
pub struct ObjectPsk(Secret);

/// Vouches for the pre-keys of one end point to the other, where no authority signs.
///
/// Made by [`ApplicationKey::voucher_key`](crate::ApplicationKey::voucher_key).
///
/// ```text
/// voucher = HMAC-SHA256(VoucherKey, statement)
/// ```
#[derive(Debug, ZeroizeOnDrop)]
pub struct VoucherKey(Secret);

impl ObjectPsk {
    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The key's bytes, for the pattern that mixes them in.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl VoucherKey {
    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The voucher for `statement`.
    #[must_use]
    pub fn vouch(&self, statement: &[u8]) -> [u8; 32] {
        let mut voucher = [0; 32];
        hmac_sha256(&self.0, &[statement], &mut voucher);
        voucher
    }

    /// Whether `candidate` is the whole voucher for `statement`, in constant time.
    #[must_use]
    pub fn verify(&self, statement: &[u8], candidate: &[u8]) -> bool {
        self.vouch(statement).ct_eq(candidate).into()
    }
}
