//! The key that two entities share at one reference point.

use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label};
use crate::pair::Pair;
use crate::secret::Secret;
use crate::{
    AssociationPsk, EntityId, Error, HintKey, KeyId, PskContext, ReferencePoint, TagKey, Validity,
};

/// The key of a pair of entities at one reference point, for a limited time (Kc of TS-0003, Kmc of
/// TS 102 690).
///
/// It is provisioned ([`ConnectionKey::from_bytes`]), derived from a root key
/// ([`RootKey::connection_key`](crate::RootKey::connection_key)) or imported from the network
/// ([`NetworkKey::into_connection_key`](crate::NetworkKey::into_connection_key)). It never enters
/// a handshake itself: [`ConnectionKey::association_psk`] makes what does.
///
/// Who needs it in several places shares it by `Arc`; it cannot be copied.
#[derive(ZeroizeOnDrop)]
pub struct ConnectionKey {
    #[zeroize(skip)]
    id: KeyId,
    #[zeroize(skip)]
    point: ReferencePoint,
    #[zeroize(skip)]
    pair: Pair,
    #[zeroize(skip)]
    validity: Validity,
    secret: Secret,
}

impl ConnectionKey {
    /// A key that was provisioned as it is. The entities may come in either order.
    ///
    /// The bytes must be uniformly random; a pass phrase is no key.
    ///
    /// # Errors
    /// [`Error::SameEntity`] when both entities are the same.
    pub fn from_bytes(
        bytes: [u8; 32],
        id: KeyId,
        point: ReferencePoint,
        a: &EntityId,
        b: &EntityId,
        validity: Validity,
    ) -> Result<Self, Error> {
        Ok(Self {
            id,
            point,
            pair: Pair::new(a, b)?,
            validity,
            secret: Secret::take(bytes),
        })
    }

    pub(crate) const fn from_parts(
        secret: Secret,
        id: KeyId,
        point: ReferencePoint,
        pair: Pair,
        validity: Validity,
    ) -> Self {
        Self {
            id,
            point,
            pair,
            validity,
            secret,
        }
    }

    /// The name by which both ends know the key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The reference point it serves.
    #[must_use]
    pub const fn point(&self) -> ReferencePoint {
        self.point
    }

    /// The two entities, the lower id first.
    #[must_use]
    pub fn entities(&self) -> (&EntityId, &EntityId) {
        self.pair.entities()
    }

    /// The other entity of the pair; none when `entity` is not one of them.
    #[must_use]
    pub fn peer_of(&self, entity: &EntityId) -> Option<&EntityId> {
        self.pair.peer_of(entity)
    }

    /// When it may be used. No association outlives it (K3).
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// The pre-shared key of a handshake.
    ///
    /// With `lp(x)` for one byte of length and then x itself, and one byte for each code:
    ///
    /// ```text
    /// AssociationPsk = HKDF-SHA256(salt = "refpoint keys v1", ikm = ConnectionKey, info, L = 32)
    /// info = lp("association psk") ‖ lp(version) ‖ lp(profile) ‖ lp(reference point) ‖ lp(key id)
    ///        ‖ lp(initiator) ‖ lp(responder)                                               (K1)
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongReferencePoint`] or [`Error::WrongEntities`] when the context is not the
    /// key's.
    pub fn association_psk(&self, context: &PskContext<'_>) -> Result<AssociationPsk, Error> {
        let info = self.info(Label::AssociationPsk, context)?;
        Ok(AssociationPsk::from_secret(info.derive(&self.secret)))
    }

    /// The key of the tags by which a loaded responder knows this peer's Initiate (T1).
    ///
    /// ```text
    /// TagKey = as AssociationPsk, with lp("tag key") in place of lp("association psk")
    /// ```
    ///
    /// # Errors
    /// As [`ConnectionKey::association_psk`].
    pub fn tag_key(&self, context: &PskContext<'_>) -> Result<TagKey, Error> {
        let info = self.info(Label::TagKey, context)?;
        Ok(TagKey::from_secret(info.derive(&self.secret)))
    }

    /// The key of the hints that a loaded responder gives this peer (T3).
    ///
    /// ```text
    /// HintKey = as AssociationPsk, with lp("hint key") in place of lp("association psk")
    /// ```
    ///
    /// # Errors
    /// As [`ConnectionKey::association_psk`].
    pub fn hint_key(&self, context: &PskContext<'_>) -> Result<HintKey, Error> {
        let info = self.info(Label::HintKey, context)?;
        Ok(HintKey::from_secret(info.derive(&self.secret)))
    }

    /// The key's bytes, for who provisions it to the entity or seals it in a vault.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.secret.bytes()
    }

    fn info(&self, label: Label, context: &PskContext<'_>) -> Result<Info, Error> {
        if context.point != self.point {
            return Err(Error::WrongReferencePoint);
        }
        if !self.pair.is(context.initiator, context.responder) {
            return Err(Error::WrongEntities);
        }
        Ok(context.info(label, &self.id))
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionKey(..)")
    }
}
