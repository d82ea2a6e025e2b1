use alloc::boxed::Box;

use super::{opening::Opening, resumption::Granted, sealing::Sealing};
use crate::{
    Authenticated, Backend, lifetime::Lifetime, negotiation::Agreement, schedule::Exporter,
    scrub::Scrubbed, time::millis,
};

/// What a handshake on a stream leaves: an association's two directions, each of which a refresh
/// replaces by itself. The secrets are boxed, so that they are wiped where they lie when another
/// association takes over, and nothing of them stays where a session is moved from.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) common: Common,
    pub(super) sealing: Scrubbed<Sealing>,
    pub(super) opening: Scrubbed<Opening>,
}

/// What both directions of an association share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) peer: Authenticated,
    pub(super) exporter: Box<Exporter>,
    /// This end has no clock: the peer has yet to say how long the credential holds (rule L3).
    pub(super) awaits_grant: bool,
    /// How far the responder's grant of a handle has come.
    pub(super) granted: Granted,
}

impl Established {
    /// `since`: before this end's own first send.
    pub(super) fn new(agreement: Agreement, backend: Backend, since: u64) -> Self {
        let Agreement {
            peer,
            send,
            receive,
            exporter,
            agreed,
            remaining,
            ..
        } = agreement;
        let keyed = (backend, peer.terms().suite);
        let limits = (agreed, Lifetime::new(since, &agreed, remaining));
        let ratchet = peer.credential().policy().ratchet().map(millis);
        Self {
            sealing: Scrubbed::new(|| Sealing::new(send, keyed, limits, ratchet, since)),
            opening: Scrubbed::new(|| Opening::new(receive, keyed, limits)),
            common: Common {
                peer,
                exporter: Box::new(exporter),
                awaits_grant: remaining.is_none(),
                granted: Granted::Not,
            },
        }
    }
}
