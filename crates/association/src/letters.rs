//! An association whose records travel as letters: opaque content that others keep, for hours and
//! in any order.
//!
//! Handshake, key schedule and sending are those of datagrams. Receiving is deeper: every record
//! states its whole sequence, and keys and windows of 64 epochs are kept until retention ends.

mod deep_receiver;
mod handshake;
mod kept;
mod received;

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

use refpoint_keys::Role;
use refpoint_wire::{CloseReason, Control, Index, LetterHeader, RecordKind};

use self::deep_receiver::{DeepReceiver, KEPT};
use crate::{
    Authenticated, Backend, Error, Now, epoch::EpochKey, lifetime::Lifetime,
    negotiation::Agreement, policy::Agreed, sender::Sender, time::millis,
};

pub use handshake::{LetterInitiator, LetterPost, LetterResponder};

/// Bytes that a letter has more than its content: 26.
pub const LETTER_OVERHEAD: usize = LetterHeader::OVERHEAD;

/// How long letters may be on their way, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterLimits {
    retention: Duration,
    depth: usize,
}

impl Default for LetterLimits {
    fn default() -> Self {
        Self::WEEK
    }
}

impl LetterLimits {
    /// A week, and 4 096 letters: the default.
    pub const WEEK: Self = Self {
        retention: Duration::from_secs(7 * 86_400),
        depth: 4_096,
    };

    /// Keys of an epoch that has ended are kept for `retention`, so long as a mailbox keeps
    /// letters; and of an epoch's letters at most `depth` may be missing at once: as many as a
    /// mailbox holds.
    ///
    /// # Errors
    /// [`Error::Config`] when one of them is zero.
    pub const fn new(retention: Duration, depth: usize) -> Result<Self, Error> {
        if retention.is_zero() || depth == 0 {
            return Err(Error::Config("retention or depth"));
        }
        Ok(Self { retention, depth })
    }
}

/// What a letter said.
#[derive(Debug, PartialEq, Eq)]
pub enum Letter<'a> {
    /// The user's bytes, padded or not as their sender said.
    Data {
        /// The bytes.
        content: &'a [u8],
        /// Whether they end in padding.
        padded: bool,
    },
    /// Nothing: it confirms, or answers what confirms.
    Empty,
    /// The responder asks for a successor.
    RenewNow,
    /// The peer is done; nothing is opened any more.
    Closed(CloseReason),
}

/// A letter that opened.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedLetter<'a> {
    /// What it said.
    pub letter: Letter<'a>,
    /// Its sender waits for a first record (rule H6): answer by anything, or by
    /// [`LetterSession::answer`].
    pub asks: bool,
    /// It is the record that proved the initiator.
    pub confirms: bool,
}

/// The sending direction, which no restart survives (rule E1).
#[derive(Debug)]
struct Sending {
    /// Boxed: a session that moves leaves no copy of its secret behind.
    sender: Box<Sender>,
    /// The expanded key of an epoch.
    key: Option<(u64, Box<EpochKey>)>,
}

/// One end of an association by letters.
#[derive(Debug)]
pub struct LetterSession {
    peer: Authenticated,
    backend: Backend,
    limits: LetterLimits,
    local: Index,
    remote: Index,
    sending: Option<Sending>,
    receiver: DeepReceiver,
    agreed: Agreed,
    lifetime: Lifetime,
    renew_at: u64,
    /// A record of the other end has opened.
    confirmed: bool,
    closed: bool,
}

impl LetterSession {
    fn new(
        agreement: Agreement,
        backend: Backend,
        limits: LetterLimits,
        local: Index,
        (since, now, fraction): (u64, Now, u32),
    ) -> Result<Self, Error> {
        let Agreement {
            peer,
            send,
            receive,
            agreed,
            remaining,
            remote,
            ..
        } = agreement;
        let lifetime = Lifetime::new(since, &agreed, remaining);
        let renew_at = match peer.role() {
            Role::Initiator => lifetime.soft(fraction),
            Role::Responder => lifetime.half(),
        };
        let sender = Box::new(Sender::new(send, agreed.epoch_bits, now.millis()));
        Ok(Self {
            peer,
            backend,
            limits,
            local,
            remote: remote.ok_or(Error::Unexpected)?,
            sending: Some(Sending { sender, key: None }),
            receiver: DeepReceiver::new(receive, agreed.epoch_bits),
            agreed,
            lifetime,
            renew_at,
            confirmed: false,
            closed: false,
        })
    }

    /// Seals `content` (the user's, padded or not) as a letter, after what `out` holds.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`] at a responder before the initiator's first record,
    /// [`Error::ReceiveOnly`] after a restart, [`Error::Limit`] at one of the limits.
    pub fn seal(
        &mut self,
        now: Now,
        content: &[u8],
        padded: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.write(now, RecordKind::Data, content, padded, out)
    }

    /// Writes an empty letter: an initiator's first, if there is nothing to say, or the answer to what
    /// [asks](OpenedLetter::asks).
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn answer(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(now, RecordKind::Control, &[], false, out)
    }

    /// Asks the initiator for a successor: a responder's duty at [`renew_at`](Self::renew_at).
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn ask_to_renew(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), Error> {
        let control = Control {
            renew_now: true,
            ..Control::default()
        };
        self.write(now, RecordKind::Control, &control.encode(), false, out)
    }

    /// Writes a Close; nothing is sealed after it. What is on its way still opens here.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn close(&mut self, now: Now, reason: CloseReason, out: &mut Vec<u8>) -> Result<(), Error> {
        let control = Control {
            close: Some(reason),
            ..Control::default()
        };
        self.write(now, RecordKind::Control, &control.encode(), false, out)?;
        self.sending = None;
        Ok(())
    }

    fn write(
        &mut self,
        now: Now,
        kind: RecordKind,
        content: &[u8],
        padded: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.closed {
            return Err(Error::NoAssociation);
        }
        let initiates = self.peer.role() == Role::Initiator;
        if !initiates && !self.confirmed {
            return Err(Error::NotConfirmed);
        }
        let Sending { sender, key } = self.sending.as_mut().ok_or(Error::ReceiveOnly)?;
        let millis_now = now.millis();
        self.lifetime.may_seal(millis_now)?;
        self.agreed.admits(kind, sender.usage())?;
        let ratchet = self.peer.credential().policy().ratchet().map(millis);
        let next = sender.advance(millis_now, ratchet)?;
        let header = LetterHeader {
            kind,
            padded,
            confirm: initiates && !self.confirmed,
            index: self.remote,
            sequence: next.sequence,
        };
        let header = header.encode().map_err(|_| Error::Limit("sequence"))?;
        if key.as_ref().is_none_or(|(epoch, _)| *epoch != next.epoch) {
            let made = sender
                .traffic()
                .epoch_key(self.backend, self.peer.terms().suite);
            *key = Some((next.epoch, Box::new(made)));
        }
        let (_, key) = key.as_ref().ok_or(Error::Backend("epoch key"))?;
        let start = out.len();
        out.reserve(content.len() + LETTER_OVERHEAD);
        out.extend_from_slice(&header);
        out.extend_from_slice(content);
        let sealed = &mut out[start + LetterHeader::LEN..];
        let tag = key
            .seal(next.sequence, &header, sealed)
            .map_err(|()| Error::Backend("length"))?;
        out.extend_from_slice(&tag);
        sender.count(content.len());
        Ok(())
    }

    /// Seals nothing more: a successor is confirmed (rule H5). What is on its way to here still opens.
    pub fn drain(&mut self) {
        self.sending = None;
    }

    /// Opens a letter in place.
    ///
    /// Nothing but a letter that opens changes anything; one that was opened before is refused.
    ///
    /// # Errors
    /// [`Error::Authentication`] when it does not open, was opened before, or is too old to tell;
    /// [`Error::Limit`] at one of the limits; [`Error::NoAssociation`] after a Close.
    pub fn open<'a>(&mut self, now: Now, letter: &'a mut [u8]) -> Result<OpenedLetter<'a>, Error> {
        let header = LetterHeader::parse(letter)?;
        if self.closed || header.index != self.local {
            return Err(Error::NoAssociation);
        }
        let millis_now = now.millis();
        self.lifetime.may_open(millis_now)?;
        let usage = (self.receiver.records, self.receiver.bytes);
        self.agreed.admits(header.kind, usage)?;
        self.receiver.expire(millis_now);
        let depth = self
            .receiver
            .locate(header.sequence)
            .ok_or(Error::Authentication)?;
        let key = self
            .receiver
            .key(depth, self.backend, self.peer.terms().suite)
            .ok_or(Error::Authentication)?;
        let (head, sealed) = letter.split_at_mut(LetterHeader::LEN);
        key.open(header.sequence, head, sealed)
            .map_err(|()| Error::Authentication)?;
        let len = sealed.len() - refpoint_wire::TAG_LEN;
        let content = &sealed[..len];
        let control = match header.kind {
            RecordKind::Data => None,
            RecordKind::Control => Some(Control::decode(content)?),
        };
        let retention = millis(self.limits.retention);
        let kept = (millis_now, retention, self.limits.depth);
        self.receiver.commit(depth, header.sequence, len, kept);
        let confirms = !self.confirmed;
        self.confirmed = true;
        let letter = match control {
            None => Letter::Data {
                content,
                padded: header.padded,
            },
            Some(control) => match control.close {
                Some(reason) => {
                    self.closed = true;
                    self.sending = None;
                    Letter::Closed(reason)
                }
                None if control.renew_now => Letter::RenewNow,
                None => Letter::Empty,
            },
        };
        if letter == Letter::RenewNow && self.peer.role() == Role::Initiator {
            self.renew_at = self.renew_at.min(millis_now);
        }
        Ok(OpenedLetter {
            letter,
            asks: header.confirm && self.peer.role() == Role::Responder,
            confirms,
        })
    }

    /// Who is at the other end; proved once the session [is confirmed](Self::is_confirmed).
    #[must_use]
    pub const fn peer(&self) -> &Authenticated {
        &self.peer
    }

    /// The index by which this end is addressed.
    #[must_use]
    pub const fn index(&self) -> Index {
        self.local
    }

    /// Whether a record of the other end has opened.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether it may seal: never after a restart or a Close.
    #[must_use]
    pub const fn may_send(&self) -> bool {
        self.sending.is_some()
    }

    /// When a successor is due, in monotonic time: at an initiator a random instant between a quarter and half of
    /// its life, at a responder half of it, when it [asks](Self::ask_to_renew).
    #[must_use]
    pub const fn renew_at(&self) -> Duration {
        Duration::from_millis(self.renew_at)
    }

    /// When all its secrets are to be wiped, by dropping it.
    #[must_use]
    pub const fn ends_at(&self) -> Duration {
        Duration::from_millis(self.lifetime.hard())
    }

    /// When to call [`expire`](Self::expire) next.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let wipe = self.receiver.deadline();
        Duration::from_millis(wipe.map_or(self.lifetime.hard(), |at| at.min(self.lifetime.hard())))
    }

    /// Wipes the keys of epochs whose retention is over. True when the whole session is over: drop it.
    pub fn expire(&mut self, now: Now) -> bool {
        self.receiver.expire(now.millis());
        self.lifetime.may_open(now.millis()).is_err()
    }

    /// How many epochs' keys are kept at present; at most 64.
    #[must_use]
    pub fn kept_epochs(&self) -> usize {
        debug_assert!(self.receiver.epochs.len() <= KEPT);
        self.receiver.epochs.len()
    }
}
