//! Associations on byte streams, one each: no index, an implicit sequence, an authenticated end.
//!
//! ```text
//! StreamInitiator::new ── Initiate ──▶ StreamResponder::receive
//!        .receive      ◀── Respond ──
//!      StreamSession  ── Record(confirm) ──▶ StreamSession      (nothing flows back before it)
//!                     ◀──── Records ────▶
//! ```
//!
//! Everything that is written is appended to a buffer of the caller's, framed and ready for the
//! stream. Any error poisons the association: drop it and the stream with it.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{
    Carriage, CloseReason, Control, FRAME_HEADER, Frame, MAX_FRAME, Packet, Record, RecordKind,
    Sequence, SessionLabel, TAG_LEN,
};

use crate::{
    Authenticated, Backend, Credential, CredentialId, Credentials, Error, Local, Now,
    epoch::EpochKey,
    lifetime::Lifetime,
    negotiation::{Agreement, Context, Offer, Request, Wanted},
    policy::Agreed,
    receiver::{Place, Receiver},
    schedule::Exporter,
    sender::Sender,
    time::millis,
};

/// The most payload bytes of one stream record: 16 KiB, and room for the header of what is carried,
/// so that a default HTTP/2 frame is one record.
pub const MAX_STREAM_PAYLOAD: usize = 16 * 1024 + 64;

/// Room that [`StreamSession::send_in_place`] needs before the payload.
pub const STREAM_HEADROOM: usize = FRAME_HEADER + 1;

/// Room that [`StreamSession::send_in_place`] needs after the payload.
pub const STREAM_TAILROOM: usize = TAG_LEN;

/// The most bytes of a handshake packet on a stream.
const MAX_HANDSHAKE: usize = 1024;

fn frame(packet: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&Frame::header(packet.len())?);
    out.extend_from_slice(packet);
    Ok(())
}

const fn context<'a>(local: &'a Local, backend: Backend) -> Context<'a> {
    Context {
        local,
        backend,
        carriage: Carriage::Stream,
        binding: None,
    }
}

/// The initiating end before the answer.
#[derive(Debug)]
pub struct StreamInitiator {
    local: Local,
    backend: Backend,
    offer: Offer,
    since: u64,
}

impl StreamInitiator {
    /// Appends the framed Initiate to `out`.
    ///
    /// # Errors
    /// When the credential does not allow it, is incomplete or has expired.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a different thing of the caller's"
    )]
    pub fn new(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        (id, credential): (CredentialId, Arc<Credential>),
        session: SessionLabel,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let wanted = Wanted {
            credential,
            id,
            session,
        };
        let offer = Offer::new(&context(local, backend), wanted, None, None, now, rng)?;
        frame(&offer.packet, out)?;
        Ok(Self {
            local: local.clone(),
            backend,
            offer,
            since: now.millis(),
        })
    }

    /// Reads the Respond (a frame's content), and appends the confirming record to `out`.
    ///
    /// # Errors
    /// [`Error::Authentication`] when it does not open, [`Error::Expired`] when neither end has a
    /// clock. The stream is of no use after an error.
    pub fn receive(
        mut self,
        now: Now,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        let Packet::Respond {
            index: None,
            message,
        } = Packet::parse(packet)?
        else {
            return Err(Error::Unexpected);
        };
        let answered = self.offer.answer(message)?;
        let context = context(&self.local, self.backend);
        let agreement = self.offer.finish(&context, answered, now)?;
        let remaining = agreement
            .owes_grant
            .then_some(agreement.remaining)
            .flatten();
        let mut session = StreamSession::new(agreement, self.backend, self.since);
        session.state = State::Open;
        let grant = Control {
            remaining,
            ..Control::default()
        };
        session.seal(now, RecordKind::Control, true, &grant.encode(), out)?;
        Ok(session)
    }
}

/// The responding end.
#[derive(Debug)]
pub struct StreamResponder;

impl StreamResponder {
    /// Reads the Initiate (a frame's content) and appends the framed Respond to `out`.
    ///
    /// # Errors
    /// [`Error::Authentication`] for whatever does not prove a known peer; drop the stream
    /// without a word then. In `known`, a sender that is not known gets an answer that it cannot
    /// open, and the caller [`Error::NoCredential`] after `out` was filled: write it, then drop
    /// the stream (rule H3).
    pub fn receive(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        credentials: &Credentials,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        if packet.len() > MAX_HANDSHAKE {
            return Err(Error::TooLarge {
                size: packet.len(),
                limit: MAX_HANDSHAKE,
            });
        }
        let Packet::Initiate(initiate) = Packet::parse(packet)? else {
            return Err(Error::Unexpected);
        };
        if initiate.header.index.is_some() || initiate.header.cookie.is_some() {
            return Err(Error::Unexpected);
        }
        let context = context(local, backend);
        let request = Request::receive(&context, credentials, &initiate, now, rng)?;
        let (packet, agreement) = request.respond(&context, None, now)?;
        frame(&packet, out)?;
        let agreement = agreement.ok_or(Error::NoCredential)?;
        Ok(StreamSession::new(agreement, backend, now.millis()))
    }
}

/// The associated data of a record (rule R3): length, type and, where the type has the boundary
/// bit, the sequence that the record would have without it. So a record that skips to the next
/// epoch opens only after every record of the epoch before.
struct Aad {
    bytes: [u8; STREAM_HEADROOM + 8],
    len: usize,
}

impl Aad {
    fn new(header: &[u8; STREAM_HEADROOM], skipped: Option<Sequence>) -> Self {
        let mut bytes = [0; STREAM_HEADROOM + 8];
        let (front, back) = bytes.split_at_mut(STREAM_HEADROOM);
        front.copy_from_slice(header);
        let mut len = STREAM_HEADROOM;
        if let Some(skipped) = skipped {
            back.copy_from_slice(&skipped.number().to_be_bytes());
            len += 8;
        }
        Self { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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

/// What a record was.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// The user's bytes.
    Data(&'a [u8]),
    /// A control message without meaning for the user.
    Control,
    /// The peer asks for a new association soon.
    RenewNow,
    /// The authenticated end of the stream.
    Closed(CloseReason),
}

/// An association on a stream.
#[derive(Debug)]
pub struct StreamSession {
    peer: Authenticated,
    backend: Backend,
    sender: Sender,
    receiver: Receiver,
    seal_key: (u64, EpochKey),
    open_key: (u64, EpochKey),
    exporter: Exporter,
    agreed: Agreed,
    lifetime: Lifetime,
    awaits_grant: bool,
    state: State,
}

impl StreamSession {
    fn new(agreement: Agreement, backend: Backend, since: u64) -> Self {
        let Agreement {
            peer,
            send,
            receive,
            exporter,
            agreed,
            remaining,
            ..
        } = agreement;
        let suite = peer.terms().suite;
        Self {
            seal_key: (0, send.epoch_key(backend, suite)),
            open_key: (0, receive.epoch_key(backend, suite)),
            sender: Sender::new(send, agreed.epoch_bits, since),
            receiver: Receiver::new(receive, agreed.epoch_bits),
            lifetime: Lifetime::new(since, &agreed, remaining),
            awaits_grant: remaining.is_none(),
            peer,
            backend,
            exporter,
            agreed,
            state: State::Unconfirmed,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Authenticated {
        &self.peer
    }

    /// Whether the peer has proved itself: a responder may deliver and send nothing before
    /// (rule H6).
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        !matches!(self.state, State::Unconfirmed)
    }

    /// Appends the user's bytes as one framed record to `out`.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`], [`Error::TooLarge`] beyond [`MAX_STREAM_PAYLOAD`], a limit that
    /// is reached, or an association that is closed. Nothing is appended then.
    pub fn send(&mut self, now: Now, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.seal(now, RecordKind::Data, false, data, out)
    }

    /// Appends an authenticated end to `out`; nothing can be sent afterwards.
    ///
    /// # Errors
    /// When nothing may be sealed any more; the stream then ends without it.
    pub fn close(&mut self, now: Now, reason: CloseReason, out: &mut Vec<u8>) -> Result<(), Error> {
        let close = Control {
            close: Some(reason),
            ..Control::default()
        };
        self.seal(now, RecordKind::Control, false, &close.encode(), out)?;
        self.state = match self.state {
            State::Closed(by_peer) => State::Over(by_peer),
            _ => State::Finished,
        };
        Ok(())
    }

    fn may_seal(&self, now: Now, kind: RecordKind) -> Result<(), Error> {
        match self.state {
            State::Unconfirmed => return Err(Error::NotConfirmed),
            State::Open => {}
            // This end may still say good-bye.
            State::Closed(_) if kind == RecordKind::Control => {}
            State::Closed(reason) => return Err(Error::Closed(reason)),
            State::Finished | State::Over(_) => return Err(Error::NoAssociation),
        }
        self.lifetime.may_seal(now.millis())?;
        self.agreed.admits(kind, self.sender.usage())
    }

    fn seal(
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

    /// Seals the user's bytes in place as one framed record: `frame` is [`STREAM_HEADROOM`] bytes
    /// of room, the payload, and [`STREAM_TAILROOM`] bytes of room. Nothing is copied.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::TooLarge`] for a frame without room; `frame` holds
    /// nothing to send then.
    pub fn send_in_place(&mut self, now: Now, frame: &mut [u8]) -> Result<(), Error> {
        self.seal_frame(now, RecordKind::Data, false, frame)
    }

    fn seal_frame(
        &mut self,
        now: Now,
        kind: RecordKind,
        confirm: bool,
        frame: &mut [u8],
    ) -> Result<(), Error> {
        self.may_seal(now, kind)?;
        let size = frame.len();
        let room = frame.split_first_chunk_mut::<STREAM_HEADROOM>();
        let split = room.and_then(|(header, rest)| {
            Some((header, rest.split_last_chunk_mut::<STREAM_TAILROOM>()?))
        });
        let limit = MAX_STREAM_PAYLOAD;
        let (header, (data, tag)) = split.ok_or(Error::TooLarge { size, limit })?;
        if data.len() > limit {
            let size = data.len();
            return Err(Error::TooLarge { size, limit });
        }
        let ratchet = self.peer.credential().policy().ratchet().map(millis);
        let next = self.sender.advance(now.millis(), ratchet)?;
        if self.seal_key.0 != next.epoch {
            let key = self
                .sender
                .traffic()
                .epoch_key(self.backend, self.peer.terms().suite);
            self.seal_key = (next.epoch, key);
        }
        let [high, low] = Frame::header(1 + data.len() + TAG_LEN)?;
        let skips = next.skipped.is_some();
        *header = [high, low, Record::stream_type(kind, skips, confirm)];
        let aad = Aad::new(header, next.skipped);
        *tag = self
            .seal_key
            .1
            .seal(next.sequence, aad.as_bytes(), data)
            .map_err(|()| Error::Backend("seal"))?;
        self.sender.count(data.len());
        Ok(())
    }

    /// Opens a framed record in place: `frame` is the length prefix and the packet behind it. What
    /// has to be answered is appended to `out`.
    ///
    /// # Errors
    /// Any error is final: the stream is of no use afterwards.
    pub fn receive<'a>(
        &mut self,
        now: Now,
        frame: &'a mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Opened<'a>, Error> {
        if let State::Closed(reason) | State::Over(reason) = self.state {
            return Err(Error::Closed(reason));
        }
        self.lifetime.may_open(now.millis())?;
        let (header, sealed) = frame
            .split_first_chunk_mut::<{ FRAME_HEADER + 1 }>()
            .ok_or(Error::Unexpected)?;
        let (kind, boundary, confirm) = Record::parse_stream_type(header[FRAME_HEADER])?;
        self.agreed
            .admits(RecordKind::Control, self.receiver.usage())?;
        let len = sealed
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(Error::Authentication)?;
        let (sequence, skipped) = self.expected(boundary)?;
        let place = self
            .receiver
            .locate(sequence, 0)
            .ok_or(Error::Authentication)?;
        if let Place::Ahead(distance) = place {
            let traffic = self.receiver.traffic(place).ok_or(Error::Authentication)?;
            let key = traffic.epoch_key(self.backend, self.peer.terms().suite);
            self.open_key = (self.receiver.epoch() + distance, key);
        }
        self.open_key
            .1
            .open(sequence, Aad::new(header, skipped).as_bytes(), sealed)
            .map_err(|()| Error::Authentication)?;
        self.receiver.commit(place, sequence, len, 0);
        // In order: nothing of an epoch that was left can come any more.
        self.receiver.expire(u64::MAX);
        let plain = &sealed[..len];
        let control = match kind {
            RecordKind::Data => None,
            RecordKind::Control => Some(Control::decode(plain)?),
        };
        if self.state == State::Unconfirmed {
            self.confirm(now, confirm, control.as_ref(), out)?;
        }
        let Some(control) = control else {
            return Ok(Opened::Data(plain));
        };
        if let Some(reason) = control.close {
            self.state = match self.state {
                State::Finished => State::Over(reason),
                _ => State::Closed(reason),
            };
            return Ok(Opened::Closed(reason));
        }
        Ok(if control.renew_now {
            Opened::RenewNow
        } else {
            Opened::Control
        })
    }

    /// The first record of the initiator: it confirms, and is answered (rule H6).
    fn confirm(
        &mut self,
        now: Now,
        confirm: bool,
        control: Option<&Control>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if !confirm {
            return Err(Error::Unexpected);
        }
        match control.and_then(|control| control.remaining) {
            Some(remaining) => self.lifetime.clamp(now.millis(), remaining),
            None if self.awaits_grant => return Err(Error::Expired),
            None => {}
        }
        self.state = State::Open;
        self.seal(now, RecordKind::Control, false, &[], out)
    }

    /// The sequence of the next record and, if that skips, what it would be without.
    fn expected(&self, boundary: bool) -> Result<(Sequence, Option<Sequence>), Error> {
        let next = Sequence::new(self.receiver.expected())?;
        if !boundary {
            return Ok((next, None));
        }
        let bits = self.agreed.epoch_bits;
        let skipped_to = ((next.number() >> bits) + 1) << bits;
        Ok((Sequence::new(skipped_to)?, Some(next)))
    }

    /// Whether the stream may end here: only after the peer's authenticated close (rule R7).
    ///
    /// # Errors
    /// [`Error::Truncated`] when it may not.
    pub const fn end(&self) -> Result<CloseReason, Error> {
        match self.state {
            State::Closed(reason) | State::Over(reason) => Ok(reason),
            _ => Err(Error::Truncated),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, in monotonic time.
    #[must_use]
    pub const fn next_timeout(&self) -> Duration {
        match self.state {
            State::Open => Duration::from_millis(self.lifetime.last_seal() - 1),
            _ => Duration::from_millis(self.lifetime.hard()),
        }
    }

    /// Closes the association when its time is up, appending the close to `out`; `true` when it
    /// did, or when nothing can be opened any more.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<u8>) -> bool {
        let millis = now.millis();
        if self.state == State::Open && millis + 1 >= self.lifetime.last_seal() {
            // Past the last instant of sealing the stream just ends, which the peer reports.
            let _ = self.close(now, CloseReason::Limit, out);
            self.state = State::Finished;
            return true;
        }
        millis >= self.lifetime.hard()
    }

    /// Exports key material bound to this association (as RFC 5705 does for TLS).
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) {
        self.exporter.export(label, context, out);
    }

    /// When a new association should take the place of this one: half-way through its life, or at
    /// once when three quarters of what it may carry are used.
    #[must_use]
    pub const fn renewal(&self) -> Duration {
        if self.agreed.is_nearly_used(self.sender.usage())
            || self.agreed.is_nearly_used(self.receiver.usage())
        {
            return Duration::ZERO;
        }
        Duration::from_millis(self.lifetime.half())
    }

    /// The epochs of both directions, sent and received: how often keys were ratcheted.
    #[must_use]
    pub const fn epochs(&self) -> (u64, u64) {
        (self.sender.epoch(), self.receiver.epoch())
    }

    /// The role of this end.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.peer.role()
    }
}

const _: () = assert!(MAX_STREAM_PAYLOAD + 1 + TAG_LEN <= MAX_FRAME);
