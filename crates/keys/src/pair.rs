//! Two entities that share a key.

use crate::{EntityId, Error};

/// Two different entities, in no order: kept with the lower id first.
#[derive(Clone)]
pub(crate) struct Pair {
    lower: EntityId,
    higher: EntityId,
}

impl Pair {
    pub(crate) fn new(a: &EntityId, b: &EntityId) -> Result<Self, Error> {
        let (lower, higher) = match a.cmp(b) {
            core::cmp::Ordering::Less => (a, b),
            core::cmp::Ordering::Greater => (b, a),
            core::cmp::Ordering::Equal => return Err(Error::SameEntity),
        };
        Ok(Self {
            lower: lower.clone(),
            higher: higher.clone(),
        })
    }

    pub(crate) fn entities(&self) -> (&EntityId, &EntityId) {
        (&self.lower, &self.higher)
    }

    pub(crate) fn peer_of(&self, entity: &EntityId) -> Option<&EntityId> {
        if *entity == self.lower {
            Some(&self.higher)
        } else if *entity == self.higher {
            Some(&self.lower)
        } else {
            None
        }
    }

    pub(crate) fn is(&self, a: &EntityId, b: &EntityId) -> bool {
        self.peer_of(a) == Some(b)
    }
}
