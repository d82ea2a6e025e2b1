//! Redeeming a handle, as its issuer: the counterpart of [`negotiation`](crate::negotiation) for
//! associations that are resumed.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use refpoint_keys::{Profile, Role};
use refpoint_wire::{
    Grant, Index, InitiatePayload, LightGrant, Mode, Packet, PacketHash, RETRY_MAC_LEN,
    RespondPayload, Resume, ResumeBody, SessionLabel, Terms,
};

use crate::{
    Authenticated, Credential, CredentialId, Credentials, Error, IssuedHandles, Now,
    handshake::{self, Responder, Setup},
    issued::{Chain, NewHandle},
    light::{self, Exchange},
    negotiation::{Agreement, Context},
    policy::Agreed,
    prologue::prologue,
    schedule::{Exporter, Resumption},
};

/// A Resume that has proved its sender to hold the handle's secret, before it is answered.
pub(crate) struct Redemption {
    kind: Kind,
    secret: Resumption,
    credential: Arc<Credential>,
    credential_id: CredentialId,
    terms: Terms,
    session: SessionLabel,
    agreed: Agreed,
    pub(crate) chain: Chain,
    no_clock: bool,
    remote: Option<Index>,
}

enum Kind {
    Light(Exchange),
    Fresh(Responder, InitiatePayload),
}

/// Why a Resume is not answered by a Resumed.
pub(crate) enum Unredeemed {
    /// The handle is not (or no longer) good here: its owner is told.
    Refused,
    /// It does not prove itself: nobody is told anything.
    Dropped,
}

impl From<Error> for Unredeemed {
    fn from(_: Error) -> Self {
        Self::Dropped
    }
}

impl Redemption {
    /// Reads a Resume: tag, look-up, then what is symmetric; no DH. On a stream, `once` is its hash:
    /// there none is answered twice (rule S2).
    pub(crate) fn receive(
        context: &Context<'_>,
        (credentials, issued): (&Credentials, &IssuedHandles),
        (resume, once): (&Resume<'_>, Option<PacketHash>),
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Unredeemed> {
        let header = &resume.header;
        if !issued.is_tagged(header.handle) {
            return Err(Unredeemed::Refused);
        }
        let id = header.handle.id;
        let found = issued
            .find(now, context.carriage, id, credentials)
            .ok_or(Unredeemed::Refused)?;
        if once.is_some_and(|hash| issued.was_tried(id, hash)) {
            return Err(Unredeemed::Refused);
        }
        let terms = found.terms;
        let policy = found.credential.policy();
        // A failure never turns `fresh` into `light`: the grant fixed the modes (rule S1).
        if terms.suite != header.suite
            || terms.point != header.point
            || !policy.resumption().allow(header.mode)
        {
            return Err(Unredeemed::Refused);
        }
        let covers = |header: &[u8]| {
            let (initiator, responder) = (found.credential.peer(), context.local.entity());
            prologue(context.carriage, header, Some(initiator), responder, None)
        };
        let (kind, no_clock) = match resume.body {
            ResumeBody::Light { nonce, mac } => {
                let header_bytes = [resume.header_bytes, &nonce].concat();
                let exchange = Exchange::verify(found.secret, covers(&header_bytes), mac)?;
                (Kind::Light(exchange), header.no_clock)
            }
            ResumeBody::Fresh(message) => {
                let setup = Setup {
                    backend: context.backend,
                    terms: Terms {
                        profile: Profile::Psk,
                        ..terms
                    },
                    prologue: &covers(resume.header_bytes),
                    psk: Some(&found.secret.fresh()),
                    static_key: None,
                    remote: None,
                    entropy: handshake::draw(rng),
                };
                let (responder, payload) = Responder::receive(&setup, message)?;
                let payload = InitiatePayload::decode(&payload).map_err(Error::Wire)?;
                if payload.initiator.is_some() {
                    return Err(Unredeemed::Dropped);
                }
                let no_clock = payload.no_clock;
                (Kind::Fresh(responder, payload), no_clock)
            }
        };
        Ok(Self {
            kind,
            secret: found.secret.copy(),
            credential: found.credential.clone(),
            credential_id: found.credential_id,
            terms,
            session: found.session,
            agreed: found.agreed,
            chain: found.chain,
            no_clock,
            remote: header.index,
        })
    }

    /// Whose handle it is.
    pub(crate) const fn credential_id(&self) -> CredentialId {
        self.credential_id
    }

    pub(crate) const fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// The MAC over a Retry that answers it (rule T3).
    pub(crate) fn hint(&self, covered: &[u8]) -> [u8; RETRY_MAC_LEN] {
        self.secret.hint(covered)
    }

    pub(crate) const fn mode(&self) -> Mode {
        match self.kind {
            Kind::Light(_) => Mode::Light,
            Kind::Fresh(..) => Mode::Fresh,
        }
    }

    /// How long the association will live, as far as this end knows.
    pub(crate) fn lifetime(&self, now: Now) -> Duration {
        let remaining = self.credential.remaining(now).ok().flatten();
        let policy = self.credential.policy().lifetime();
        policy.min(remaining.unwrap_or(policy))
    }

    /// Answers: the Resumed packet, and what was agreed on. In `light`, `grant` says what the peer is
    /// granted with it, with this handle; `fresh` costs the DH, and asks nothing.
    pub(crate) fn respond(
        self,
        context: &Context<'_>,
        index: Option<Index>,
        grant: impl FnOnce(&Authenticated, &NewHandle) -> Grant,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Agreement), Error> {
        let no_clock = now.utc.is_none();
        if no_clock && self.no_clock {
            return Err(Error::Expired);
        }
        let credential = self.credential;
        let remaining = credential.remaining(now)?;
        let policy = credential.policy();
        let payload = RespondPayload {
            index,
            limits: policy.limits(),
            no_clock,
            remaining: remaining.filter(|_| self.no_clock),
        };
        let peer = Authenticated {
            credential: credential.clone(),
            id: self.credential_id,
            session: self.session,
            terms: self.terms,
            role: Role::Responder,
        };
        let (initiator, responder) = (credential.peer(), context.local.entity());
        let mut packet = Packet::resumed_header(self.remote);
        let mut next = None;
        let (secrets, agreed) = match self.kind {
            Kind::Light(exchange) => {
                let nonce = light::draw_nonce(context.local.boot(), rng);
                let suite = (context.backend, self.terms.suite);
                let ids = (initiator, responder);
                let made = |exporter: &Exporter| {
                    let new = next.insert(NewHandle::of(exporter));
                    let grant = grant(&peer, new);
                    LightGrant { payload, grant }
                };
                let secrets = exchange.answer(suite, nonce, &mut packet, ids, made)?;
                (secrets, policy.agree(self.agreed.as_limits()))
            }
            Kind::Fresh(handshake, offered) => {
                let split = handshake.respond(&payload.encode(), &mut packet)?;
                let master = split.into_master();
                let secrets = master.into_association(Role::Responder, initiator, responder);
                (secrets, policy.agree(offered.limits))
            }
        };
        let (send, receive, exporter): (_, _, Exporter) = secrets;
        let agreement = Agreement {
            peer,
            send,
            receive,
            exporter,
            agreed,
            remaining,
            owes_grant: false,
            remote: self.remote,
            grant: next.is_some().then(Grant::default),
            next,
        };
        Ok((packet, agreement))
    }
}
