use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use refpoint_association::{Due, Error};
use refpoint_keys::Role;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};

use super::SecureStream;
use crate::association::Side;
use crate::{clock, entropy};

/// The system's suspended time counts for the association, not for timers: they look again.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What a stream does besides carrying its user's bytes.
#[derive(Debug)]
pub(super) struct Upkeep {
    timer: Pin<Box<Sleep>>,
    /// What the timer was set for, in the association's time.
    set_for: Duration,
    /// Something of this end's own was sealed in a read, and waits to be sent.
    owes: bool,
    /// A write waits for the stream below: it will send what is owed, too.
    writer_waits: bool,
}

fn until(monotonic: Duration) -> Duration {
    let wait = monotonic.saturating_sub(clock::monotonic());
    wait.clamp(Duration::from_millis(1), LONGEST_SLEEP)
}

impl Upkeep {
    pub(super) fn new(due: Duration) -> Self {
        Self {
            timer: Box::pin(sleep(until(due))),
            set_for: due,
            owes: false,
            writer_waits: false,
        }
    }

    fn set(&mut self, due: Duration) {
        self.set_for = due;
        self.timer.as_mut().reset(Instant::now() + until(due));
    }

    /// Whoever writes is here.
    pub(super) const fn writes(&mut self) {
        self.writer_waits = false;
    }
}

impl<IO> SecureStream<IO> {
    /// Goes on with a refresh, or begins one.
    pub(super) fn refresh(&mut self) {
        let Self {
            session,
            outbound,
            keyring,
            ..
        } = self;
        let refreshed = keyring.read(|local, credentials| {
            let (now, rng) = (clock::now(), &mut entropy::system());
            session.refresh(now, rng, local, credentials, outbound.sealed())
        });
        if let Err(error) = refreshed {
            let peer = session.peer().entity();
            tracing::debug!(%peer, %error, "no refresh yet");
        }
    }

    /// Both directions are in a new association. Its responder grants the next handle.
    pub(super) fn refreshed(&mut self) {
        let peer = self.session.peer().clone();
        tracing::debug!(peer = %peer.entity(), "association refreshed");
        if peer.role() == Role::Responder {
            let (session, sealed) = (&mut self.session, self.outbound.sealed());
            let granted = self.keyring.handles().grant(clock::now(), session, sealed);
            if let Err(error) = granted {
                tracing::debug!(peer = %peer.entity(), %error, "no handle for the refreshed association");
            }
        }
        self.keyring.succeed(&self.association, peer);
    }

    /// The responder has said by which handle the association is resumed.
    pub(super) fn granted(&mut self) {
        let held = self.session.take_handle(clock::now());
        let peer = self.session.peer();
        let place = (peer.credential_id(), peer.session());
        self.keyring.hold(place, held);
    }

    /// Does what is due at this time.
    pub(super) fn keep(&mut self, monotonic: Duration) -> Result<(), Error> {
        while self.session.next_timeout() <= monotonic {
            let unsent = self.outbound.unsent();
            let now = clock::present();
            match self.session.handle_timeout(now, self.outbound.sealed()) {
                Due::Later => return Ok(()),
                Due::Refresh => self.refresh(),
                Due::Ended(error) => return Err(error),
            }
            self.note_owed(unsent);
        }
        Ok(())
    }

    /// Does what is due by what was written.
    pub(super) fn keep_usage(&mut self) -> Result<(), Error> {
        if self.session.next_timeout().is_zero() {
            self.keep(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Notes what was sealed beyond `unsent` bytes without the user's doing.
    pub(super) const fn note_owed(&mut self, unsent: usize) {
        self.upkeep.owes |= self.outbound.unsent() > unsent;
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> SecureStream<IO> {
    /// Sends what a read has sealed: the next flush may be far.
    pub(super) fn poll_owed(&mut self, cx: &mut Context<'_>) {
        let upkeep = &mut self.upkeep;
        if upkeep.owes && !upkeep.writer_waits {
            // An error comes again in the next read or write.
            upkeep.owes = self.outbound.poll_send(&mut self.io, cx).is_pending();
        }
    }

    /// While the user's data wait for a refresh: goes on with that, even if nobody else reads.
    pub(super) fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.session.is_held() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut kept = self.keep(clock::monotonic());
            while kept.is_ok() && self.session.is_held() && self.plain.is_empty() {
                match self.open_next() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => kept = Err(error),
                }
            }
            if let Err(error) = kept {
                let _ = self.outbound.poll_send(&mut self.io, cx);
                return Poll::Ready(Err(self.fail(error)));
            }
            if !self.session.is_held() || !self.plain.is_empty() {
                // Whoever reads was not told of what has come.
                self.association.wake_side(Side::Read);
            }
            if !self.session.is_held() {
                return Poll::Ready(Ok(()));
            }
            let _ = self.outbound.poll_send(&mut self.io, cx);
            // What was opened has to be read first.
            if !self.plain.is_empty() || self.poll_fill(cx)?.is_pending() {
                return self.poll_end(cx, Side::Write).map(Err);
            }
        }
    }

    /// Before waiting: what else may wake, and whether it has.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, side: Side) -> Poll<io::Error> {
        self.association.register(side, cx.waker());
        if self.association.takes_renewal() {
            let unsent = self.outbound.unsent();
            self.refresh();
            self.note_owed(unsent);
            self.poll_owed(cx);
        }
        if let Err(error) = self.check(cx) {
            return Poll::Ready(error);
        }
        if matches!(side, Side::Write) {
            self.upkeep.writer_waits = self.outbound.unsent() > 0;
            if !self.session.is_held() {
                return Poll::Pending;
            }
        }
        loop {
            let due = self.session.next_timeout();
            if due != self.upkeep.set_for {
                self.upkeep.set(due);
            }
            if self.upkeep.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Err(error) = self.keep(clock::monotonic()) {
                let _ = self.outbound.poll_send(&mut self.io, cx);
                return Poll::Ready(self.fail(error));
            }
            self.poll_owed(cx);
            self.upkeep.set(self.session.next_timeout());
        }
    }
}
