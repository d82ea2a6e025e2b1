//! What says something about an attempt without answering it: Retry, Refuse, a suspicion.

use core::time::Duration;

use refpoint_keys::Profile;
use refpoint_wire::{PacketHash, Refuse};

use super::{super::reserved::reserved, *};

/// How long a slot may be in the future, in milliseconds: one that the responder has authenticated,
/// and one that it could not (rule T3).
const PROVED_SLOT: u64 = 3_600_000;
const UNPROVED_SLOT: u64 = 60_000;

impl Endpoint {
    /// A Retry: one more try with its cookie, beside the earlier ones (rule H2). One that answers
    /// no try changes nothing, not even when the Initiate is repeated.
    pub(crate) fn receive_retry(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        retry: &Retry,
        out: &mut dyn Outbox,
    ) {
        let number = retry.index.and_then(|index| self.tried(index));
        let answered = number
            .and_then(|number| self.attempts.get_mut(&number))
            .and_then(|attempt| attempt.answered_by(from, retry));
        let (Some(held), Some(number)) = (answered, number) else {
            self.statistics.malformed += 1;
            return;
        };
        let profile = held.offer.profile();
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        if profile.is_none() {
            attempt.knows_handle(now.millis(), self.config.handshake_timeout);
        }
        let news = attempt.cookies.add(retry.cookie, rng);
        let serves = attempt.may_still_be_served();
        if retry.slot > 0 {
            if serves {
                attempt.transmit_resume(out);
            }
            let slot = (retry.slot, retry.cookie);
            self.wait_for_slot(now, number, &mut attempt, (slot, profile), out);
        } else if serves && !attempt.waits {
            return self.resume_again(now, rng, number, attempt, out);
        } else if news && !attempt.waits && attempt.followed < AT_ONCE {
            attempt.followed += 1;
            attempt.timer = now.millis();
            attempt.repeats = 0;
            let cookie = attempt.cookies.take(rng);
            let tried = self.try_once(now, rng, &mut attempt, cookie);
            self.file(number, attempt, rng);
            if tried.is_ok() {
                self.repeat(now, number, out);
            }
            return;
        } else if news && !attempt.waits {
            attempt.timer = attempt.timer.min(now.millis() + TURN);
        }
        self.keep(number, attempt);
    }

    /// The responder is busy and has given a slot: nothing is sent before, the token then (T2).
    fn wait_for_slot(
        &mut self,
        now: Now,
        number: u64,
        attempt: &mut Attempt,
        ((slot, token), profile): ((u32, Cookie), Option<Profile>),
        out: &mut dyn Outbox,
    ) {
        let limit = match profile {
            Some(Profile::Known) => UNPROVED_SLOT,
            _ => PROVED_SLOT,
        };
        let at = now.millis() + u64::from(slot).min(limit);
        if attempt.waits && attempt.timer <= at {
            return;
        }
        attempt.wait_until(at, self.config.handshake_timeout);
        let reserved = reserved(now, attempt, token, at);
        out.event(Event::Deferred {
            attempt: AttemptId(number),
            until: Duration::from_millis(at),
            slot: reserved.as_ref(),
        });
    }

    /// A hint without authentication: it ends nothing (rule H8).
    pub(crate) fn receive_refuse(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        refuse: &Refuse<'_>,
        out: &mut dyn Outbox,
    ) {
        let of_handle = matches!(refuse, Refuse::Handle { .. });
        if !of_handle && !self.hints.take(now.millis()) {
            self.statistics.limited += 1;
            return;
        }
        match refuse {
            Refuse::Version { echo, .. } => {
                for attempt in self
                    .attempts
                    .values_mut()
                    .filter(|attempt| attempt.to == from)
                {
                    let named = |held: &Try| packet_hash(&held.offer.packet) == *echo;
                    attempt.other_version |= attempt.tries.iter().any(named);
                }
            }
            Refuse::Handle { index, echo } => {
                self.handle_refused(now, rng, from, (*index, *echo), out);
            }
            Refuse::NoAssociation { index, issuer } => {
                let refused = self.slots.numbers().find(|slot| {
                    let association = self.slots.association(*slot);
                    association.is_some_and(|held| held.remote == *index && held.address == from)
                });
                if let Some(slot) = refused {
                    self.start_beside(now, rng, slot, Some(*issuer), out);
                }
            }
        }
    }

    /// The handle was refused, by whoever: it is tried once more, and a full handshake beside it.
    /// The handle stays until that confirms (rule S6), and the first answer that opens is used: a
    /// forged Refuse costs a handshake and spoils nothing.
    fn handle_refused(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        (index, echo): (Option<Index>, PacketHash),
        out: &mut dyn Outbox,
    ) {
        let number = index.and_then(|index| self.tried(index));
        let refused = number.and_then(|number| self.attempts.get_mut(&number));
        let refused = refused.filter(|attempt| {
            let named =
                |held: &Try| Some(held.index) == index && packet_hash(&held.offer.packet) == echo;
            attempt.to == from && attempt.resuming.is_some() && attempt.tries.iter().any(named)
        });
        let (Some(_), Some(number)) = (refused, number) else {
            self.statistics.malformed += 1;
            return;
        };
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        attempt.timer = now.millis();
        if !attempt.begins_with_resume()
            && self.try_once(now, rng, &mut attempt, None).is_ok()
            && let Some(again) = attempt.tries.last()
        {
            out.transmit(attempt.to, &again.offer.packet);
        }
        self.give_up_handle(now, rng, number, &mut attempt, Error::Handle, out);
        self.file(number, attempt, rng);
        self.repeat(now, number, out);
    }

    /// Tells that the peer of an association did not answer in time: if this end may initiate, a
    /// handshake is started beside the association, which stays as it is (rule H8).
    ///
    /// # Errors
    /// [`Error::NoAssociation`].
    pub fn suspect(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        self.association(id)?;
        // Not charged to the budget of unauthenticated hints, which strangers can empty: there is
        // one handshake at a time, and that bounds it.
        self.start_beside(now, rng, id.slot, None, out);
        Ok(())
    }

    fn start_beside(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        slot: u32,
        issuer: Option<u8>,
        out: &mut dyn Outbox,
    ) {
        let Some(association) = self.slots.association(slot) else {
            return;
        };
        if !matches!(association.phase, Phase::Established | Phase::Confirming(_)) {
            return;
        }
        let wanted = Wanted {
            credential: association.peer.credential().clone(),
            id: association.peer.credential_id(),
            session: association.session(),
        };
        let to = association.address;
        let busy = self.attempts.values().any(|attempt| {
            attempt.inside.is_none() && attempt.to == to && attempt.wanted.id == wanted.id
        });
        if !busy {
            // A credential by which only the peer initiates leaves it to the peer.
            let _ = self.attempt(now, rng, to, wanted, Start::Beside(issuer), out);
        }
    }
}
