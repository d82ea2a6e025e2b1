use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use refpoint_association::{AssociationId, AttemptId};
use refpoint_keys::EntityId;

use crate::backoff::Backoff;
use crate::entropy;

/// What the driver knows of its peers: those with an association, and those to be reached.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_entity: HashMap<EntityId, Place>,
    by_association: HashMap<AssociationId, EntityId>,
    by_attempt: HashMap<AttemptId, EntityId>,
    /// When to try to reach whom: those to be reached that have no association and no attempt under way.
    due: BTreeSet<(Duration, EntityId)>,
}

#[derive(Debug, Default)]
pub(super) struct Place {
    association: Option<AssociationId>,
    /// When a record of the peer opened last.
    heard: Duration,
    /// Where this end makes associations by itself.
    way: Option<Way>,
}

#[derive(Debug)]
struct Way {
    at: SocketAddr,
    attempt: Option<AttemptId>,
    backoff: Backoff,
    /// When to try, if nothing is under way.
    next: Duration,
}

impl Place {
    pub(super) const fn association(&self) -> Option<AssociationId> {
        self.association
    }

    /// When a record of the peer opened last.
    pub(super) const fn heard(&self) -> Duration {
        self.heard
    }

    fn due(&self) -> Option<Duration> {
        let way = self.way.as_ref()?;
        (self.association.is_none() && way.attempt.is_none()).then_some(way.next)
    }
}

impl Peers {
    pub(super) fn find(&self, entity: &EntityId) -> Option<&Place> {
        self.by_entity.get(entity)
    }

    /// This end makes associations with `entity`, at this address.
    pub(super) fn reach(&mut self, entity: &EntityId, at: SocketAddr) {
        self.by_entity.entry(entity.clone()).or_default();
        self.change(entity, |place| {
            place.way = Some(Way {
                at,
                attempt: None,
                backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
                next: Duration::ZERO,
            });
        });
    }

    /// This end makes none any more; the one that there is.
    pub(super) fn forget(&mut self, entity: &EntityId) -> Option<AssociationId> {
        self.change(entity, |place| {
            place.way = None;
            place.association
        })?
    }

    /// Where a peer is that is to be reached.
    pub(super) fn way(&self, entity: &EntityId) -> Option<SocketAddr> {
        Some(self.by_entity.get(entity)?.way.as_ref()?.at)
    }

    /// A handshake with the peer is under way.
    pub(super) fn attempt(&mut self, entity: &EntityId, attempt: AttemptId) {
        self.change(entity, |place| {
            if let Some(way) = &mut place.way {
                way.attempt = Some(attempt);
            }
        });
    }

    /// The attempt has failed, or its association is over: the next one has its time.
    pub(super) fn lost(&mut self, entity: &EntityId, now: Duration, has_failed: bool) {
        self.change(entity, |place| {
            let Some(way) = &mut place.way else { return };
            way.attempt = None;
            if has_failed {
                way.backoff.failed(now, entropy::draw());
            }
            way.next = now.saturating_add(way.backoff.wait(now, entropy::draw()));
        });
    }

    /// The association with the entity, from now on.
    pub(super) fn establish(
        &mut self,
        entity: &EntityId,
        association: AssociationId,
        now: Duration,
    ) {
        self.by_association.insert(association, entity.clone());
        self.by_entity.entry(entity.clone()).or_default();
        self.change(entity, |place| {
            place.association = Some(association);
            place.heard = now;
            if let Some(way) = &mut place.way {
                way.attempt = None;
                way.backoff.succeeded(now);
            }
        });
    }

    /// A record of the peer has opened.
    pub(super) fn hear(&mut self, entity: &EntityId, now: Duration) {
        if let Some(place) = self.by_entity.get_mut(entity) {
            place.heard = now;
        }
    }

    /// `new` has taken the place of `old`, with the same entity.
    pub(super) fn replace(&mut self, old: AssociationId, new: AssociationId) {
        let Some(entity) = self.by_association.remove(&old) else {
            return;
        };
        let replaced = self.change(&entity, |place| {
            let replaced = place.association == Some(old);
            if replaced {
                place.association = Some(new);
            }
            replaced
        });
        if replaced == Some(true) {
            self.by_association.insert(new, entity);
        }
    }

    pub(super) fn owner(&self, association: AssociationId) -> Option<&EntityId> {
        self.by_association.get(&association)
    }

    /// An association is over: whose it was, if that has none any more.
    pub(super) fn end(&mut self, association: AssociationId) -> Option<EntityId> {
        let entity = self.by_association.remove(&association)?;
        let ended = self.change(&entity, |place| {
            place.association.take_if(|held| *held == association)
        });
        ended.flatten().map(|_| entity)
    }

    pub(super) fn of_attempt(&self, attempt: AttemptId) -> Option<&EntityId> {
        self.by_attempt.get(&attempt)
    }

    pub(super) fn associations(&self) -> Vec<AssociationId> {
        self.by_association.keys().copied().collect()
    }

    /// Who is to be reached now. Each is to be told what came of it, by [`Peers::attempt`] or [`Peers::lost`].
    pub(super) fn due(&self, now: Duration) -> Vec<EntityId> {
        let due = self.due.iter().take_while(|(next, _)| *next <= now);
        due.map(|(_, entity)| entity.clone()).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.due.first().map(|(next, _)| *next)
    }

    /// Changes what is known of a peer, and with it the tables that are made of it.
    fn change<R>(&mut self, entity: &EntityId, change: impl FnOnce(&mut Place) -> R) -> Option<R> {
        let place = self.by_entity.get_mut(entity)?;
        let attempt = |place: &Place| place.way.as_ref().and_then(|way| way.attempt);
        let before = (place.due(), attempt(place));
        let result = change(place);
        let after = (place.due(), attempt(place));
        if place.association.is_none() && place.way.is_none() {
            self.by_entity.remove(entity);
        }
        if before.0 != after.0 {
            before.0.map(|due| self.due.remove(&(due, entity.clone())));
            after.0.map(|due| self.due.insert((due, entity.clone())));
        }
        if before.1 != after.1 {
            before.1.map(|attempt| self.by_attempt.remove(&attempt));
            after
                .1
                .map(|attempt| self.by_attempt.insert(attempt, entity.clone()));
        }
        Some(result)
    }
}
