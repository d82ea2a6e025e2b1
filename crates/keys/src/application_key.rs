//! The key that two end points share across the nodes between them.

use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label};
use crate::pair::Pair;
use crate::secret::Secret;
use crate::{
    ConnectionKey, EntityId, Error, KeyId, ObjectPsk, ReferencePoint, Validity, Version, VoucherKey,
};

/// The key of two end points, which no gateway or core between them holds (Ka).
#[derive(ZeroizeOnDrop)]
pub struct ApplicationKey {
    #[zeroize(skip)]
    id: KeyId,
    #[zeroize(skip)]
    pair: Pair,
    #[zeroize(skip)]
    validity: Validity,
    secret: Secret,
}

impl ApplicationKey {
    /// A key that was provisioned as it is: 32 uniformly random bytes. The entities may come in
    /// either order.
    ///
    /// # Errors
    /// [`Error::SameEntity`] when both entities are the same.
    pub fn from_bytes(
        bytes: [u8; 32],
        id: KeyId,
        a: &EntityId,
        b: &EntityId,
        validity: Validity,
    ) -> Result<Self, Error> {
        Ok(Self {
            id,
            pair: Pair::new(a, b)?,
            validity,
            secret: Secret::take(bytes),
        })
    }

    pub(crate) const fn from_parts(
        secret: Secret,
        id: KeyId,
        pair: Pair,
        validity: Validity,
    ) -> Self {
        Self {
            id,
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

    /// The two end points, the lower id first.
    #[must_use]
    pub fn entities(&self) -> (&EntityId, &EntityId) {
        self.pair.entities()
    }

    /// The other end point; none when `entity` is neither.
    #[must_use]
    pub fn peer_of(&self, entity: &EntityId) -> Option<&EntityId> {
        self.pair.peer_of(entity)
    }

    /// When it may be used.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// The key of end-to-end *associations* between the two, apart from every other use of Ka.
    ///
    /// ```text
    /// ConnectionKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = ApplicationKey, info, L = 32)
    /// info = lp("end-to-end connection key")
    /// ```
    ///
    /// It has the same id, entities and validity, at [`ReferencePoint::EndToEnd`].
    #[must_use]
    pub fn connection_key(&self) -> ConnectionKey {
        ConnectionKey::from_parts(
            Info::new(Label::EndToEndConnectionKey).derive(&self.secret),
            self.id,
            ReferencePoint::EndToEnd,
            self.pair.clone(),
            self.validity,
        )
    }

    /// The pre-shared key of objects that `sender` seals for `receiver`.
    ///
    /// ```text
    /// ObjectPsk = HKDF-SHA256(salt = "refpoint keys v1", ikm = ApplicationKey, info, L = 32)
    /// info = lp("object psk") ‖ lp(version) ‖ lp(key id) ‖ lp(sender) ‖ lp(receiver)
    /// ```
    ///
    /// The ids are ordered by direction: an object does not open as one of the other direction.
    ///
    /// # Errors
    /// [`Error::WrongEntities`] unless they are the key's two end points.
    pub fn object_psk(&self, sender: &EntityId, receiver: &EntityId) -> Result<ObjectPsk, Error> {
        if !self.pair.is(sender, receiver) {
            return Err(Error::WrongEntities);
        }
        let info = self
            .info(Label::ObjectPsk)
            .field(sender.as_str().as_bytes())
            .field(receiver.as_str().as_bytes());
        Ok(ObjectPsk::from_secret(info.derive(&self.secret)))
    }

    /// The key under which `owner` vouches for its pre-keys to the other end point.
    ///
    /// ```text
    /// VoucherKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = ApplicationKey, info, L = 32)
    /// info = lp("voucher key") ‖ lp(version) ‖ lp(key id) ‖ lp(owner)
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongEntities`] unless `owner` is one of the key's end points.
    pub fn voucher_key(&self, owner: &EntityId) -> Result<VoucherKey, Error> {
        self.pair.peer_of(owner).ok_or(Error::WrongEntities)?;
        let info = self
            .info(Label::VoucherKey)
            .field(owner.as_str().as_bytes());
        Ok(VoucherKey::from_secret(info.derive(&self.secret)))
    }

    fn info(&self, label: Label) -> Info {
        Info::new(label)
            .field(&[Version::CURRENT.code()])
            .field(self.id.as_bytes())
    }

    /// The key's bytes, for who provisions it to the end points or seals it in a vault.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.secret.bytes()
    }
}

impl fmt::Debug for ApplicationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApplicationKey(..)")
    }
}
