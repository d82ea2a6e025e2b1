//! Full handshakes beside a Resume that nobody answers.
//!
//! Silence says nothing of a handle: the responder may be away, with all others who hold one asking
//! for it as well. So when it has lasted, each round has the Resume first, and an Initiate a moment
//! later, if that was not answered. Whoever comes back finds a Resume to answer, and who cannot
//! redeem it finds an Initiate.

use super::*;

/// How long a Resume has before its Initiate follows, in milliseconds: the time of an answer, since
/// who comes back in between is found by the Initiate.
const FOLLOWS: Backoff = Backoff::new(200, 200, 200);

/// From round to round: as seldom as ever, since each has two packets.
const ROUNDS: Backoff = Backoff::new(100, 500, 4_000);

/// Whose turn it is in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Resume,
    Initiate,
}

impl Attempt {
    /// Whether its first try is a Resume that is repeated beside others.
    pub(super) fn begins_with_resume(&self) -> bool {
        let resuming = self.resuming.as_ref();
        resuming.is_some_and(|resuming| resuming.beside.is_some())
    }

    /// Begins with rounds when the Resume has gone unanswered for too long, with as much time as a
    /// new attempt.
    pub(super) fn has_gone_unanswered(&mut self, now: u64, timeout: u64) {
        let resuming = self.resuming.as_mut();
        let Some(resuming) = resuming.filter(|own| own.beside.is_none() && own.until <= now) else {
            return;
        };
        resuming.beside = Some(Turn::Resume);
        if self.pace == Backoff::REPEAT {
            self.pace = ROUNDS;
        }
        self.cookies = Cookies::default();
        self.until = now + timeout;
    }

    /// Whose turn it is, if there are rounds; the other's is next.
    pub(super) fn take_turn(&mut self) -> Option<Turn> {
        let turn = self.resuming.as_ref()?.beside?;
        self.is_next(match turn {
            Turn::Resume => Turn::Initiate,
            Turn::Initiate => Turn::Resume,
        });
        Some(turn)
    }

    /// Whose turn comes next, if there are rounds.
    pub(super) fn is_next(&mut self, turn: Turn) {
        if let Some(Resuming {
            beside: Some(next), ..
        }) = &mut self.resuming
        {
            *next = turn;
        }
    }

    /// Whether there are rounds, and no Initiate yet.
    pub(super) fn has_resumes_only(&self) -> bool {
        let last = self.tries.last();
        self.begins_with_resume() && last.is_none_or(|last| last.offer.profile().is_none())
    }

    /// Whether there are rounds with a Resume of mode `light`, which a busy responder serves at
    /// once.
    pub(super) fn may_still_be_served(&self) -> bool {
        let resuming = self.resuming.as_ref();
        self.begins_with_resume() && resuming.is_some_and(|own| own.mode == Mode::Light)
    }

    pub(super) fn transmit_resume(&self, out: &mut dyn Outbox) {
        if let Some(resume) = self.tries.first() {
            out.transmit(self.to, &resume.offer.packet);
        }
    }

    /// The responder has answered a Resume: it knows the handle, and no Initiate is needed.
    pub(super) fn knows_handle(&mut self, now: u64, timeout: u64) {
        if !self.begins_with_resume() {
            return;
        }
        self.cookies = Cookies::default();
        if let Some(resuming) = &mut self.resuming {
            resuming.beside = None;
            resuming.until = now + timeout / 4;
        }
    }
}

impl Endpoint {
    /// Repeats the Resume; an Initiate follows soon.
    pub(super) fn resume_again(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        number: u64,
        mut attempt: Attempt,
        out: &mut dyn Outbox,
    ) {
        attempt.transmit_resume(out);
        attempt.is_next(Turn::Initiate);
        let soon = now.millis() + FOLLOWS.delay(0, rng);
        attempt.timer = soon.min(attempt.until);
        self.keep(number, attempt);
    }
}
