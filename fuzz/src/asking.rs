//! What the targets of X, Y and Z have in common: somebody asks.

use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{Checked, Operation, Peer, RequestId, ResourceType};

use crate::Input;

/// A request as far as a layer checks it.
pub(crate) struct Ask<'a> {
    from: Option<&'a str>,
    operation: Operation,
    resource_type: Option<ResourceType>,
    request_id: RequestId,
}

impl<'a> Ask<'a> {
    /// A byte that chooses what is asked for, then a line that says from whom; empty is absent.
    pub(crate) fn read(input: &mut Input<'a>) -> Option<Self> {
        let choice = input.byte();
        let from = input.line()?;
        let creates = choice & 1 == 1;
        Some(Self {
            from: (!from.is_empty()).then_some(from),
            operation: if creates {
                Operation::Create
            } else {
                Operation::Retrieve
            },
            resource_type: creates.then(|| ResourceType::new(u32::from(choice >> 1 & 0x1f))),
            request_id: RequestId::new("r1").expect("a valid request id"),
        })
    }

    /// The same request, from someone else.
    pub(crate) fn by<'b>(&self, from: &'b str) -> Ask<'b> {
        Ask {
            from: Some(from),
            request_id: self.request_id.clone(),
            ..*self
        }
    }

    /// Whether it asks for an AE's registration and leaves the id to the CSE (TS-0001, 10.2.2.2).
    pub(crate) fn is_newcomer(&self) -> bool {
        let registers = self.resource_type == Some(ResourceType::AE);
        registers && matches!(self.from, None | Some("C" | "S"))
    }

    /// Who it says it is from, as it is understood at `cse`.
    pub(crate) fn originator(&self, cse: &EntityId) -> Option<EntityId> {
        EntityId::resolve(self.from?, cse.service_provider(), Some(cse)).ok()
    }

    pub(crate) fn checked(&self) -> Checked<'_> {
        Checked {
            operation: self.operation,
            to: "cse",
            from: self.from,
            request_id: &self.request_id,
            resource_type: self.resource_type,
            expiration: None,
            release_version: None,
        }
    }
}

/// A valid id.
pub(crate) fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

/// An association with `entity`.
pub(crate) fn peer(entity: &EntityId, point: ReferencePoint) -> Peer {
    Peer {
        entity: entity.clone(),
        point,
        role: Role::Initiator,
    }
}
