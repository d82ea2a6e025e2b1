//! Which peer speaks for which entity.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

use refpoint_keys::EntityId;

/// Every entity has at most one holder: the peer that speaks for it. Who comes second is refused, never preferred.
///
/// Who holds a CSE holds the AEs named at it.
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
        let by_another = |entity: &&EntityId| {
            let above = self.holder(entity);
            let mut all = above.into_iter().chain(self.holders_at(entity));
            all.any(|found| found != holder)
        };
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

    /// What `holder` holds.
    #[must_use]
    pub fn held_by(&self, holder: &EntityId) -> BTreeSet<EntityId> {
        let own = self.0.iter().filter(|(_, found)| *found == holder);
        own.map(|(entity, _)| entity.clone()).collect()
    }

    /// Who holds `entity`, or the CSE that it is named at.
    #[must_use]
    pub fn holder(&self, entity: &EntityId) -> Option<&EntityId> {
        let by_cse = || self.0.get(&entity.cse()?);
        self.0.get(entity).or_else(by_cse)
    }

    /// Who holds AEs that are named at `cse`.
    fn holders_at(&self, cse: &EntityId) -> impl Iterator<Item = &EntityId> {
        // The ids of its AEs begin with its own, so that they follow it in the order of ids.
        let after = self.0.range((Bound::Excluded(cse), Bound::Unbounded));
        let near = after.take_while(|(entity, _)| entity.as_str().starts_with(cse.as_str()));
        let at = near.filter(|(entity, _)| entity.is_at(cse));
        at.map(|(_, holder)| holder)
    }
}
