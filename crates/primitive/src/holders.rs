//! Which peer speaks for which entity.

use alloc::collections::{BTreeMap, BTreeSet};

use refpoint_keys::EntityId;

/// Every entity has at most one holder: the peer that speaks for it. Who comes second is refused, never preferred.
#[derive(Debug, Clone, Default)]
pub struct Holders(BTreeMap<EntityId, EntityId>);

/// Another peer holds this entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entity} is held by another peer: release it there first")]
pub struct Held {
    /// The entity.
    pub entity: EntityId,
}

impl Holders {
    /// Nobody holds anything.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// `holder` holds these entities from now on, and no others.
    ///
    /// # Errors
    /// [`Held`] when another holds one of them; then nothing has changed.
    pub fn hold(&mut self, holder: &EntityId, entities: &BTreeSet<EntityId>) -> Result<(), Held> {
        let by_another =
            |entity: &&EntityId| self.holder(entity).is_some_and(|found| found != holder);
        if let Some(entity) = entities.iter().find(by_another) {
            return Err(Held {
                entity: entity.clone(),
            });
        }
        self.release(holder);
        self.0.extend(
            entities
                .iter()
                .map(|entity| (entity.clone(), holder.clone())),
        );
        Ok(())
    }

    /// `holder` holds nothing any more.
    pub fn release(&mut self, holder: &EntityId) {
        self.0.retain(|_, found| found != holder);
    }

    /// Who holds `entity`.
    #[must_use]
    pub fn holder(&self, entity: &EntityId) -> Option<&EntityId> {
        self.0.get(entity)
    }
}
