use refpoint_wire::{Index, Packet, Refuse};

use super::Endpoint;

impl Endpoint {
    /// Whether a packet is for this end point, where several share one socket as initiators: the
    /// one whose index it bears, or all of them when it bears none of theirs.
    ///
    /// Give it to no other: who gets a record for an index that it does not have tells the sender
    /// that there is no such association.
    #[must_use]
    pub fn is_addressed(&self, packet: &[u8]) -> bool {
        let has = |index: Index| self.slots.addressed(index).is_some();
        match Packet::parse(packet) {
            Ok(Packet::Record(record)) => has(record.index()),
            Ok(
                Packet::Respond { index, .. }
                | Packet::Resumed { index, .. }
                | Packet::Refuse(Refuse::Handle { index, .. }),
            ) => index.is_some_and(has),
            Ok(Packet::Retry(retry)) => retry.index.is_some_and(has),
            // These bear the index of the one that refuses, or none.
            Ok(Packet::Refuse(Refuse::NoAssociation { .. } | Refuse::Version { .. })) => true,
            // An initiator does not know whom to address yet: these are a responder's.
            Ok(Packet::Initiate(_) | Packet::Resume(_)) | Err(_) => false,
        }
    }
}
