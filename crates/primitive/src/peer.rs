//! Who is behind an association, and who a request says it is from.

use refpoint_keys::{EntityId, ReferencePoint, Role};

use crate::{Checked, Failure, Operation, ResourceType};

/// The entity that an association has authenticated. Only the association's owner makes one: a layer believes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The entity at the other end.
    pub entity: EntityId,
    /// The reference point that the association was made for.
    pub point: ReferencePoint,
    /// The role of *this* end in the association.
    pub role: Role,
}

/// Who a request says it is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Originator {
    /// An entity.
    Entity(EntityId),
    /// An AE that wants to be registered: its id is to be chosen (TS-0001, 10.2.2.2: absent, `C` or `S`).
    Newcomer,
}

impl Originator {
    /// Reads `from` of a request that was sent at `cse`, to which its relative forms refer.
    ///
    /// # Errors
    /// [`Failure::Impersonation`] when it is absent, or one of the bare stems `C` and `S`, in anything but the Create of an AE;
    /// [`Failure::Malformed`] when it is no id.
    pub fn read(checked: &Checked<'_>, cse: &EntityId) -> Result<Self, Failure> {
        let is_registration = checked.operation == Operation::Create
            && checked.resource_type == Some(ResourceType::AE);
        match checked.from {
            None | Some("C" | "S") if is_registration => Ok(Self::Newcomer),
            None | Some("C" | "S") => Err(Failure::Impersonation),
            Some(from) => EntityId::resolve(from, cse.service_provider(), Some(cse))
                .map(Self::Entity)
                .map_err(|_| Failure::Malformed),
        }
    }
}
