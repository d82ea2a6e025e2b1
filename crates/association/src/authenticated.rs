use alloc::sync::Arc;

use refpoint_keys::{EntityId, KeyId, Profile, ReferencePoint, Role};
use refpoint_wire::{SessionLabel, Terms};

use crate::{Credential, CredentialId};

/// Who is at the other end of an association, as the handshake proved it.
///
/// It says nothing of what the peer may claim in its messages: that is for the layers X, Y and Z.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(crate) credential: Arc<Credential>,
    pub(crate) id: CredentialId,
    pub(crate) session: SessionLabel,
    pub(crate) terms: Terms,
    pub(crate) role: Role,
}

impl Authenticated {
    /// The peer.
    #[must_use]
    pub fn entity(&self) -> &EntityId {
        self.credential.peer()
    }

    /// The reference point that the association serves.
    #[must_use]
    pub const fn point(&self) -> ReferencePoint {
        self.terms.point
    }

    /// The profile by which the peer was authenticated.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.terms.profile
    }

    /// Profile, suite and reference point.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// The role of *this* end in the handshake.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The session label that the initiator gave.
    #[must_use]
    pub const fn session(&self) -> SessionLabel {
        self.session
    }

    /// The key id of the connection key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.credential.key_id()
    }

    /// The credential behind it.
    #[must_use]
    pub const fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// Names that credential in the table it came from.
    #[must_use]
    pub const fn credential_id(&self) -> CredentialId {
        self.id
    }

    /// Whether `other` takes the place of this one when it is confirmed (rule H5): the same
    /// entity, reference point, direction and session. Carriage is the caller's to compare.
    pub(crate) fn is_succeeded_by(&self, other: &Self) -> bool {
        self.entity() == other.entity()
            && self.terms.point == other.terms.point
            && self.role == other.role
            && self.session == other.session
    }
}
