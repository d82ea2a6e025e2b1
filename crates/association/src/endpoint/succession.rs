//! Which of several associations with one peer lives on (rules H5 and H7).

use refpoint_keys::Role;
use refpoint_wire::CloseReason;

use super::{AssociationId, Endpoint, Event, Outbox, association::Phase};
use crate::Now;

/// What happens to an older association when a newer one is confirmed.
enum Fate {
    /// It drains: it only receives, and ends after a while.
    Drains,
    /// A tie that this end resolves: it closes its own.
    Yields,
    /// A tie that the other end resolves, or nothing to do with the newer one.
    Stays,
}

impl Endpoint {
    /// The association `id` was confirmed at this moment.
    pub(crate) fn succeed(&mut self, now: Now, id: AssociationId, out: &mut dyn Outbox) {
        let rivals = self.rivals(id);
        if let Some(newest) = self.overtaken_by(id, &rivals) {
            self.drain(now, id, newest, out);
        }
        for slot in rivals {
            let Some(old) = self.slots.association(slot).map(|held| held.id(slot)) else {
                continue;
            };
            match self.fate(slot, id) {
                Fate::Stays => {}
                Fate::Drains => self.drain(now, old, id, out),
                Fate::Yields => {
                    out.event(Event::Replaced { old, new: id });
                    self.close_slot(now, slot, CloseReason::Replaced, out);
                }
            }
        }
    }

    /// The other associations with the peer of this one at its reference point.
    fn rivals(&self, id: AssociationId) -> alloc::vec::Vec<u32> {
        let Ok(association) = self.association(id) else {
            return alloc::vec::Vec::new();
        };
        let peer = &association.peer;
        let credentials = self.credentials.with_siblings(peer.id);
        credentials
            .flat_map(|credential| self.of_credential(credential))
            .filter(|slot| *slot != id.slot)
            .collect()
    }

    /// Whether a newer association of the same direction has been made, confirmed or not: then this
    /// one needs no refresh.
    pub(crate) fn has_successor(&self, id: AssociationId) -> bool {
        let newer = |slot: &u32| {
            let (Some(rival), Ok(held)) = (self.slots.association(*slot), self.association(id))
            else {
                return false;
            };
            rival.serial > id.serial && held.peer.is_succeeded_by(&rival.peer)
        };
        self.rivals(id).iter().any(newer)
    }

    /// The newer association of the same direction that was confirmed before `id`: its initiator
    /// knows that one as newer too and has let go of `id`, whose confirmation came late. Without
    /// this, `id` would live on at this end alone if its Close were lost.
    fn overtaken_by(&self, id: AssociationId, rivals: &[u32]) -> Option<AssociationId> {
        let confirmed = &self.association(id).ok()?.peer;
        let newer = rivals.iter().filter_map(|slot| {
            let rival = self.slots.association(*slot)?;
            let overtakes = matches!(rival.phase, Phase::Established)
                && rival.serial > id.serial
                && confirmed.is_succeeded_by(&rival.peer);
            overtakes.then(|| rival.id(*slot))
        });
        newer.max_by_key(|rival| rival.serial)
    }

    fn fate(&self, slot: u32, newer: AssociationId) -> Fate {
        let (Some(old), Ok(new)) = (self.slots.association(slot), self.association(newer)) else {
            return Fate::Stays;
        };
        if old.session() != new.session()
            || matches!(old.phase, Phase::Unconfirmed(_) | Phase::Draining { .. })
        {
            return Fate::Stays;
        }
        if old.peer.is_succeeded_by(&new.peer) {
            return if old.serial < new.serial {
                Fate::Drains
            } else {
                Fate::Stays
            };
        }
        // The other direction (rule H7). Confirmed before the newer one's answer was given here, or
        // its confirmation sent: both ends know that it is the older one.
        if old.confirmed_at < new.serial {
            return Fate::Drains;
        }
        // Each may have sent its confirmation before it opened the other's. The end with the
        // higher id closes the one that it had initiated; the other waits for that close.
        let yields = new.peer.role == Role::Responder
            && self.local.entity() > new.peer.entity()
            && old.peer.role == Role::Initiator;
        if yields { Fate::Yields } else { Fate::Stays }
    }

    fn drain(&mut self, now: Now, old: AssociationId, new: AssociationId, out: &mut dyn Outbox) {
        if let Some(association) = self.slots.association_mut(old.slot) {
            association.phase = Phase::Draining {
                until: now.millis() + self.config.drain,
            };
            association.renewal = u64::MAX;
        }
        self.schedule(old.slot);
        out.event(Event::Replaced { old, new });
    }
}
