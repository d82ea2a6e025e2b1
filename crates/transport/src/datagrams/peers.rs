use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;

use refpoint_association::{AssociationId, AttemptId};
use refpoint_keys::EntityId;

use crate::backoff::Backoff;
use crate::entropy;

/// What the driver knows of its peers: those with an association, and those to be reached.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_entity: HashMap<EntityId, Place>,
    by_association: HashMap<AssociationId, EntityId>,
}

#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) association: Option<AssociationId>,
    /// When a record of the peer opened last.
    pub(super) heard: Duration,
    /// Where this end makes associations by itself.
    pub(super) way: Option<Way>,
}

#[derive(Debug)]
pub(super) struct Way {
    pub(super) at: SocketAddr,
    pub(super) attempt: Option<AttemptId>,
    pub(super) backoff: Backoff,
    /// When to try, if nothing is under way.
    pub(super) next: Duration,
}

impl Way {
    pub(super) const fn new(at: SocketAddr) -> Self {
        Self {
            at,
            attempt: None,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            next: Duration::ZERO,
        }
    }

    /// The attempt has failed, or its association is over.
    pub(super) fn lost(&mut self, now: Duration, has_failed: bool) {
        self.attempt = None;
        if has_failed {
            self.backoff.failed(now, entropy::draw());
        }
        self.next = now.saturating_add(self.backoff.wait(now, entropy::draw()));
    }
}

impl Peers {
    pub(super) fn find(&self, entity: &EntityId) -> Option<&Place> {
        self.by_entity.get(entity)
    }

    pub(super) fn find_mut(&mut self, entity: &EntityId) -> Option<&mut Place> {
        self.by_entity.get_mut(entity)
    }

    pub(super) fn place(&mut self, entity: &EntityId) -> &mut Place {
        self.by_entity.entry(entity.clone()).or_default()
    }

    /// The association with the entity, from now on.
    pub(super) fn establish(&mut self, entity: &EntityId, association: AssociationId) {
        self.by_association.insert(association, entity.clone());
        self.place(entity).association = Some(association);
    }

    /// `new` has taken the place of `old`, with the same entity.
    pub(super) fn replace(&mut self, old: AssociationId, new: AssociationId) {
        let Some(entity) = self.by_association.remove(&old) else {
            return;
        };
        let place = self.place(&entity);
        if place.association == Some(old) {
            place.association = Some(new);
            self.by_association.insert(new, entity);
        }
    }

    pub(super) fn owner(&self, association: AssociationId) -> Option<&EntityId> {
        self.by_association.get(&association)
    }

    /// An association is over: whose it was, if that has none any more.
    pub(super) fn end(&mut self, association: AssociationId) -> Option<EntityId> {
        let entity = self.by_association.remove(&association)?;
        let place = self.by_entity.get_mut(&entity)?;
        if place.association != Some(association) {
            return None;
        }
        place.association = None;
        if place.way.is_none() {
            self.by_entity.remove(&entity);
        }
        Some(entity)
    }

    pub(super) fn of_attempt(&mut self, attempt: AttemptId) -> Option<(&EntityId, &mut Place)> {
        self.by_entity.iter_mut().find(|(_, place)| {
            let way = place.way.as_ref();
            way.is_some_and(|way| way.attempt == Some(attempt))
        })
    }

    pub(super) fn associations(&self) -> Vec<AssociationId> {
        self.by_association.keys().copied().collect()
    }

    /// Who is to be reached, has no association and no attempt under way.
    fn unreached(&self) -> impl Iterator<Item = (&EntityId, &Way)> {
        let unassociated = self
            .by_entity
            .iter()
            .filter(|(_, place)| place.association.is_none());
        let ways = unassociated.filter_map(|(entity, place)| Some((entity, place.way.as_ref()?)));
        ways.filter(|(_, way)| way.attempt.is_none())
    }

    pub(super) fn due(&self, now: Duration) -> Vec<EntityId> {
        let due = self.unreached().filter(|(_, way)| way.next <= now);
        due.map(|(entity, _)| entity.clone()).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.unreached().map(|(_, way)| way.next).min()
    }
}
