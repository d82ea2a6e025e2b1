use alloc::{boxed::Box, vec::Vec};
use core::net::SocketAddr;

use rand_core::CryptoRng;
use refpoint_wire::{Control, Cookie, Index, Mode, Packet, RecordKind, Retry, SessionLabel};
use zeroize::Zeroizing;

use self::{beside::Turn, cookies::Cookies};
use super::{
    AssociationId, AttemptId, Endpoint, Event, Outbox, association::Phase, packet_hash,
    slots::Slot, timer,
};
use crate::{
    Backoff, CredentialId, Error, HeldHandle, Now,
    negotiation::{Context, Offer, Wanted},
    time::millis,
};

mod answered;
mod beside;
mod cookies;
mod hinted;

pub(crate) use answered::Answer;

/// Tries of one handshake that stay answerable (rule H2).
const MAX_TRIES: usize = 4;

/// Retries that an attempt follows at once; more of them, of which most are forged then, wait for
/// their turn.
const AT_ONCE: u8 = 3;

/// From one turn of a cookie to the next, in milliseconds.
const TURN: u64 = 100;

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
    /// The handle that is redeemed, as long as that may still succeed.
    resuming: Option<Resuming>,
    tries: Vec<Try>,
    /// What Retries have brought and no try has used yet.
    cookies: Cookies,
    /// Retries that were followed at once.
    followed: u8,
    since: u64,
    until: u64,
    repeats: u32,
    /// How it repeats what is not answered.
    pace: Backoff,
    timer: u64,
    /// Nothing is sent before its slot has come.
    waits: bool,
    /// An unauthenticated hint: it only chooses the words of the failure.
    other_version: bool,
}

/// Where a handshake is to run.
pub(crate) enum Start {
    /// On its own, as the user wants.
    Alone,
    /// Beside an association whose peer seems to have lost it, and told by which tags it knows its
    /// handles (rule H8).
    Beside(Option<u8>),
    /// Inside the association that it refreshes.
    Inside(Inside),
}

#[derive(Debug)]
struct Resuming {
    mode: Mode,
    /// When it has gone unanswered for too long.
    until: u64,
    /// Whose turn comes next, once full handshakes are tried too.
    beside: Option<Turn>,
}

#[derive(Debug)]
struct Try {
    index: Index,
    offer: Offer,
}

impl Attempt {
    fn context<'a>(&'a self, context: Context<'a>) -> Context<'a> {
        Context {
            binding: self.inside.as_ref().map(|(_, binding)| &***binding),
            ..context
        }
    }

    /// Which credential it uses, and for which session.
    pub(crate) fn place(&self) -> (CredentialId, SessionLabel) {
        (self.wanted.id, self.wanted.session)
    }

    pub(crate) const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether a busy responder would give it a slot: `light` is simply served, and a refresh has
    /// no Retry.
    pub(crate) fn waits_for_slots(&self) -> bool {
        let is_light = matches!(&self.resuming, Some(resuming) if resuming.mode == Mode::Light);
        self.inside.is_none() && !is_light
    }

    /// It goes on when its slot has come, with this token and as much time as a new one.
    pub(crate) fn await_slot(
        &mut self,
        now: Now,
        wait: core::time::Duration,
        token: Cookie,
        rng: &mut dyn CryptoRng,
        timeout: u64,
    ) {
        self.cookies.add(token, rng);
        self.wait_until(now.millis().saturating_add(millis(wait)), timeout);
    }

    fn wait_until(&mut self, at: u64, timeout: u64) {
        self.timer = at;
        self.waits = true;
        self.pace = Backoff::SLOT;
        self.until = self.until.max(at.saturating_add(timeout));
        if let Some(resuming) = &mut self.resuming {
            resuming.until = resuming.until.max(at.saturating_add(timeout / 4));
        }
        self.is_next(Turn::Initiate);
    }

    /// The try that this Retry answers; none of a refresh, whose path needs no proof.
    fn answered_by(&mut self, from: SocketAddr, retry: &Retry) -> Option<&mut Try> {
        if from != self.to || self.inside.is_some() {
            return None;
        }
        self.tries.iter_mut().find(|held| {
            Some(held.index) == retry.index
                && packet_hash(&held.offer.packet) == retry.echo
                && held.offer.verifies(retry)
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
        self.attempt(now, rng, to, wanted, Start::Alone, out)
    }

    pub(crate) fn attempt(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        to: SocketAddr,
        wanted: Wanted,
        start: Start,
        out: &mut dyn Outbox,
    ) -> Result<AttemptId, Error> {
        let since = now.millis();
        let (inside, issuer) = match start {
            Start::Alone => (None, None),
            Start::Beside(issuer) => (None, issuer),
            Start::Inside(inside) => (Some(inside), None),
        };
        let mut attempt = Attempt {
            to,
            wanted,
            resuming: None,
            inside,
            tries: Vec::new(),
            cookies: Cookies::default(),
            followed: 0,
            since,
            until: since + self.config.handshake_timeout,
            repeats: 0,
            pace: Backoff::REPEAT,
            timer: 0,
            waits: false,
            other_version: false,
        };
        if self.silent.contains(&attempt.place()) {
            // It was away, and everybody asks for it: repeats would only be more load.
            attempt.pace = Backoff::RETURN;
        }
        self.choose_handle(now, &mut attempt, issuer);
        self.try_once(now, rng, &mut attempt, None)?;
        self.await_reserved(now, rng, &mut attempt);
        let (number, waits) = (self.number(), attempt.waits);
        self.file(number, attempt, rng);
        if !waits {
            self.repeat(now, number, out);
        }
        Ok(AttemptId(number))
    }

    /// Whether this attempt redeems a handle: not inside an association, which is refreshed by a
    /// full handshake, and only as long as the handle and the policy allow it.
    fn choose_handle(&mut self, now: Now, attempt: &mut Attempt, issuer: Option<u8>) {
        let wanted = &attempt.wanted;
        let key = (wanted.id, wanted.session);
        if self.held.get(&key).is_some_and(|held| held.is_over(now)) {
            self.held.remove(&key);
        }
        let allowed = wanted.credential.policy().resumption();
        let known = |held: &&HeldHandle| issuer.is_none_or(|issuer| held.handle.tag[0] == issuer);
        let held = self.held.get(&key).filter(known);
        let mode = held.and_then(|held| held.mode(allowed));
        attempt.resuming = mode
            .filter(|_| attempt.inside.is_none())
            .map(|mode| Resuming {
                mode,
                until: attempt.since + self.config.handshake_timeout / 4,
                beside: None,
            });
    }

    /// Adds a try with a new ephemeral key (or nonce) and index; [`file`](Self::file) makes it
    /// findable. Beyond four the oldest is answerable no longer, but for a Resume that is repeated.
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
        let wanted = attempt.wanted.clone();
        let key = (wanted.id, wanted.session);
        let redeems = attempt.resuming.as_ref();
        let redeems = redeems.filter(|resuming| resuming.beside.is_none());
        let offered = match (redeems, self.held.get(&key)) {
            (Some(resuming), Some(held)) => {
                let redeemed = (wanted, held, resuming.mode);
                Offer::resume(&context, redeemed, Some(index), cookie, now, rng)
            }
            _ => Offer::new(&context, wanted, Some(index), cookie, now, rng),
        };
        match offered {
            Ok(offer) => {
                if attempt.tries.len() == MAX_TRIES {
                    let oldest = attempt
                        .tries
                        .remove(usize::from(attempt.begins_with_resume()));
                    self.slots.free(oldest.index, now.millis());
                }
                attempt.tries.push(Try { index, offer });
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
        if !attempt.waits {
            let from = attempt.timer.max(attempt.since);
            attempt.timer = if attempt.cookies.is_empty() {
                from + attempt.pace.delay(attempt.repeats, rng)
            } else {
                from + TURN
            };
        }
        attempt.timer = attempt.timer.min(attempt.until);
        self.keep(number, attempt);
    }

    /// Files an attempt whose timer stays as it is.
    fn keep(&mut self, number: u64, attempt: Attempt) {
        self.timers.insert(self.attempt_timer(&attempt));
        self.attempts.insert(number, attempt);
    }

    /// Sends the try whose turn it is, the same bytes each time (rule H2).
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
        attempt.timer = now.millis();
        attempt.waits = false;
        attempt.has_gone_unanswered(now.millis(), self.config.handshake_timeout);
        if let Some(cookie) = attempt.cookies.take(rng) {
            // A cookie that was not tried yet is worth more than a repetition.
            attempt.repeats = 0;
            attempt.is_next(Turn::Resume);
            let _ = self.try_once(now, rng, &mut attempt, Some(cookie));
        } else if attempt.take_turn() == Some(Turn::Resume) {
            return self.resume_again(now, rng, number, attempt, out);
        } else {
            attempt.repeats += 1;
            if attempt.has_resumes_only() {
                not_resumed(number, Error::NoAnswer, out);
                let _ = self.try_once(now, rng, &mut attempt, None);
            }
        }
        self.file(number, attempt, rng);
        self.repeat(now, number, out);
    }

    /// The handle leads to nothing: on with a full handshake, in the same attempt.
    fn give_up_handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        number: u64,
        attempt: &mut Attempt,
        error: Error,
        out: &mut dyn Outbox,
    ) {
        attempt.resuming = None;
        attempt.repeats = 0;
        attempt.cookies = Cookies::default();
        attempt.until = now.millis() + self.config.handshake_timeout;
        not_resumed(number, error, out);
        // If there is no room for it, the earlier tries stay until their time is over.
        let _ = self.try_once(now, rng, attempt, None);
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

    /// Tells that an attempt has come to nothing; a refresh is tried again later.
    fn failed(
        &mut self,
        now: u64,
        number: u64,
        attempt: &Attempt,
        error: Error,
        out: &mut dyn Outbox,
    ) {
        match attempt.inside {
            Some((id, _)) => self.refresh_failed(now, id),
            None if error == Error::NoAnswer => {
                self.silent.insert(attempt.place());
            }
            None => {}
        }
        out.event(Event::Failed {
            attempt: AttemptId(number),
            error,
        });
    }

    /// Ends the attempts by a credential that is removed: none of them makes an association.
    pub(crate) fn abandon(&mut self, now: Now, credential: CredentialId, out: &mut dyn Outbox) {
        self.silent.retain(|(silent, _)| *silent != credential);
        self.reserved.retain(|(of, _), _| *of != credential);
        let by_it = |attempt: &Attempt| attempt.wanted.id == credential;
        self.end_attempts(now, by_it, &Error::NoCredential, out);
    }

    /// Ends the other attempts to make the association that one has just made. So the Initiate of
    /// each association was sent after the one before it had been answered, and both ends agree on
    /// which of two is the newer one (rule H5), whatever the network reorders.
    fn outrun(&mut self, now: Now, id: AssociationId, out: &mut dyn Outbox) {
        let Ok(made) = self.association(id) else {
            return;
        };
        let (credential, session) = (made.peer.credential().clone(), made.session());
        let to_the_same = |attempt: &Attempt| {
            let wanted = &attempt.wanted;
            wanted.session == session
                && wanted.credential.peer() == credential.peer()
                && wanted.credential.point() == credential.point()
        };
        let error = Error::Closed(refpoint_wire::CloseReason::Replaced);
        self.end_attempts(now, to_the_same, &error, out);
    }

    fn end_attempts(
        &mut self,
        now: Now,
        which: impl Fn(&Attempt) -> bool,
        error: &Error,
        out: &mut dyn Outbox,
    ) {
        let attempts = self.attempts.iter();
        let numbers: Vec<_> = attempts
            .filter(|(_, attempt)| which(attempt))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            if let Some(attempt) = self.take_attempt(number) {
                self.release(&attempt, None, now.millis());
                self.failed(now.millis(), number, &attempt, *error, out);
            }
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
}

/// A full handshake begins, in the same attempt.
fn not_resumed(number: u64, error: Error, out: &mut dyn Outbox) {
    out.event(Event::NotResumed {
        attempt: AttemptId(number),
        error,
    });
}
