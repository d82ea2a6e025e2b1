//! Associations on byte streams, one each: no index, an implicit sequence, an authenticated end.
//!
//! ```text
//! StreamInitiator::new ── Initiate ──▶ StreamResponder::receive
//!        .receive      ◀── Respond ──
//!      StreamSession  ── Record(confirm) ──▶ StreamSession      (nothing flows back before it)
//!                     ◀──── Records ────▶
//! ```
//!
//! With a handle that an earlier association left, a Resume takes the place of the Initiate
//! ([`StreamInitiator::resume`], [`StreamResponder::resume`]); one that cannot be redeemed is followed
//! by an Initiate in the same stream.
//!
//! Everything that is written is appended to a buffer of the caller's, framed and ready for the
//! stream.
//!
//! A session outlives its association: a refresh makes the next one inside, and both directions
//! move over without a record lost, doubled or out of order. When [`Opened::Refresh`] or
//! [`Due::Refresh`] says that its next step needs credentials, the caller brings them to
//! [`StreamSession::refresh`].

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{CloseReason, FRAME_HEADER, MAX_FRAME, RecordKind, TAG_LEN};

use crate::{Authenticated, Credentials, Error, Grants, HandleChange, HeldHandle, Local, Now};

mod established;
mod framing;
mod handshake;
#[cfg(test)]
mod insiders;
mod opening;
mod refresh;
mod resumption;
mod running;
mod sealing;

pub use handshake::{StreamInitiator, StreamResponder};
pub use resumption::{StreamAnswer, StreamRedemption, StreamUnconfirmed};
use running::{Running, State};

/// The most payload bytes of one stream record: 16 KiB, and room for the header of what is carried,
/// so that a default HTTP/2 frame is one record.
pub const MAX_STREAM_PAYLOAD: usize = 16 * 1024 + 64;

/// Room that [`StreamSession::send_in_place`] needs before the payload.
pub const STREAM_HEADROOM: usize = FRAME_HEADER + 1;

/// Room that [`StreamSession::send_in_place`] needs after the payload.
pub const STREAM_TAILROOM: usize = TAG_LEN;

/// What a record was.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// The user's bytes.
    Data(&'a [u8]),
    /// A control message without meaning for the user.
    Control,
    /// A refresh waits for its next step: call [`StreamSession::refresh`]. Until then the
    /// association stays as it is.
    Refresh,
    /// Both directions have moved to a new association: what
    /// [`peer`](StreamSession::peer) says may have changed. A responder that grants handles calls
    /// [`StreamSession::grant`].
    Refreshed,
    /// The responder has said by which handle this association is resumed, in place of every older
    /// one, or by none: [`StreamSession::take_handle`] tells.
    Granted,
    /// The authenticated end of the stream.
    Closed(CloseReason),
}

/// What [`StreamSession::handle_timeout`] found to be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing (any more).
    Later,
    /// A refresh: call [`StreamSession::refresh`].
    Refresh,
    /// The association, which is over for this reason.
    Ended(Error),
}

/// An association on a stream, and those that succeed it there.
#[derive(Debug)]
pub struct StreamSession(Life);

#[derive(Debug)]
enum Life {
    Running(Box<Running>),
    /// No secret is left.
    Failed(Failed),
}

#[derive(Debug)]
struct Failed {
    error: Error,
    peer: Authenticated,
    refreshes: u64,
    epochs: (u64, u64),
}

impl StreamSession {
    fn new(running: Box<Running>) -> Self {
        Self(Life::Running(running))
    }

    fn running(&self) -> Result<&Running, Error> {
        match &self.0 {
            Life::Running(running) => Ok(running),
            Life::Failed(failed) => Err(failed.error),
        }
    }

    fn running_mut(&mut self) -> Result<&mut Running, Error> {
        match &mut self.0 {
            Life::Running(running) => Ok(running),
            Life::Failed(failed) => Err(failed.error),
        }
    }

    /// Ends it here and now, wiping its secrets.
    fn fail(&mut self, error: Error) -> Error {
        self.0 = Life::Failed(Failed {
            error,
            peer: self.peer().clone(),
            refreshes: self.refreshes(),
            epochs: self.epochs(),
        });
        error
    }

    /// Who is at the other end: by the association in which both directions are.
    #[must_use]
    pub const fn peer(&self) -> &Authenticated {
        match &self.0 {
            Life::Running(running) => &running.current.common.peer,
            Life::Failed(failed) => &failed.peer,
        }
    }

    /// Whether the peer has proved itself: a responder may deliver and send nothing before
    /// (rule H6).
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.running()
            .is_ok_and(|running| running.state != State::Unconfirmed)
    }

    /// Appends the user's bytes as one framed record to `out`.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`], [`Error::TooLarge`] beyond [`MAX_STREAM_PAYLOAD`], a limit that
    /// is reached, an association that is closed, or why it has failed. Nothing is appended then.
    /// After a limit of bytes or messages it is worth while to wait: see
    /// [`is_held`](Self::is_held).
    pub fn send(&mut self, now: Now, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.running_mut()?
            .seal(now, RecordKind::Data, false, data, out)
    }

    /// Seals the user's bytes in place as one framed record: `frame` is [`STREAM_HEADROOM`] bytes
    /// of room, the payload, and [`STREAM_TAILROOM`] bytes of room. Nothing is copied.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::TooLarge`] for a frame without room; `frame` holds
    /// nothing to send then.
    pub fn send_in_place(&mut self, now: Now, frame: &mut [u8]) -> Result<(), Error> {
        self.running_mut()?
            .seal_frame(now, RecordKind::Data, false, frame)
    }

    /// Whether the user's data have reached a limit of bytes or messages and wait for a refresh:
    /// for half a minute, then [`handle_timeout`](Self::handle_timeout) ends the association.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.running()
            .is_ok_and(|running| running.state == State::Open && running.held_until != u64::MAX)
    }

    /// Appends an authenticated end to `out`; nothing can be sent afterwards.
    ///
    /// # Errors
    /// When nothing may be sealed any more; the stream then ends without it.
    pub fn close(&mut self, now: Now, reason: CloseReason, out: &mut Vec<u8>) -> Result<(), Error> {
        self.running_mut()?.close(now, reason, out)
    }

    /// Opens a framed record in place: `frame` is the length prefix and the packet behind it. What
    /// has to be answered is appended to `out`.
    ///
    /// # Errors
    /// Any error is final: secrets are wiped, and from then on every call gives that error. Only
    /// [`Error::Closed`] comes without harm, for what follows the peer's close.
    pub fn receive<'a>(
        &mut self,
        now: Now,
        frame: &'a mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Opened<'a>, Error> {
        let running = self.running_mut()?;
        if let State::Closed(reason) | State::Over(reason) = running.state {
            return Err(Error::Closed(reason));
        }
        let start = out.len();
        running.receive(now, frame, out).map_err(|error| {
            out.truncate(start);
            self.fail(error)
        })
    }

    /// Goes on with a refresh, fresh Diffie-Hellman inside the association, or begins one; what
    /// has to be sent is appended to `out`. At the responder, which never begins one (rule L2),
    /// it asks the initiator to.
    ///
    /// The successor is made by the newest credential of `credentials` for the same peer, so that
    /// a rotated key comes into use; at the responder by that which the peer chose. `now` needs
    /// its wall clock, if there is one.
    ///
    /// # Errors
    /// Why no refresh comes about. The association stays as it is and the refresh is tried again.
    pub fn refresh(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        credentials: &Credentials,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.running_mut()?
            .refresh(now, rng, local, credentials, out)
    }

    /// Hands out a handle and a window for the next renewal, as the responder of a refreshed
    /// association: when [`Opened::Refreshed`] has told of it. A second time does nothing.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] at the initiator, or why nothing can be sealed.
    pub fn grant(
        &mut self,
        now: Now,
        grants: &mut Grants,
        changes: &mut dyn FnMut(HandleChange),
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.running_mut()?.grant(now, grants, changes, out)
    }

    /// The handle that [`Opened::Granted`] told of: once. None when there is none, and then what is
    /// held from earlier associations with this peer is of no use any more. `now` needs its wall
    /// clock, if there is one and the handle is to outlive the process.
    pub fn take_handle(&mut self, now: Now) -> Option<Box<HeldHandle>> {
        let mut held = self.running_mut().ok()?.held.take()?;
        held.date(now);
        Some(held)
    }

    /// How often another association has taken over.
    #[must_use]
    pub const fn refreshes(&self) -> u64 {
        match &self.0 {
            Life::Running(running) => running.refreshes,
            Life::Failed(failed) => failed.refreshes,
        }
    }

    /// Whether the stream may end here: only after the peer's authenticated close (rule R7).
    ///
    /// # Errors
    /// [`Error::Truncated`] when it may not, or why the association has failed.
    pub fn end(&self) -> Result<CloseReason, Error> {
        match self.running()?.state {
            State::Closed(reason) | State::Over(reason) => Ok(reason),
            _ => Err(Error::Truncated),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, in monotonic time. It may
    /// come nearer with every record.
    #[must_use]
    pub fn next_timeout(&self) -> Duration {
        self.running().map_or(Duration::MAX, |running| {
            Duration::from_millis(running.next_timeout())
        })
    }

    /// Does what is due; too early does no harm. When the association's time is up it is closed,
    /// the close is appended to `out`, and secrets are wiped.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<u8>) -> Due {
        let due = match self.running_mut() {
            Ok(running) => running.handle_timeout(now, out),
            Err(error) => return Due::Ended(error),
        };
        if let Due::Ended(error) = due {
            self.fail(error);
        }
        due
    }

    /// Exports key material bound to this association (as RFC 5705 does for TLS), the one in which
    /// both directions are: after a refresh it is another.
    ///
    /// # Errors
    /// Why the association has failed.
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let exporter = &self.running()?.current.common.exporter;
        exporter.export(label, context, out);
        Ok(())
    }

    /// The epochs of both directions, sent and received: how often keys were ratcheted since the
    /// last refresh.
    #[must_use]
    pub fn epochs(&self) -> (u64, u64) {
        match &self.0 {
            Life::Running(running) => (
                running.current.sealing.epoch(),
                running.current.opening.epoch(),
            ),
            Life::Failed(failed) => failed.epochs,
        }
    }

    /// The role of this end.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.peer().role()
    }
}

const _: () = assert!(MAX_STREAM_PAYLOAD + 1 + TAG_LEN <= MAX_FRAME);
