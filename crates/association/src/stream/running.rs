use alloc::{boxed::Box, vec::Vec};

use refpoint_keys::Role;
use refpoint_wire::{CloseReason, Control, RecordKind};

use super::{
    Due, Opened, STREAM_HEADROOM, STREAM_TAILROOM, established::Established, opening::Plain,
    refresh::Refresh,
};
use crate::{
    Backend, Error, HeldHandle, Now, lifetime::Lifetime, negotiation::Agreement,
    scrub::on_clean_stack,
};

/// A refresh that is not answered is tried again after so long, in milliseconds: longer than a
/// slow peer needs, whose answer is lost when the question is put anew. For as long, data that an
/// association may not carry any more wait for its successor.
pub(super) const PATIENCE: u64 = 30_000;

/// No attempt to refresh follows another sooner, in milliseconds.
const LEAST_RETRY: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The responder's, before the initiator's first record (rule H6).
    Unconfirmed,
    Open,
    /// The peer has closed: nothing more is received.
    Closed(CloseReason),
    /// This end has closed: nothing more is sent.
    Finished,
    /// Both have.
    Over(CloseReason),
}

/// A stream's association while nothing has gone wrong, and the one that takes its place.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) current: Established,
    pub(super) backend: Backend,
    pub(super) state: State,
    pub(super) refresh: Refresh,
    /// When a refresh is due, in milliseconds; 0: at once.
    pub(super) renewal: u64,
    /// Where in its window the initiator refreshes: a part of 2^32.
    pub(super) part: u32,
    /// What the responder has granted and the caller has not taken.
    pub(super) held: Option<Box<HeldHandle>>,
    /// Until when no new one is hastened: an attempt was made shortly before.
    pub(super) quiet_until: u64,
    /// Until when the user's data wait for a successor, in milliseconds.
    pub(super) held_until: u64,
    pub(super) refreshes: u64,
}

impl Running {
    /// The initiator's end. `part` is where in its window it refreshes.
    pub(super) fn initiator(
        agreement: Agreement,
        backend: Backend,
        since: u64,
        part: u32,
    ) -> Box<Self> {
        let mut running = Self::new(agreement, backend, since, State::Open);
        running.renewal = running.current.sealing.lifetime.soft(part);
        running.part = part;
        running
    }

    /// The responder's, which nobody has confirmed to yet.
    pub(super) fn responder(agreement: Agreement, backend: Backend, since: u64) -> Box<Self> {
        Self::new(agreement, backend, since, State::Unconfirmed)
    }

    fn new(agreement: Agreement, backend: Backend, since: u64, state: State) -> Box<Self> {
        let current = Established::new(agreement, backend, since);
        on_clean_stack(|| Box::new(Self::of(current, backend, state)))
    }

    fn of(current: Established, backend: Backend, state: State) -> Self {
        Self {
            renewal: current.sealing.lifetime.half(),
            current,
            backend,
            state,
            refresh: Refresh::Idle,
            part: 0,
            held: None,
            quiet_until: 0,
            held_until: u64::MAX,
            refreshes: 0,
        }
    }

    pub(super) const fn role(&self) -> Role {
        self.current.common.peer.role()
    }

    fn may_seal(&self, kind: RecordKind) -> Result<(), Error> {
        match self.state {
            State::Unconfirmed => Err(Error::NotConfirmed),
            State::Open => Ok(()),
            // This end may still say good-bye.
            State::Closed(_) if kind == RecordKind::Control => Ok(()),
            State::Closed(reason) => Err(Error::Closed(reason)),
            State::Finished | State::Over(_) => Err(Error::NoAssociation),
        }
    }

    pub(super) fn seal(
        &mut self,
        now: Now,
        kind: RecordKind,
        confirm: bool,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = out.len();
        out.reserve(STREAM_HEADROOM + data.len() + STREAM_TAILROOM);
        out.extend_from_slice(&[0; STREAM_HEADROOM]);
        out.extend_from_slice(data);
        out.extend_from_slice(&[0; STREAM_TAILROOM]);
        let sealed = self.seal_frame(now, kind, confirm, &mut out[start..]);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    pub(super) fn seal_frame(
        &mut self,
        now: Now,
        kind: RecordKind,
        confirm: bool,
        frame: &mut [u8],
    ) -> Result<(), Error> {
        self.may_seal(kind)?;
        let sealed = self.current.sealing.seal(now, kind, confirm, frame);
        self.note_usage(now.millis());
        sealed
    }

    pub(super) fn seal_control(
        &mut self,
        now: Now,
        control: &Control,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.seal(now, RecordKind::Control, false, &control.encode(), out)
    }

    pub(super) fn close(
        &mut self,
        now: Now,
        reason: CloseReason,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let close = Control {
            close: Some(reason),
            ..Control::default()
        };
        self.seal_control(now, &close, out)?;
        self.state = match self.state {
            State::Closed(by_peer) => State::Over(by_peer),
            _ => State::Finished,
        };
        Ok(())
    }

    pub(super) fn receive<'a>(
        &mut self,
        now: Now,
        frame: &'a mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Opened<'a>, Error> {
        let (opened, control) = self.open(now, frame)?;
        if self.state == State::Unconfirmed {
            self.confirm(now, opened.confirms, control.as_ref())?;
            self.seal_control(now, &Control::default(), out)?;
        }
        let refreshed = self.refresh.awaits_confirmation();
        if refreshed {
            on_clean_stack(|| self.complete(now, opened.confirms, control.as_ref(), out))?;
        }
        self.note_usage(now.millis());
        let Some(control) = control else {
            return Ok(Opened::Data(opened.bytes));
        };
        if let Some(reason) = control.close {
            self.state = match self.state {
                State::Finished => State::Over(reason),
                _ => State::Closed(reason),
            };
            return Ok(Opened::Closed(reason));
        }
        let grant = control.grant;
        let opened = self.refresh_control(now, control)?;
        let is_granted = self.take_grant(now, grant);
        Ok(match opened {
            _ if refreshed => Opened::Refreshed,
            Opened::Control if is_granted => Opened::Granted,
            opened => opened,
        })
    }

    /// Opens a record, and what it says if it is of kind control.
    pub(super) fn open<'a>(
        &mut self,
        now: Now,
        frame: &'a mut [u8],
    ) -> Result<(Plain<'a>, Option<Control>), Error> {
        let opened = self.current.opening.open(now, frame)?;
        let control = match opened.kind {
            RecordKind::Data => None,
            RecordKind::Control => Some(Control::decode(opened.bytes)?),
        };
        Ok((opened, control))
    }

    /// The first record of the initiator: it confirms, and is to be answered (rule H6).
    pub(super) fn confirm(
        &mut self,
        now: Now,
        confirms: bool,
        control: Option<&Control>,
    ) -> Result<(), Error> {
        let control = control.ok_or(Error::Unexpected)?;
        let awaits_grant = self.current.common.awaits_grant;
        let lifetime = &mut self.current.opening.lifetime;
        take_confirmation(now, confirms, control, awaits_grant, lifetime)?;
        self.current.sealing.lifetime = *lifetime;
        self.renewal = lifetime.half();
        self.state = State::Open;
        Ok(())
    }

    /// When something is next due, in milliseconds.
    pub(super) fn next_timeout(&self) -> u64 {
        let hard = self.current.opening.lifetime.hard();
        match self.state {
            State::Open => hard
                .min(self.current.sealing.lifetime.close())
                .min(self.renewal)
                .min(self.held_until),
            _ => hard,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut Vec<u8>) -> Due {
        let millis = now.millis();
        if self.state == State::Open {
            let limit = if millis >= self.current.sealing.lifetime.close() {
                Some(Error::Limit("time"))
            } else {
                let is_over = self.held_until <= millis;
                self.current.sealing.used_up().filter(|_| is_over)
            };
            if let Some(limit) = limit {
                // Past the last instant of sealing the stream just ends, which the peer reports.
                let _ = self.close(now, CloseReason::Limit, out);
                return Due::Ended(limit);
            }
            if self.renewal <= millis {
                self.renew_after(millis, PATIENCE);
                return Due::Refresh;
            }
        }
        match self.current.opening.lifetime.may_open(millis) {
            Ok(()) => Due::Later,
            Err(limit) => Due::Ended(limit),
        }
    }

    /// Puts the next refresh off by an eighth of what is left of the life.
    fn renew_after(&mut self, now: u64, least: u64) {
        let left = self.current.sealing.lifetime.close().saturating_sub(now);
        self.renewal = now.saturating_add((left / 8).max(least));
        self.quiet_until = now.saturating_add(least);
    }

    /// A refresh could not even begin: nothing is under way that another try would disturb.
    pub(super) fn retry_soon(&mut self, now: u64) {
        self.renew_after(now, LEAST_RETRY);
    }

    /// Brings the refresh forward when three quarters of what a direction may carry are used, and
    /// notes since when the user's data have to wait for it.
    pub(super) fn note_usage(&mut self, now: u64) {
        let Established {
            sealing, opening, ..
        } = &self.current;
        if !sealing.is_nearly_used() && !opening.is_nearly_used() {
            return;
        }
        if now >= self.quiet_until && !self.refresh.is_between() {
            self.renewal = 0;
        }
        if self.held_until == u64::MAX && sealing.used_up().is_some() {
            self.held_until = now.saturating_add(PATIENCE);
        }
    }
}

/// What an initiator's first record has to be: flagged, and with the grant if this end needs one.
pub(super) fn take_confirmation(
    now: Now,
    confirms: bool,
    control: &Control,
    awaits_grant: bool,
    lifetime: &mut Lifetime,
) -> Result<(), Error> {
    if !confirms {
        return Err(Error::Unexpected);
    }
    match control.remaining {
        Some(remaining) => lifetime.clamp(now.millis(), remaining),
        None if awaits_grant => return Err(Error::Expired),
        None => {}
    }
    Ok(())
}
