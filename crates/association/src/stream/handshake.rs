use alloc::{sync::Arc, vec::Vec};

use rand_core::CryptoRng;
use refpoint_wire::{Carriage, Control, Packet, RecordKind, Refuse, SessionLabel};

use super::{
    StreamSession,
    framing::frame,
    resumption::{self, StreamAnswer, StreamUnconfirmed},
    running::Running,
};
use crate::{
    Backend, Credential, CredentialId, Credentials, Error, Grants, HeldHandle, Local, Now,
    negotiation::{Agreement, Context, Offer, Request, Wanted, packet_hash},
};

/// The most bytes of a handshake packet on a stream.
const MAX_HANDSHAKE: usize = 1024;

/// What a handshake on a stream has in common with the next one; `binding` is of the association
/// inside which it runs, if it does (rule L1).
pub(super) const fn context<'a>(
    local: &'a Local,
    backend: Backend,
    binding: Option<&'a [u8; 32]>,
) -> Context<'a> {
    Context {
        local,
        backend,
        carriage: Carriage::Stream,
        binding,
    }
}

/// Reads an Initiate and makes the Respond; in `known`, for a stranger too (rule H3).
pub(super) fn respond(
    context: &Context<'_>,
    credentials: &Credentials,
    packet: &[u8],
    now: Now,
    rng: &mut dyn CryptoRng,
) -> Result<(Vec<u8>, Option<Agreement>), Error> {
    check_size(packet)?;
    let Packet::Initiate(initiate) = Packet::parse(packet)? else {
        return Err(Error::Unexpected);
    };
    if initiate.header.index.is_some() || initiate.header.cookie.is_some() {
        return Err(Error::Unexpected);
    }
    Request::receive(context, credentials, &initiate, now, rng)?.respond(context, None, now)
}

/// A handshake packet has at most [`MAX_HANDSHAKE`] bytes.
pub(super) const fn check_size(packet: &[u8]) -> Result<(), Error> {
    if packet.len() > MAX_HANDSHAKE {
        return Err(Error::TooLarge {
            size: packet.len(),
            limit: MAX_HANDSHAKE,
        });
    }
    Ok(())
}

/// The Noise message of a Respond.
pub(super) fn respond_message(packet: &[u8]) -> Result<&[u8], Error> {
    match Packet::parse(packet)? {
        Packet::Respond {
            index: None,
            message,
        } => Ok(message),
        _ => Err(Error::Unexpected),
    }
}

/// The content of a confirming record: the grant for a peer without a clock, if it needs one.
pub(super) fn confirmation(agreement: &Agreement) -> Control {
    let owed = agreement.owes_grant.then_some(agreement.remaining);
    Control {
        remaining: owed.flatten(),
        ..Control::default()
    }
}

/// Where in its window an initiator renews: a uniformly random part of 2^32.
pub(super) fn draw_fraction(rng: &mut dyn CryptoRng) -> u32 {
    let mut random = [0; 4];
    rng.fill_bytes(&mut random);
    u32::from_be_bytes(random)
}

/// The initiating end before the answer.
#[derive(Debug)]
pub struct StreamInitiator {
    local: Local,
    backend: Backend,
    offer: Offer,
    since: u64,
    renewal: u32,
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
        let context = context(local, backend, None);
        let offer = Offer::new(&context, wanted, None, None, now, rng)?;
        Self::offered(now, rng, local, backend, offer, out)
    }

    /// Appends a framed Resume to `out`, which redeems `held`: by `light` if the handle and the
    /// credential's policy allow it, else by `fresh`.
    ///
    /// # Errors
    /// When the handle is not for this peer and carriage, is over, or may not be redeemed by any
    /// mode; or as [`new`](Self::new). A full handshake may do, then.
    pub fn resume(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        (id, credential): (CredentialId, Arc<Credential>),
        held: &HeldHandle,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let mode = resumption::mode(now, local, &credential, held)?;
        let wanted = Wanted {
            credential,
            id,
            session: held.session(),
        };
        let context = context(local, backend, None);
        let offer = Offer::resume(&context, (wanted, held, mode), None, None, now, rng)?;
        Self::offered(now, rng, local, backend, offer, out)
    }

    fn offered(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        offer: Offer,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        frame(&offer.packet, out)?;
        Ok(Self {
            local: local.clone(),
            backend,
            offer,
            since: now.millis(),
            renewal: draw_fraction(rng),
        })
    }

    /// Whether it redeems a handle.
    #[must_use]
    pub const fn resumes(&self) -> bool {
        self.offer.profile().is_none()
    }

    /// Reads the Respond or Resumed (a frame's content), and appends the confirming record to `out`.
    ///
    /// # Errors
    /// [`Error::Handle`] when the handle is refused: then, and only then, the stream may go on, with
    /// the Initiate of a [`new`](Self::new) one. [`Error::Authentication`] when it does not open,
    /// [`Error::Expired`] when neither end has a clock.
    pub fn receive(
        mut self,
        now: Now,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        let (header, message) = match Packet::parse(packet)? {
            Packet::Respond {
                index: None,
                message,
            } => (None, message),
            Packet::Resumed {
                index: None,
                header,
                body,
            } => (Some(header), body),
            Packet::Refuse(Refuse::Handle { index: None, echo })
                if self.resumes() && echo == packet_hash(&self.offer.packet) =>
            {
                return Err(Error::Handle);
            }
            _ => return Err(Error::Unexpected),
        };
        let answered = self.offer.answer(self.backend, header, message)?;
        let context = context(&self.local, self.backend, None);
        let agreement = self.offer.finish(&context, answered, now)?;
        let grant = confirmation(&agreement);
        let granted = resumption::by_light(now, &agreement);
        let mut running = Running::initiator(agreement, self.backend, self.since, self.renewal);
        running.take_light(now, granted);
        running.seal(now, RecordKind::Control, true, &grant.encode(), out)?;
        Ok(StreamSession::new(running))
    }
}

/// The responding end.
#[derive(Debug)]
pub struct StreamResponder;

impl StreamResponder {
    /// Whether the first packet of a stream (a frame's content) is to redeem a handle: for
    /// [`resume`](Self::resume), else for [`answer`](Self::answer).
    #[must_use]
    pub fn resumes(packet: &[u8]) -> bool {
        matches!(Packet::parse(packet), Ok(Packet::Resume(_)))
    }

    /// Reads a Resume (a frame's content), without any DH, for [`StreamRedemption::answer`](super::StreamRedemption::answer) to answer,
    /// or appends a Refuse to `out`. No Resume is answered twice, and no more than four of one handle.
    ///
    /// # Errors
    /// [`Error::Authentication`] for whatever does not prove to know the handle's secret; drop the
    /// stream without a word then.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a different thing of the caller's"
    )]
    pub fn resume(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        (credentials, grants): (&Credentials, &mut Grants),
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamAnswer, Error> {
        let context = context(local, backend, None);
        resumption::resume(&context, (credentials, grants), packet, now, rng, out)
    }

    /// Reads an Initiate (a frame's content), first in its stream or after a refusal, and appends
    /// the framed Respond to `out`.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn answer(
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        credentials: &Credentials,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<StreamUnconfirmed, Error> {
        let context = context(local, backend, None);
        resumption::full(&context, credentials, packet, now, rng, out)
    }

    /// Reads an Initiate (a frame's content) and appends the framed Respond to `out`, at an end that
    /// neither grants nor redeems handles.
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
        let answered = Self::answer(now, rng, local, backend, credentials, packet, out)?;
        Ok(answered.without_grants())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use refpoint_keys::{
        ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity,
    };
    use refpoint_wire::{Cookie, Index};

    use super::*;

    const NOW: Now = Now {
        monotonic: Duration::from_secs(1),
        utc: Some(UtcTime::from_secs(1_800_000_000)),
    };

    fn id(text: &str) -> EntityId {
        EntityId::parse(text).expect("a valid id")
    }

    fn credential(of: &str) -> Credential {
        let (a, b) = (id("//sp.example.com/id-mn"), id("//sp.example.com/id-in"));
        let validity = Validity::until(UtcTime::from_secs(1_900_000_000));
        let key_id = KeyId::new(b"k").expect("a valid key id");
        let key = ConnectionKey::from_bytes([7; 32], key_id, ReferencePoint::Y, &a, &b, validity);
        let key = Arc::new(key.expect("two entities"));
        Credential::new(&id(of), key, &[Profile::Psk]).expect("one of the two")
    }

    /// An Initiate with what only datagrams have, and the answer to it that states `answered`.
    fn exchange(
        (index, cookie): (Option<Index>, Option<Cookie>),
        answered: Option<Index>,
    ) -> Result<(), Error> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (a, b) = ("//sp.example.com/id-mn", "//sp.example.com/id-in");
        let (initiator, responder) = (Local::new(id(a)), Local::new(id(b)));
        let mut known = Credentials::new();
        let credential_id = known.insert(credential(b))?;
        let wanted = Wanted {
            credential: Arc::new(credential(a)),
            id: credential_id,
            session: SessionLabel::default(),
        };
        let backend = Backend::default();
        let at_initiator = context(&initiator, backend, None);
        let at_responder = context(&responder, backend, None);
        let mut offer = Offer::new(&at_initiator, wanted, index, cookie, NOW, &mut rng)?;
        let packet = match answered {
            None => respond(&at_responder, &known, &offer.packet, NOW, &mut rng)?.0,
            Some(_) => {
                let Packet::Initiate(initiate) = Packet::parse(&offer.packet)? else {
                    return Err(Error::Unexpected);
                };
                let request = Request::receive(&at_responder, &known, &initiate, NOW, &mut rng)?;
                request.respond(&at_responder, answered, NOW)?.0
            }
        };
        // The responder's own refusals are to be told from the initiator's.
        let message = respond_message(&packet).map_err(|_| Error::NotConfirmed)?;
        let answer = offer.answer(backend, None, message)?;
        offer.finish(&at_initiator, answer, NOW).map(drop)
    }

    #[test]
    fn neither_an_index_nor_a_cookie_is_taken_on_a_stream() {
        let index = Index::new(5, 1).expect("short");
        assert_eq!(exchange((None, None), None), Ok(()));
        let refused = Err(Error::Unexpected);
        assert_eq!(exchange((Some(index), None), None), refused);
        let cookie = Some(Cookie([1; 16]));
        assert_eq!(exchange((None, cookie), None), refused);
        let answered = exchange((None, None), Some(index));
        assert!(matches!(answered, Err(Error::Wire(_))), "{answered:?}");
    }
}
