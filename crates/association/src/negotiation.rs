//! The two-message handshake with its credentials, common to datagrams and streams: what an
//! Initiate says, who may have sent it, and what both ends have agreed on when it is answered.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use rand_core::CryptoRng;
use refpoint_keys::{Profile, Role};
use refpoint_wire::{
    Carriage, Cookie, Grant, Index, Initiate, InitiateHeader, InitiatePayload, LightGrant, Mode,
    Packet, PacketHash, RETRY_MAC_LEN, RespondPayload, ResumeHeader, Retry, SessionLabel, Terms,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    Authenticated, Backend, Credential, CredentialId, Credentials, Error, HeldHandle, Local, Now,
    PublicKey,
    handshake::{self, Initiator, Responder, Setup},
    issued::NewHandle,
    light::{self, Exchange},
    policy::Agreed,
    prologue::prologue,
    schedule::{Exporter, Master, Resumption, Traffic, hmac},
};

mod resuming;

/// By what Retry and Refuse name a packet.
pub(crate) fn packet_hash(packet: &[u8]) -> PacketHash {
    let hash = Sha256::digest(packet);
    PacketHash(*hash.first_chunk().expect("32 bytes hold 8"))
}

/// What does not change from one handshake of an end point to the next.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) local: &'a Local,
    pub(crate) backend: Backend,
    pub(crate) carriage: Carriage,
    /// The exporter of the association that is refreshed (rule L1).
    pub(crate) binding: Option<&'a [u8; 32]>,
}

/// What two ends have when a handshake is done.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) peer: Authenticated,
    pub(crate) send: Traffic,
    pub(crate) receive: Traffic,
    pub(crate) exporter: Exporter,
    pub(crate) agreed: Agreed,
    /// For how long the credential holds; `None`: the peer has yet to say so (rule L3).
    pub(crate) remaining: Option<Duration>,
    /// The peer has no clock: grant it the remaining time in the confirm.
    pub(crate) owes_grant: bool,
    /// The peer's index.
    pub(crate) remote: Option<Index>,
    /// What came with the answer itself: in `light` only, where no record needs to bring it.
    pub(crate) grant: Option<Grant>,
    /// The handle that this grants, at the responder.
    pub(crate) next: Option<NewHandle>,
}

/// Which association an initiator wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) credential: Arc<Credential>,
    pub(crate) id: CredentialId,
    pub(crate) session: SessionLabel,
}

/// An Initiate that was sent, and the state that can read its answer.
pub(crate) struct Offer {
    kind: Kind,
    wanted: Wanted,
    terms: Terms,
    no_clock: bool,
    /// Encoded once; a retransmission repeats it (rule H2).
    pub(crate) packet: Vec<u8>,
}

enum Kind {
    /// A full handshake.
    Full(Initiator),
    /// A resumption by `fresh`.
    Fresh(Initiator, Redeemed),
    /// A resumption by `light`.
    Light(Exchange, Redeemed),
}

/// The handle that an offer redeems.
struct Redeemed {
    secret: Resumption,
    session: SessionLabel,
    epoch_bits: u8,
}

impl Offer {
    /// The profile of a full handshake; none when a handle is redeemed.
    pub(crate) const fn profile(&self) -> Option<Profile> {
        match self.kind {
            Kind::Full(_) => Some(self.terms.profile),
            Kind::Fresh(..) | Kind::Light(..) => None,
        }
    }

    /// Whether the responder made this Retry, or at least somebody who knows what it knows (T3).
    pub(crate) fn verifies(&self, retry: &Retry) -> bool {
        let covered = retry.covered();
        let mac = match &self.kind {
            Kind::Full(_) => connection_hint(
                &self.wanted.credential,
                (self.terms.profile, Role::Initiator),
                self.wanted.credential.public_key(),
                &covered,
            ),
            Kind::Fresh(_, redeemed) | Kind::Light(_, redeemed) => {
                Some(redeemed.secret.hint(&covered))
            }
        };
        mac.is_some_and(|mac| mac.ct_eq(&retry.mac).into())
    }

    /// Writes an Initiate with a new ephemeral key.
    pub(crate) fn new(
        context: &Context<'_>,
        wanted: Wanted,
        index: Option<Index>,
        cookie: Option<Cookie>,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let credential = &wanted.credential;
        let terms = credential.terms();
        credential.allows(terms, Role::Initiator)?;
        credential.remaining(now)?;
        let hidden = terms.profile == Profile::Known;
        if terms.profile != Profile::Psk {
            context
                .local
                .static_key()
                .ok_or(Error::Incomplete("static key of its own"))?;
            credential
                .public_key()
                .ok_or(Error::Incomplete("public key of the peer"))?;
        }
        let key_id = credential.key_id();
        let header = InitiateHeader {
            terms,
            index,
            key_id: (!hidden).then_some(key_id),
            cookie,
        };
        let mut packet = header.encode();
        let local = context.local.entity();
        let prologue = prologue(
            context.carriage,
            &packet,
            (!hidden).then_some(local),
            credential.peer(),
            context.binding,
        );
        let keys = credential.context(terms.profile, Role::Initiator);
        let psk = credential
            .key()
            .association_psk(&keys)
            .map_err(|_| Error::NoCredential)?;
        let setup = Setup {
            backend: context.backend,
            terms,
            prologue: &prologue,
            psk: Some(psk.expose_bytes()),
            static_key: context.local.static_key(),
            remote: credential.public_key(),
            entropy: handshake::draw(rng),
        };
        let payload = InitiatePayload {
            initiator: hidden.then(|| (local.clone(), key_id)),
            limits: credential.policy().limits(),
            session: wanted.session,
            no_clock: now.utc.is_none(),
        };
        let handshake = Initiator::initiate(&setup, &payload.encode(), &mut packet)?;
        if terms.profile == Profile::Pinned {
            let tag = credential
                .key()
                .tag_key(&keys)
                .map_err(|_| Error::NoCredential)?;
            packet.extend_from_slice(&tag.tag(&packet));
        }
        Ok(Self {
            kind: Kind::Full(handshake),
            wanted,
            terms,
            no_clock: now.utc.is_none(),
            packet,
        })
    }

    /// Reads the answer: a Respond's message, or a Resumed's header and body. Until
    /// [`finish`](Self::finish) nothing is lost: a forged one changes nothing.
    pub(crate) fn answer(
        &mut self,
        backend: Backend,
        header: Option<&[u8]>,
        message: &[u8],
    ) -> Result<Answered, Error> {
        let suite = self.terms.suite;
        match (&mut self.kind, header) {
            (Kind::Full(handshake), None) | (Kind::Fresh(handshake, _), Some(_)) => {
                let payload = handshake.read(message)?;
                let payload = RespondPayload::decode(&payload)?;
                let light = None;
                Ok(Answered { payload, light })
            }
            (Kind::Light(exchange, _), Some(header)) => {
                let opened = exchange.open((backend, suite), header, message);
                let (master, LightGrant { payload, grant }) = opened?;
                let light = Some((master, grant));
                Ok(Answered { payload, light })
            }
            (Kind::Full(_), Some(_)) | (Kind::Fresh(..) | Kind::Light(..), None) => {
                Err(Error::Unexpected)
            }
        }
    }

    /// What was agreed on, once an answer was read.
    pub(crate) fn finish(
        self,
        context: &Context<'_>,
        Answered { payload, light }: Answered,
        now: Now,
    ) -> Result<Agreement, Error> {
        if payload.index.is_none() != (context.carriage == Carriage::Stream) {
            return Err(Error::Wire(refpoint_wire::Error::Range("index")));
        }
        let credential = self.wanted.credential;
        let remaining = match (credential.remaining(now)?, payload.remaining) {
            (None, None) => return Err(Error::Expired),
            (own, granted) => own.into_iter().chain(granted).min(),
        };
        if self.no_clock && payload.no_clock {
            return Err(Error::Expired);
        }
        let mut agreed = credential.policy().agree(payload.limits);
        let (master, session, grant) = match (self.kind, light) {
            (Kind::Full(handshake), None) => {
                let master = handshake.finish()?.into_master();
                (master, self.wanted.session, None)
            }
            (Kind::Fresh(handshake, redeemed), None) => {
                let master = handshake.finish()?.into_master();
                (master, redeemed.session, None)
            }
            (Kind::Light(_, redeemed), Some((master, grant))) => {
                // What the responder knows of this end's epochs is what it knew before.
                agreed.epoch_bits = Agreed::epoch_bits(redeemed.epoch_bits, payload.limits);
                (master, redeemed.session, Some(grant))
            }
            _ => return Err(Error::Unexpected),
        };
        let (send, receive, exporter) =
            master.into_association(Role::Initiator, context.local.entity(), credential.peer());
        let peer = Authenticated {
            credential,
            id: self.wanted.id,
            session,
            terms: self.terms,
            role: Role::Initiator,
        };
        Ok(Agreement {
            peer,
            send,
            receive,
            exporter,
            agreed,
            remaining,
            owes_grant: payload.no_clock,
            remote: payload.index,
            grant,
            next: None,
        })
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("to", self.wanted.credential.peer())
            .finish_non_exhaustive()
    }
}

/// An answer that opened: its payload and, in `light`, the secrets and the grant.
pub(crate) struct Answered {
    payload: RespondPayload,
    light: Option<(Master, Grant)>,
}

/// The MAC over a Retry that answers an Initiate (rule T3).
///
/// ```text
/// psk, pinned   HMAC(HintKey, covered)[0..8]
/// known         HMAC(HKDF-Extract("refpoint/1 hint", responder's public key), covered)[0..8]
/// ```
///
/// In `known` nothing secret is shared before a DH, so it only keeps out who does not know the
/// responder's key.
pub(crate) fn connection_hint(
    credential: &Credential,
    (profile, role): (Profile, Role),
    responder: Option<PublicKey>,
    covered: &[u8],
) -> Option<[u8; RETRY_MAC_LEN]> {
    if profile == Profile::Known {
        return responder.map(|key| public_hint(&key, covered));
    }
    let keys = credential.context(profile, role);
    let key = credential.key().hint_key(&keys).ok()?;
    Some(key.tag(covered))
}

/// The MAC of `known`.
pub(crate) fn public_hint(responder: &PublicKey, covered: &[u8]) -> [u8; RETRY_MAC_LEN] {
    let mut label = [0; 32];
    label[..15].copy_from_slice(b"refpoint/1 hint");
    let key = hmac(&label, &[responder.as_bytes()]);
    let mac = hmac(&key, &[covered]);
    *mac.first_chunk().expect("32 bytes hold 8")
}

/// An Initiate whose sender has been looked up, before it is answered.
pub(crate) struct Request {
    handshake: Responder,
    payload: InitiatePayload,
    terms: Terms,
    remote: Option<Index>,
    /// `None`: nobody we know; the answer is made all the same (rule H3).
    sender: Option<(CredentialId, Arc<Credential>)>,
}

impl Request {
    /// Reads an Initiate. In `psk` and `pinned` nothing costs a DH before a symmetric check has
    /// passed; all failures are the same [`Error::Authentication`].
    pub(crate) fn receive(
        context: &Context<'_>,
        credentials: &Credentials,
        initiate: &Initiate<'_>,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let terms = initiate.header.terms;
        match terms.profile {
            Profile::Psk | Profile::Pinned => {
                Self::receive_named(context, credentials, initiate, now, rng)
            }
            Profile::Known => Self::receive_hidden(context, credentials, initiate, now, rng),
            Profile::FirstContact => Err(Error::NotAllowed("profile")),
        }
    }

    fn setup<'a>(
        context: &'a Context<'_>,
        terms: Terms,
        prologue: &'a [u8],
        rng: &mut dyn CryptoRng,
    ) -> Setup<'a> {
        Setup {
            backend: context.backend,
            terms,
            prologue,
            psk: None,
            static_key: context.local.static_key(),
            remote: None,
            entropy: handshake::draw(rng),
        }
    }

    /// Whose key id an Initiate of `psk` or `pinned` names, if that credential may be used; in
    /// `pinned` the tag has proved it (rule T1).
    pub(crate) fn sender_of(
        credentials: &Credentials,
        initiate: &Initiate<'_>,
        now: Now,
    ) -> Result<(CredentialId, Arc<Credential>), Error> {
        let terms = initiate.header.terms;
        let key_id = initiate.header.key_id.ok_or(Error::Authentication)?;
        let (id, credential) = credentials
            .by_key(terms.point, key_id)
            .ok_or(Error::Authentication)?;
        let usable = credential
            .allows(terms, Role::Responder)
            .and(credential.remaining(now));
        usable.map_err(|_| Error::Authentication)?;
        if let Some((tagged, tag)) = &initiate.tagged {
            let keys = credential.context(terms.profile, Role::Responder);
            let key = credential
                .key()
                .tag_key(&keys)
                .map_err(|_| Error::Authentication)?;
            if !key.verify(tagged, tag) {
                return Err(Error::Authentication);
            }
        }
        Ok((id, credential.clone()))
    }

    /// `psk` and `pinned`: the key id in clear names the sender.
    fn receive_named(
        context: &Context<'_>,
        credentials: &Credentials,
        initiate: &Initiate<'_>,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let terms = initiate.header.terms;
        let (id, credential) = Self::sender_of(credentials, initiate, now)?;
        let keys = credential.context(terms.profile, Role::Responder);
        let psk = credential
            .key()
            .association_psk(&keys)
            .map_err(|_| Error::Authentication)?;
        let prologue = prologue(
            context.carriage,
            initiate.header_bytes,
            Some(credential.peer()),
            context.local.entity(),
            context.binding,
        );
        let mut setup = Self::setup(context, terms, &prologue, rng);
        setup.psk = Some(psk.expose_bytes());
        setup.remote = credential.public_key();
        let (handshake, payload) = Responder::receive(&setup, initiate.message)?;
        let payload = InitiatePayload::decode(&payload)?;
        if payload.initiator.is_some() {
            return Err(Error::Unexpected);
        }
        let sender = Some((id, credential.clone()));
        Ok(Self {
            handshake,
            payload,
            terms,
            remote: initiate.header.index,
            sender,
        })
    }

    /// `known`: the static key and the key id inside message 1 must belong to one entity.
    fn receive_hidden(
        context: &Context<'_>,
        credentials: &Credentials,
        initiate: &Initiate<'_>,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let terms = initiate.header.terms;
        context.local.static_key().ok_or(Error::Authentication)?;
        let prologue = prologue(
            context.carriage,
            initiate.header_bytes,
            None,
            context.local.entity(),
            context.binding,
        );
        let setup = Self::setup(context, terms, &prologue, rng);
        let (mut handshake, payload) = Responder::receive(&setup, initiate.message)?;
        let payload = InitiatePayload::decode(&payload)?;
        let claimed = handshake.claimed_static();
        let sender = identify(credentials, terms, claimed, &payload, now);
        let psk = match &sender {
            Some((_, credential)) => {
                let keys = credential.context(terms.profile, Role::Responder);
                let psk = credential.key().association_psk(&keys);
                Zeroizing::new(*psk.map_err(|_| Error::Authentication)?.expose_bytes())
            }
            // Same bytes, same time: a PSK that nobody has.
            None => handshake::draw(rng),
        };
        handshake.set_psk(&psk)?;
        Ok(Self {
            handshake,
            payload,
            terms,
            remote: initiate.header.index,
            sender,
        })
    }

    /// Who sent it, if we know them; proved only by the first record.
    pub(crate) fn sender(&self) -> Option<(CredentialId, &Arc<Credential>)> {
        self.sender
            .as_ref()
            .map(|(id, credential)| (*id, credential))
    }

    /// Answers: the Respond packet, and what was agreed on if the sender is known.
    pub(crate) fn respond(
        self,
        context: &Context<'_>,
        index: Option<Index>,
        now: Now,
    ) -> Result<(Vec<u8>, Option<Agreement>), Error> {
        let no_clock = now.utc.is_none();
        if no_clock && self.payload.no_clock {
            return Err(Error::Expired);
        }
        let credential = self.sender.as_ref().map(|(_, credential)| credential);
        let remaining = match credential {
            Some(credential) => credential.remaining(now)?,
            None => Some(Duration::from_secs(u32::MAX.into())),
        };
        let default = crate::Policy::default();
        let policy = credential.map_or(&default, |credential| credential.policy());
        let payload = RespondPayload {
            index,
            limits: policy.limits(),
            no_clock,
            remaining: remaining.filter(|_| self.payload.no_clock),
        };
        let mut packet = Packet::respond_header(self.remote);
        let split = self.handshake.respond(&payload.encode(), &mut packet)?;
        let Some((id, credential)) = self.sender else {
            return Ok((packet, None));
        };
        let (send, receive, exporter) = split.into_master().into_association(
            Role::Responder,
            credential.peer(),
            context.local.entity(),
        );
        let agreement = Agreement {
            agreed: credential.policy().agree(self.payload.limits),
            peer: Authenticated {
                credential,
                id,
                session: self.payload.session,
                terms: self.terms,
                role: Role::Responder,
            },
            send,
            receive,
            exporter,
            remaining,
            owes_grant: false,
            remote: self.remote,
            grant: None,
            next: None,
        };
        Ok((packet, Some(agreement)))
    }
}

/// Rule H3: the peer is the owner of the static key, and the key id must belong to that same
/// entity, reference point and direction.
fn identify(
    credentials: &Credentials,
    terms: Terms,
    claimed: Option<PublicKey>,
    payload: &InitiatePayload,
    now: Now,
) -> Option<(CredentialId, Arc<Credential>)> {
    let (initiator, key_id) = payload.initiator.as_ref()?;
    let owner = credentials.owner(&claimed?)?;
    let (id, credential) = credentials.by_key(terms.point, *key_id)?;
    let fits = initiator == owner
        && credential.peer() == owner
        && credential.public_key() == claimed
        && credential.allows(terms, Role::Responder).is_ok()
        && credential.remaining(now).is_ok();
    fits.then(|| (id, credential.clone()))
}
