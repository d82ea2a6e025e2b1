use alloc::boxed::Box;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use refpoint_keys::{Profile, Role};
use refpoint_wire::{Control, Cookie, Index, Initiate, Packet, RETRY_MAC_LEN, Retry};
use zeroize::Zeroizing;

use super::{
    AssociationId, Endpoint, Outbox,
    admitting::{Decision, verified},
    association::{Association, Phase, Unconfirmed},
    config::HALF_OPEN_PER_PEER,
    half_open::{HalfOpen, Key},
    packet_hash,
};
use crate::{
    Claimant, CredentialId, Error, Now, SourcePrefix, TokenSubject,
    handshake::bleached,
    issued::Chain,
    negotiation::{Agreement, Context, Request, connection_hint, public_hint},
};

/// What an Initiate has shown before anything costly was done for it.
#[derive(Clone, Copy)]
struct Claim {
    key: Key,
    /// Its cookie proves that its sender receives at its address.
    cookie: bool,
}

/// Answers that are kept for each half-open association that may exist.
const ANSWERS: usize = 16;

impl Endpoint {
    /// An Initiate from outside. A repeated one gets the same answer; under load, one without a
    /// cookie gets a Retry; everything else that is not answered is dropped without a word.
    pub(crate) fn receive_initiate(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        packet: &[u8],
        initiate: &Initiate<'_>,
        out: &mut dyn Outbox,
    ) {
        let millis = now.millis();
        self.half_open.expire(millis);
        let key = HalfOpen::key(packet);
        if let Some(answer) = self.half_open.answer(&key) {
            out.transmit(from, answer);
            return;
        }
        if initiate.header.index.is_none() {
            self.statistics.malformed += 1;
            return;
        }
        let claim = Claim {
            key,
            cookie: self.cookie.verify(millis, from, &initiate.header),
        };
        let full = self.is_full(1) || self.slots.held() >= self.config.associations;
        let named = initiate.header.key_id.and_then(|key_id| {
            self.credentials
                .by_key(initiate.header.terms.point, key_id)
                .map(|(id, _)| id)
        });
        let crowded = named.is_some_and(|credential| self.is_crowded(credential, claim.cookie));
        let asks = full || crowded || self.admission.is_none();
        if !claim.cookie && asks {
            self.retry(millis, rng, (from, packet), initiate, None, out);
            return;
        }
        let overfull = self.is_full(2) || self.slots.held() >= self.config.associations;
        if claim.cookie && (overfull || crowded) {
            self.statistics.limited += 1;
            return;
        }
        // What costs a DH to read is decided about before; `psk` shows itself without one (T1).
        let reads_by_dh = initiate.header.terms.profile != Profile::Psk;
        if reads_by_dh && !self.admits(now, rng, (from, packet), initiate, out) {
            return;
        }
        let context = self.context();
        let request = Request::receive(&context, &self.credentials, initiate, now, rng);
        if !reads_by_dh && request.is_ok() && !self.admits(now, rng, (from, packet), initiate, out)
        {
            return;
        }
        let answered =
            request.and_then(|request| self.answer(now, rng, from, (claim, None), request));
        match answered {
            Ok(()) => self.send_answer(&key, from, out),
            // In `known` only the message itself says whose quota it is.
            Err(Error::Full(_)) if !claim.cookie => {
                self.retry(millis, rng, (from, packet), initiate, None, out);
            }
            Err(_) => self.statistics.unauthenticated += 1,
        }
    }

    /// Whether an Initiate is to be answered now; if not, its sender gets a slot, or nothing.
    fn admits(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        (from, packet): (SocketAddr, &[u8]),
        initiate: &Initiate<'_>,
        out: &mut dyn Outbox,
    ) -> bool {
        let cookie = initiate.header.cookie.as_ref();
        let prefix = SourcePrefix::of(from.ip());
        let decision = match &initiate.header.key_id {
            None => {
                let kind = Claimant::Unverified { prefix };
                self.decide(now, kind, TokenSubject::Prefix(prefix), cookie)
            }
            Some(key_id) => {
                let sender = Request::sender_of(&self.credentials, initiate, now);
                let Ok((id, credential)) = sender else {
                    self.statistics.unauthenticated += 1;
                    return false;
                };
                let kind = verified(id, &credential);
                self.decide(now, kind, TokenSubject::KeyId(key_id.as_bytes()), cookie)
            }
        };
        match decision {
            Decision::Serve => return true,
            Decision::Later(token, wait) => {
                let slot = Some((token, wait));
                self.retry(now.millis(), rng, (from, packet), initiate, slot, out);
            }
            Decision::Drop => self.statistics.limited += 1,
        }
        false
    }

    fn send_answer(&mut self, key: &Key, from: SocketAddr, out: &mut dyn Outbox) {
        if let Some(answer) = self.half_open.answer(key) {
            self.statistics.answered += 1;
            out.transmit(from, answer);
        }
    }

    /// Whether there are `times` as many half-open associations as are configured, or very many
    /// answers that are kept to be repeated: those of confirmed associations and of strangers too.
    fn is_full(&self, times: usize) -> bool {
        let limit = times * self.config.half_open;
        self.unconfirmed >= limit || self.half_open.len() >= ANSWERS * limit
    }

    /// Whether a credential has all the half-open associations that it may have.
    fn is_crowded(&self, credential: CredentialId, with_cookie: bool) -> bool {
        let half_open = self.of_credential(credential).filter(|slot| {
            let association = self.slots.association(*slot);
            association.is_some_and(|held| {
                matches!(&held.phase, Phase::Unconfirmed(open) if open.cookie == with_cookie)
            })
        });
        half_open.count() >= HALF_OPEN_PER_PEER
    }

    /// Asks for a cookie, or gives a slot: stateless, smaller than the request, at a bounded rate.
    #[allow(clippy::too_many_arguments, reason = "each is a different thing")]
    fn retry(
        &mut self,
        millis: u64,
        rng: &mut dyn CryptoRng,
        (from, packet): (SocketAddr, &[u8]),
        initiate: &Initiate<'_>,
        slot: Option<(Cookie, u32)>,
        out: &mut dyn Outbox,
    ) {
        let (cookie, slot) =
            slot.unwrap_or_else(|| (self.cookie.make(millis, from, &initiate.header), 0));
        let mut retry = Retry {
            index: initiate.header.index,
            echo: packet_hash(packet),
            cookie,
            slot,
            mac: [0; 8],
        };
        match self.hint(initiate, &retry.covered()) {
            Some(mac) => retry.mac = mac,
            // An unknown key looks the same as a known one (rule T3).
            None => rng.fill_bytes(&mut retry.mac),
        }
        let bytes = retry.encode();
        if bytes.len() <= packet.len() && self.retries.take(millis) {
            self.statistics.retried += 1;
            out.transmit(from, &bytes);
        } else {
            self.statistics.limited += 1;
        }
    }

    /// The MAC over a Retry that answers this Initiate, if its key is known here.
    fn hint(&self, initiate: &Initiate<'_>, covered: &[u8]) -> Option<[u8; RETRY_MAC_LEN]> {
        let terms = initiate.header.terms;
        let Some(key_id) = initiate.header.key_id else {
            let own = self.local.static_key()?;
            return Some(public_hint(&own.public_key(), covered));
        };
        let (_, credential) = self.credentials.by_key(terms.point, key_id)?;
        connection_hint(credential, (terms.profile, Role::Responder), None, covered)
    }

    /// Makes the answer and the half-open association behind it, if the sender is known.
    fn answer(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        (claim, refreshes): (Claim, Option<(AssociationId, &[u8; 32])>),
        request: Request,
    ) -> Result<(), Error> {
        let millis = now.millis();
        if let Some((credential, found)) = request.sender() {
            if self.is_crowded(credential, claim.cookie) {
                return Err(Error::Full("half-open associations"));
            }
            if let Some((old, _)) = refreshes {
                let old = &self.association(old)?.peer;
                // A refresh yields the same entity and reference point (rule L1).
                if old.entity() != found.peer() || old.point() != found.point() {
                    return Err(Error::Authentication);
                }
            }
        } else if refreshes.is_some() {
            return Err(Error::Authentication);
        }
        let index = self
            .slots
            .reserve(millis, rng)
            .ok_or(Error::Full("associations"))?;
        let context = Context {
            binding: refreshes.map(|(_, binding)| binding),
            ..self.context()
        };
        let until = millis + self.config.handshake_timeout;
        match request.respond(&context, Some(index), now) {
            Ok((packet, Some(agreement))) if agreement.remote.is_some() => {
                self.half_open.insert(claim.key, packet, until);
                let remote = agreement.remote.ok_or(Error::Unexpected)?;
                let claim = (claim.cookie, None);
                self.hold_unconfirmed(now, from, (agreement, index, remote), claim);
                Ok(())
            }
            Ok((packet, _)) => {
                // Nobody we know: the answer is remembered all the same, but leads nowhere.
                self.half_open.insert(claim.key, packet, until);
                self.slots.free(index, millis);
                Ok(())
            }
            Err(error) => {
                self.slots.free(index, millis);
                Err(error)
            }
        }
    }

    /// Keeps what was answered until its first record confirms.
    pub(crate) fn hold_unconfirmed(
        &mut self,
        now: Now,
        from: SocketAddr,
        (mut agreement, index, remote): (Agreement, Index, Index),
        (cookie, chain): (bool, Option<Chain>),
    ) {
        let millis = now.millis();
        let serial = self.number();
        let phase = Phase::Unconfirmed(Box::new(Unconfirmed {
            cookie,
            until: millis + self.config.handshake_timeout,
            chain,
            next: agreement.next.take(),
            serial,
        }));
        let numbers = (serial, index);
        let association = Association::new(agreement, numbers, remote, from, millis, phase, 0);
        self.admit(association);
        self.unconfirmed += 1;
    }

    /// An Initiate inside an association: its successor (rule L1). The answer travels inside too.
    pub(crate) fn receive_refresh(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        (from, id): (SocketAddr, AssociationId),
        packet: &[u8],
        out: &mut dyn Outbox,
    ) {
        self.half_open.expire(now.millis());
        let key = HalfOpen::key(packet);
        if self.half_open.answer(&key).is_none() {
            let Ok(Packet::Initiate(initiate)) = Packet::parse(packet) else {
                self.statistics.malformed += 1;
                return;
            };
            let Ok(binding) = self.refresh_binding(id) else {
                return;
            };
            let context = Context {
                binding: Some(&**binding),
                ..self.context()
            };
            // Inside an association the sender's address is as good as proved.
            let claim = Claim { key, cookie: true };
            let room = initiate.header.index.is_some()
                && self.slots.held() < self.config.associations
                && !self.is_full(2);
            if !room {
                self.statistics.limited += 1;
                return;
            }
            let request = Request::receive(&context, &self.credentials, &initiate, now, rng);
            let refreshes = Some((id, &**binding));
            let answered = request
                .and_then(|request| self.answer(now, rng, from, (claim, refreshes), request));
            if answered.is_err() {
                self.statistics.unauthenticated += 1;
                return;
            }
            self.statistics.answered += 1;
        }
        let refreshed = self.half_open.answer(&key).map(<[u8]>::to_vec);
        let control = Control {
            refreshed,
            ..Control::default()
        };
        let _ = self.send_control(now, id.slot, false, &control, out);
    }

    /// What binds a refresh to the association inside which it runs: written where it stays, since
    /// what is moved leaves a copy on the stack, as does what derives it.
    pub(crate) fn refresh_binding(
        &self,
        id: AssociationId,
    ) -> Result<Box<Zeroizing<[u8; 32]>>, Error> {
        let mut binding = Box::new(Zeroizing::new([0; 32]));
        bleached(|| self.export(id, b"refpoint/1 refresh", b"", &mut **binding))?;
        Ok(binding)
    }
}
