use core::{net::SocketAddr, time::Duration};

use super::ReservedSlot;
use crate::{Authenticated, Error, HandleChange, HeldHandle};

/// Names an association of an [`Endpoint`](crate::Endpoint); never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId {
    pub(crate) serial: u64,
    pub(crate) slot: u32,
}

/// Names a handshake that this end has started; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(crate) u64);

/// What an end point tells its user.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An association can be used. At the responder: the initiator has proved itself.
    Established {
        /// The association.
        id: AssociationId,
        /// The handshake of this end that made it; `None` at the responder.
        attempt: Option<AttemptId>,
        /// Who is at the other end.
        peer: &'a Authenticated,
    },
    /// The user's bytes, in a record that opened, once.
    Received {
        /// The association.
        id: AssociationId,
        /// The bytes.
        data: &'a [u8],
    },
    /// A newer association took the place of this one, which still receives for a while.
    Replaced {
        /// The older one; nothing more can be sent on it.
        old: AssociationId,
        /// The newer one.
        new: AssociationId,
    },
    /// An association has ended.
    Closed {
        /// The association.
        id: AssociationId,
        /// Why: [`Error::Closed`] by the peer, [`Error::Limit`], [`Error::NoAnswer`].
        error: Error,
    },
    /// This end holds a handle by which it can resume: a newer one takes the place of an older one
    /// of the same credential and session. A device stores it, see [`HeldHandle::expose_bytes`].
    Held {
        /// The association that it came from.
        id: AssociationId,
        /// The handle.
        handle: &'a HeldHandle,
    },
    /// The handles that this end has issued have changed; a store writes it behind.
    Handles(HandleChange),
    /// A handle could not be redeemed: the attempt goes on with a full handshake. When it only got no
    /// answer, both are tried from now on, and what is answered first is used.
    NotResumed {
        /// The handshake.
        attempt: AttemptId,
        /// Why: [`Error::Handle`] by the peer, [`Error::NoAnswer`].
        error: Error,
    },
    /// The peer is busy: the attempt is tried again at the slot that it was given.
    Deferred {
        /// The handshake.
        attempt: AttemptId,
        /// When, in monotonic time.
        until: Duration,
        /// What a device keeps, to come in its slot even if it restarts; none without a wall clock.
        slot: Option<&'a ReservedSlot>,
    },
    /// A handshake that this end had started has failed.
    Failed {
        /// The handshake.
        attempt: AttemptId,
        /// Why. [`Error::Closed`] with [`CloseReason::Replaced`](crate::CloseReason::Replaced):
        /// another handshake has made the same association.
        error: Error,
    },
}

/// Takes what an end point puts out, while it is being called.
///
/// The end point keeps no queue of outputs: they exist only as these calls, so there is nothing
/// that a caller could forget to drain.
pub trait Outbox {
    /// Send this datagram. Its buffer is used again after the call.
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]);

    /// Something happened.
    fn event(&mut self, event: Event<'_>);
}
