//! What enters the handshake.

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label};
use crate::secret::Secret;
use crate::{EntityId, KeyId, Profile, ReferencePoint, Version};

/// What an association is to be: the context of the keys that make it (K1).
#[derive(Debug, Clone, Copy)]
pub struct PskContext<'a> {
    /// The protocol's version.
    pub version: Version,
    /// The handshake.
    pub profile: Profile,
    /// The reference point; it must be the key's own.
    pub point: ReferencePoint,
    /// Who sends the first message.
    pub initiator: &'a EntityId,
    /// Who answers it.
    pub responder: &'a EntityId,
}

impl PskContext<'_> {
    /// K1. Version, profile, reference point, key id and the *ordered* ids: without the order, an
    /// Initiate that is echoed to its sender completes, and the sender takes itself for the peer.
    pub(crate) fn info(&self, label: Label, id: &KeyId) -> Info {
        Info::new(label)
            .field(&[self.version.code()])
            .field(&[self.profile.code()])
            .field(&[self.point.code()])
            .field(id.as_bytes())
            .field(self.initiator.as_str().as_bytes())
            .field(self.responder.as_str().as_bytes())
    }
}

/// The pre-shared key of the Noise handshake, for one profile and one direction of initiation.
///
/// Made by [`ConnectionKey::association_psk`](crate::ConnectionKey::association_psk), used in
/// the handshake and nowhere else.
#[derive(Debug, ZeroizeOnDrop)]
pub struct AssociationPsk(Secret);

impl AssociationPsk {
    pub(crate) const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The key's bytes, for the handshake that mixes them in.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}
