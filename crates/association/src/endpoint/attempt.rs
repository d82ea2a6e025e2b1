use alloc::{boxed::Box, vec::Vec};
use core::net::SocketAddr;

use rand_core::CryptoRng;
use refpoint_wire::{Control, Cookie, Index, Packet, RecordKind, Refuse, Retry, SessionLabel};
use zeroize::Zeroizing;

use super::{
    AssociationId, AttemptId, Endpoint, Event, Outbox,
    association::{Association, Confirming, Phase},
    packet_hash,
    slots::Slot,
    timer,
};
use crate::{
    Backoff, CredentialId, Error, Now,
    negotiation::{Context, Offer, Wanted},
};

/// Tries of one handshake that stay answerable (rule H2).
const MAX_TRIES: usize = 4;

/// The association that a handshake runs inside of, and what binds the two (rule L1): boxed, so
/// that no copy of it stays behind where an attempt is moved from.
pub(crate) type Inside = (AssociationId, Box<Zeroizing<[u8; 32]>>);

/// A handshake that this end has started.
#[derive(Debug)]
pub(crate) struct Attempt {
    to: SocketAddr,
    wanted: Wanted,
    /// The association that is refreshed, inside which this handshake runs, and what binds them.
    inside: Option<Inside>,
    tries: Vec<Try>,
    since: u64,
    until: u64,
    repeats: u32,
    timer: u64,
    /// An unauthenticated hint: it only chooses the words of the failure.
    other_version: bool,
}

#[derive(Debug)]
struct Try {
    index: Index,
    offer: Offer,
    retried: bool,
}

impl Attempt {
    fn context<'a>(&'a self, context: Context<'a>) -> Context<'a> {
        Context {
            binding: self.inside.as_ref().map(|(_, binding)| &***binding),
            ..context
        }
    }

    /// The try that this Retry answers, once; none of a refresh, whose path needs no proof.
    fn answered_by(&mut self, from: SocketAddr, retry: &Retry) -> Option<&mut Try> {
        if from != self.to || self.inside.is_some() || self.tries.len() >= MAX_TRIES {
            return None;
        }
        self.tries.iter_mut().find(|held| {
            Some(held.index) == retry.index
                && !held.retried
                && packet_hash(&held.offer.packet) == retry.echo
        })
    }
}

impl Endpoint {
    /// Starts a handshake with the peer of a credential, at this address. The outcome is an
    /// [`Event::Established`] or an [`Event::Failed`].
    ///
    /// # Errors
    /// When the credential does not exist, does not allow it, is incomplete or has expired, or
    /// when there are too many associations. Nothing has been sent then.
    pub fn connect(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        to: SocketAddr,
        credential: CredentialId,
        session: SessionLabel,
        out: &mut dyn Outbox,
    ) -> Result<AttemptId, Error> {
        let found = self
            .credentials
            .find(credential)
            .ok_or(Error::NoCredential)?
            .clone();
        let wanted = Wanted {
            credential: found,
            id: credential,
            session,
        };
        self.attempt(now, rng, to, wanted, None, out)
    }

    pub(crate) fn attempt(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        to: SocketAddr,
        wanted: Wanted,
        inside: Option<Inside>,
        out: &mut dyn Outbox,
    ) -> Result<AttemptId, Error> {
        let since = now.millis();
        let mut attempt = Attempt {
            to,
            wanted,
            inside,
            tries: Vec::new(),
            since,
            until: since + self.config.handshake_timeout,
            repeats: 0,
            timer: 0,
            other_version: false,
        };
        self.try_once(now, rng, &mut attempt, None)?;
        let number = self.number();
        self.file(number, attempt, rng);
        self.repeat(now, number, out);
        Ok(AttemptId(number))
    }

    /// Adds a try with a new ephemeral key and index; [`file`](Self::file) makes it findable.
    fn try_once(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        attempt: &mut Attempt,
        cookie: Option<Cookie>,
    ) -> Result<(), Error> {
        if self.slots.held() >= self.config.associations {
            return Err(Error::Full("associations"));
        }
        let index = self
            .slots
            .reserve(now.millis(), rng)
            .ok_or(Error::Full("associations"))?;
        let context = attempt.context(self.context());
        match Offer::new(
            &context,
            attempt.wanted.clone(),
            Some(index),
            cookie,
            now,
            rng,
        ) {
            Ok(offer) => {
                attempt.tries.push(Try {
                    index,
                    offer,
                    retried: false,
                });
                Ok(())
            }
            Err(error) => {
                self.slots.free(index, now.millis());
                Err(error)
            }
        }
    }

    /// Files an attempt with its tries' slots and its timer.
    fn file(&mut self, number: u64, mut attempt: Attempt, rng: &mut dyn CryptoRng) {
        for held in &attempt.tries {
            self.slots.put(
                held.index,
                Slot::Trying {
                    attempt: number,
                    index: held.index,
                },
            );
        }
        let next = attempt.timer.max(attempt.since) + Backoff::REPEAT.delay(attempt.repeats, rng);
        attempt.timer = next.min(attempt.until);
        self.timers.insert(self.attempt_timer(&attempt));
        self.attempts.insert(number, attempt);
    }

    /// Sends the newest try's Initiate, the same bytes each time (rule H2).
    fn repeat(&mut self, now: Now, number: u64, out: &mut dyn Outbox) {
        let Some(attempt) = self.attempts.get(&number) else {
            return;
        };
        let Some(last) = attempt.tries.last() else {
            return;
        };
        match &attempt.inside {
            None => out.transmit(attempt.to, &last.offer.packet),
            Some((id, _)) => {
                let (id, packet) = (*id, last.offer.packet.clone());
                let control = Control {
                    refresh: Some(packet),
                    ..Control::default()
                };
                // If the old association is gone, the attempt's own timeout ends it.
                let _ = self.send_control(now, id.slot, false, &control, out);
            }
        }
    }

    /// The timer of an attempt: repeat or give up.
    pub(crate) fn attempt_timeout(
        &mut self,
        now: Now,
        number: u64,
        rng: &mut dyn CryptoRng,
        out: &mut dyn Outbox,
    ) {
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        if now.millis() >= attempt.until {
            self.release(&attempt, None, now.millis());
            let error = if attempt.other_version {
                Error::Version
            } else {
                Error::NoAnswer
            };
            self.failed(now.millis(), number, &attempt, error, out);
            return;
        }
        attempt.repeats += 1;
        attempt.timer = now.millis();
        self.file(number, attempt, rng);
        self.repeat(now, number, out);
    }

    fn take_attempt(&mut self, number: u64) -> Option<Attempt> {
        let attempt = self.attempts.remove(&number)?;
        self.timers.remove(&self.attempt_timer(&attempt));
        Some(attempt)
    }

    /// The timer of an attempt is that of its first try's slot.
    fn attempt_timer(&self, attempt: &Attempt) -> u64 {
        let first = attempt.tries.first();
        timer(
            attempt.timer,
            first.map_or(0, |held| self.slots.number(held.index)),
        )
    }

    /// Frees the slots of an attempt's tries, except the one that was answered.
    fn release(&mut self, attempt: &Attempt, except: Option<Index>, now: u64) {
        for held in attempt
            .tries
            .iter()
            .filter(|held| Some(held.index) != except)
        {
            self.slots.free(held.index, now);
        }
    }

    /// Which attempt and try this index belongs to.
    fn tried(&self, index: Index) -> Option<u64> {
        match self.slots.slot(self.slots.addressed(index)?)? {
            Slot::Trying { attempt, .. } => Some(*attempt),
            Slot::Free(_) | Slot::Held(_) => None,
        }
    }

    /// A Respond, from outside or (`inside`) from the association that is refreshed.
    pub(crate) fn receive_respond(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        inside: Option<AssociationId>,
        index: Option<Index>,
        message: &[u8],
        out: &mut dyn Outbox,
    ) {
        let Some((index, number)) = index.and_then(|index| Some((index, self.tried(index)?)))
        else {
            self.statistics.malformed += 1;
            return;
        };
        let Some(attempt) = self.attempts.get_mut(&number) else {
            return;
        };
        if attempt.inside.as_ref().map(|(id, _)| *id) != inside {
            self.statistics.malformed += 1;
            return;
        }
        let held = attempt.tries.iter_mut().find(|held| held.index == index);
        let Some(answered) = held.and_then(|held| held.offer.answer(message).ok()) else {
            self.statistics.unauthenticated += 1;
            return;
        };
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        self.release(&attempt, Some(index), now.millis());
        let Some(place) = attempt.tries.iter().position(|held| held.index == index) else {
            return;
        };
        let offer = attempt.tries.swap_remove(place).offer;
        let context = attempt.context(self.context());
        let finished = offer.finish(&context, answered, now);
        let agreement = finished.and_then(|agreement| match agreement.remote {
            Some(remote) => Ok((agreement, remote)),
            None => Err(Error::Unexpected),
        });
        match agreement {
            Ok((agreement, remote)) => {
                let mut random = [0; 4];
                rng.fill_bytes(&mut random);
                let phase = Phase::Confirming(Box::new(Confirming {
                    owes_grant: agreement.owes_grant,
                    repeats: 0,
                    repeat_at: now.millis() + Backoff::REPEAT.delay(0, rng),
                    until: now.millis() + self.config.handshake_timeout,
                }));
                // A peer that has moved since the refresh began is where its answer came from.
                let to = inside.and_then(|id| self.address(id));
                let association = Association::new(
                    agreement,
                    (self.number(), index),
                    remote,
                    to.unwrap_or(attempt.to),
                    attempt.since,
                    phase,
                    u32::from_be_bytes(random),
                );
                let id = self.admit(association);
                self.confirm(now, id.slot, out);
                if let Some(peer) = self.peer(id) {
                    out.event(Event::Established {
                        id,
                        attempt: Some(AttemptId(number)),
                        peer,
                    });
                }
            }
            Err(error) => {
                self.slots.free(index, now.millis());
                self.failed(now.millis(), number, &attempt, error, out);
            }
        }
    }

    /// Tells that an attempt has come to nothing; a refresh is tried again later.
    fn failed(
        &mut self,
        now: u64,
        number: u64,
        attempt: &Attempt,
        error: Error,
        out: &mut dyn Outbox,
    ) {
        if let Some((id, _)) = attempt.inside {
            self.refresh_failed(now, id);
        }
        out.event(Event::Failed {
            attempt: AttemptId(number),
            error,
        });
    }

    /// Ends the attempts by a credential that is removed: none of them makes an association.
    pub(crate) fn abandon(&mut self, now: Now, credential: CredentialId, out: &mut dyn Outbox) {
        let attempts = self.attempts.iter();
        let numbers: Vec<_> = attempts
            .filter(|(_, attempt)| attempt.wanted.id == credential)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            if let Some(attempt) = self.take_attempt(number) {
                self.release(&attempt, None, now.millis());
                self.failed(now.millis(), number, &attempt, Error::NoCredential, out);
            }
        }
    }

    /// Sends a confirming record: empty, or with the grant that the peer needs (rules H6, L3).
    pub(crate) fn confirm(&mut self, now: Now, slot: u32, out: &mut dyn Outbox) {
        let Some(association) = self.slots.association(slot) else {
            return;
        };
        let Phase::Confirming(confirming) = &association.phase else {
            return;
        };
        let credential = association.peer.credential();
        let remaining = credential.remaining(now).ok().flatten();
        let control = Control {
            remaining: remaining.filter(|_| confirming.owes_grant),
            ..Control::default()
        };
        let _ = self.send_control(now, slot, true, &control, out);
    }

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
        held.retried = true;
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        let fresh = self
            .try_once(now, rng, &mut attempt, Some(retry.cookie))
            .is_ok();
        attempt.timer = now.millis();
        if fresh {
            attempt.repeats = 0;
        }
        self.file(number, attempt, rng);
        if fresh {
            self.repeat(now, number, out);
        }
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
        if !self.hints.take(now.millis()) {
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
            Refuse::NoAssociation { index } => {
                let refused = self.slots.numbers().find(|slot| {
                    let association = self.slots.association(*slot);
                    association.is_some_and(|held| held.remote == *index && held.address == from)
                });
                if let Some(slot) = refused {
                    self.start_beside(now, rng, slot, out);
                }
            }
        }
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
        self.start_beside(now, rng, id.slot, out);
        Ok(())
    }

    fn start_beside(&mut self, now: Now, rng: &mut dyn CryptoRng, slot: u32, out: &mut dyn Outbox) {
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
            let _ = self.attempt(now, rng, to, wanted, None, out);
        }
    }

    /// Whether a refresh of this association is under way.
    pub(crate) fn is_refreshing(&self, id: AssociationId) -> bool {
        let inside = |attempt: &Attempt| attempt.inside.as_ref().map(|(inside, _)| *inside);
        self.attempts
            .values()
            .any(|attempt| inside(attempt) == Some(id))
    }

    /// Seals a control message into a record of an association.
    pub(crate) fn send_control(
        &mut self,
        now: Now,
        slot: u32,
        confirm: bool,
        control: &Control,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        self.seal(
            now,
            slot,
            RecordKind::Control,
            confirm,
            &control.encode(),
            out,
        )
    }

    /// The Respond inside a control message of an association that is being refreshed.
    pub(crate) fn receive_refreshed(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        packet: &[u8],
        out: &mut dyn Outbox,
    ) {
        match Packet::parse(packet) {
            Ok(Packet::Respond { index, message }) => {
                self.receive_respond(now, rng, Some(id), index, message, out);
            }
            _ => self.statistics.malformed += 1,
        }
    }
}
