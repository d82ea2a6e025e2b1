use alloc::boxed::Box;
use core::net::SocketAddr;

use refpoint_wire::{Index, RecordKind, SessionLabel, Suite};

use super::outbox::AssociationId;
use crate::{
    Authenticated, Error, HeldHandle,
    issued::{Chain, NewHandle},
    lifetime::Lifetime,
    negotiation::Agreement,
    policy::Agreed,
    receiver::Receiver,
    schedule::Exporter,
    sender::Sender,
    time::millis,
};

/// The end of a peer's list of associations.
pub(crate) const NONE: u32 = u32::MAX;

/// One association of an end point. Its size is a number that design 9 bounds: what only some
/// associations have, or only for a while, is boxed.
#[derive(Debug)]
pub(crate) struct Association {
    pub(crate) serial: u64,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    pub(crate) exporter: Exporter,
    pub(crate) lifetime: Lifetime,
    /// When the initiator refreshes, or the responder asks for it; `u64::MAX` once replaced.
    pub(crate) renewal: u64,
    /// The end point's count when a record of the peer first opened; `serial` is its count when
    /// the association was made. Times are too coarse to tell what came first.
    pub(crate) confirmed_at: u64,
    /// When the timer is set for this association.
    pub(crate) timer: u64,
    pub(crate) peer: Authenticated,
    pub(crate) address: SocketAddr,
    pub(crate) phase: Phase,
    pub(crate) path: Option<Box<Path>>,
    pub(crate) index: Index,
    pub(crate) remote: Index,
    /// The next association of the same credential.
    pub(crate) next_of_peer: u32,
    pub(crate) agreed: Agreed,
    pub(crate) awaits_grant: bool,
    /// The answer itself brought the grant (`light`): records that answer a confirm need not.
    pub(crate) granted: bool,
}

/// Failed opens of one key at which the AEAD's own bound ends an association (rule R5,
/// draft-irtf-cfrg-aead-limits).
pub(crate) const fn aead_limit(suite: Suite) -> u64 {
    match suite {
        Suite::ChaChaPoly => 1 << 36,
        Suite::AesGcm => 1 << 52,
    }
}

/// How far an association is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// A responder's before the first record: nothing is delivered or sent (rule H6).
    Unconfirmed(Box<Unconfirmed>),
    /// An initiator's before the first record of the responder.
    Confirming(Box<Confirming>),
    /// Both ways open.
    Established,
    /// A newer one took its place: it only receives.
    Draining { until: u64 },
}

/// What a responder knows of an association that nobody has confirmed to yet.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    /// With how good a claim it took its place.
    pub(crate) cookie: bool,
    pub(crate) until: u64,
    /// The handle that its first record redeems, and the one that is issued then if that is made
    /// already.
    pub(crate) chain: Option<Chain>,
    pub(crate) next: Option<NewHandle>,
    /// When it was answered: of several answers to one handle the oldest gives way.
    pub(crate) serial: u64,
}

/// What an initiator repeats until a record of the responder opens.
#[derive(Debug)]
pub(crate) struct Confirming {
    pub(crate) owes_grant: bool,
    /// The handle that came with the answer (`light`).
    pub(crate) held: Option<Box<HeldHandle>>,
    /// A record of the responder has opened; only its grant is still missing.
    pub(crate) proved: bool,
    pub(crate) repeats: u32,
    pub(crate) repeat_at: u64,
    pub(crate) until: u64,
}

/// An address that the peer has moved to and not yet echoed a challenge from (rule R6).
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) before: SocketAddr,
    pub(crate) token: [u8; 8],
    /// Bytes that may still be sent there.
    pub(crate) allowance: u64,
    pub(crate) until: u64,
}

impl Association {
    pub(crate) fn new(
        agreement: Agreement,
        (serial, index): (u64, Index),
        remote: Index,
        address: SocketAddr,
        since: u64,
        phase: Phase,
        renewal_fraction: u32,
    ) -> Self {
        let Agreement {
            peer,
            send,
            receive,
            exporter,
            agreed,
            remaining,
            grant,
            ..
        } = agreement;
        let lifetime = Lifetime::new(since, &agreed, remaining);
        let renewal = match peer.role() {
            refpoint_keys::Role::Initiator => lifetime.soft(renewal_fraction),
            refpoint_keys::Role::Responder => lifetime.half(),
        };
        Self {
            serial,
            sender: Sender::new(send, agreed.epoch_bits, since),
            receiver: Receiver::new(receive, agreed.epoch_bits),
            exporter,
            lifetime,
            renewal,
            confirmed_at: u64::MAX,
            timer: u64::MAX,
            peer,
            address,
            phase,
            path: None,
            index,
            remote,
            next_of_peer: NONE,
            agreed,
            awaits_grant: remaining.is_none(),
            granted: grant.is_some(),
        }
    }

    pub(crate) const fn id(&self, slot: u32) -> AssociationId {
        AssociationId {
            serial: self.serial,
            slot,
        }
    }

    pub(crate) const fn session(&self) -> SessionLabel {
        self.peer.session
    }

    /// Whether a record of this kind may be sealed now.
    pub(crate) fn may_seal(&self, kind: RecordKind, now: u64) -> Result<(), Error> {
        match self.phase {
            Phase::Unconfirmed(_) => return Err(Error::NotConfirmed),
            Phase::Confirming(_) | Phase::Established => {}
            Phase::Draining { .. } => {
                return Err(Error::Closed(refpoint_wire::CloseReason::Replaced));
            }
        }
        self.lifetime.may_seal(now)?;
        self.agreed.admits(kind, self.sender.usage())
    }

    /// Whether a record of this kind may be opened now: a peer that heeds the limits has sealed no
    /// more than it has been allowed to, and another one is not listened to.
    pub(crate) fn may_open(&self, kind: RecordKind, now: u64) -> Result<(), Error> {
        self.lifetime.may_open(now)?;
        self.may_receive(kind)
    }

    fn may_receive(&self, kind: RecordKind) -> Result<(), Error> {
        if self.receiver.failed() >= aead_limit(self.peer.terms.suite) {
            return Err(Error::Limit("failed opens"));
        }
        self.agreed.admits(kind, self.receiver.usage())
    }

    /// The limit that its user's data, or what came from outside, have reached, if they have.
    pub(crate) fn exhausted(&self) -> Option<Error> {
        let sent = self.agreed.admits(RecordKind::Data, self.sender.usage());
        sent.and_then(|()| self.may_receive(RecordKind::Data)).err()
    }

    const fn is_nearly_used(&self) -> bool {
        self.agreed.is_nearly_used(self.sender.usage())
            || self.agreed.is_nearly_used(self.receiver.usage())
    }

    /// Brings the renewal forward when most of what it may carry is used; once in `retry`.
    pub(crate) const fn note_usage(&mut self, now: u64, retry: u64) {
        let far = self.renewal != u64::MAX && self.renewal > now.saturating_add(retry);
        if far && self.is_nearly_used() {
            self.renewal = now;
        }
    }

    /// The renewal is due: this is when it is due again, unless a successor has taken the place by
    /// then. Whatever became of the first (a lost message, a successor that was never confirmed),
    /// an association does not wait for its end.
    pub(crate) fn renew_again(&mut self, now: u64, retry: u64) {
        let left = self.lifetime.close().saturating_sub(now);
        let span = if self.is_nearly_used() { 0 } else { left / 8 };
        self.renewal = now.saturating_add(span.max(retry));
    }

    /// When something is next due, in milliseconds.
    pub(crate) fn deadline(&self) -> u64 {
        if self.exhausted().is_some() {
            return 0;
        }
        let phase = match &self.phase {
            Phase::Unconfirmed(unconfirmed) => unconfirmed.until,
            Phase::Draining { until } => *until,
            Phase::Confirming(confirming) => confirming.repeat_at.min(confirming.until),
            Phase::Established => self
                .peer
                .credential()
                .policy()
                .keepalive()
                .map_or(u64::MAX, |interval| {
                    self.sender.last_sent() + millis(interval)
                }),
        };
        phase
            .min(self.renewal)
            .min(self.lifetime.close())
            .min(self.receiver.deadline().unwrap_or(u64::MAX))
            .min(self.path.as_ref().map_or(u64::MAX, |path| path.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_association_takes_no_more_than_its_share_of_the_memory_budget() {
        // Design 9: at most 400 bytes with timers and maps, measured by `cargo xtask bench`.
        assert!(size_of::<Association>() <= 352);
    }
}
