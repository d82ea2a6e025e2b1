//! The key at the root of an entity's tree.

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label};
use crate::pair::Pair;
use crate::secret::Secret;
use crate::{ApplicationKey, ConnectionKey, EntityId, Error, KeyId, ReferencePoint, Validity};

/// The long-term key of one entity, shared with who provisioned it (Kmr of TS 102 690, Ke of
/// TS-0003).
///
/// It lives in a vault and only makes other keys. Both holders make the same connection keys of
/// it without a message, when they agree on id, reference point, entities and validity.
#[derive(Debug, ZeroizeOnDrop)]
pub struct RootKey(Secret);

impl RootKey {
    /// Takes over 32 uniformly random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The key of two entities at one reference point. The entities may come in either order.
    ///
    /// With `lp(x)` for one byte of length and then x itself, the lower id first:
    ///
    /// ```text
    /// ConnectionKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = RootKey, info, L = 32)
    /// info = lp("connection key") ‖ lp(reference point) ‖ lp(key id) ‖ lp(lower id) ‖ lp(higher id)
    ///        ‖ lp(not before) ‖ lp(not after)
    /// ```
    ///
    /// A time is 8 bytes, big-endian, seconds since 1970; an absent `not before` is empty. So
    /// nobody lengthens a key's life without changing the key.
    ///
    /// # Errors
    /// [`Error::SameEntity`] when both entities are the same.
    pub fn connection_key(
        &self,
        id: KeyId,
        point: ReferencePoint,
        a: &EntityId,
        b: &EntityId,
        validity: Validity,
    ) -> Result<ConnectionKey, Error> {
        let pair = Pair::new(a, b)?;
        let info = Info::new(Label::ConnectionKey).field(&[point.code()]);
        let secret = shared_by(info, &id, &pair, &validity).derive(&self.0);
        Ok(ConnectionKey::from_parts(secret, id, point, pair, validity))
    }

    /// The key of two end points, for what crosses the nodes between them. The entities may come
    /// in either order.
    ///
    /// ```text
    /// ApplicationKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = RootKey, info, L = 32)
    /// info = lp("application key") ‖ lp(key id) ‖ lp(lower id) ‖ lp(higher id)
    ///        ‖ lp(not before) ‖ lp(not after)
    /// ```
    ///
    /// # Errors
    /// [`Error::SameEntity`] when both entities are the same.
    pub fn application_key(
        &self,
        id: KeyId,
        a: &EntityId,
        b: &EntityId,
        validity: Validity,
    ) -> Result<ApplicationKey, Error> {
        let pair = Pair::new(a, b)?;
        let info = Info::new(Label::ApplicationKey);
        let secret = shared_by(info, &id, &pair, &validity).derive(&self.0);
        Ok(ApplicationKey::from_parts(secret, id, pair, validity))
    }

    /// The key's bytes, for the vault that seals them.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

fn shared_by(info: Info, id: &KeyId, pair: &Pair, validity: &Validity) -> Info {
    let (lower, higher) = pair.entities();
    let not_before = validity
        .not_before()
        .map(|time| time.as_secs().to_be_bytes());
    info.field(id.as_bytes())
        .field(lower.as_str().as_bytes())
        .field(higher.as_str().as_bytes())
        .field(not_before.as_ref().map_or(&[], |time| time.as_slice()))
        .field(&validity.not_after().as_secs().to_be_bytes())
}
