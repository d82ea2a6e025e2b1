use core::net::SocketAddr;

use alloc::vec::Vec;

use rand_core::CryptoRng;
use refpoint_wire::{Cookie, Grant, HandleId, Mode, Refuse, Resume, Retry};

use super::{
    Endpoint, Outbox,
    admitting::{Decision, verified},
    association::Phase,
    half_open::HalfOpen,
    packet_hash,
};
use crate::{
    Authenticated, CredentialId, Error, Lifetime, Now, TokenSubject, Turn,
    issued::NewHandle,
    redemption::{Redemption, Unredeemed},
    time::millis,
};

/// Answers to one handle that may wait for their first record at a time (rule S2).
const PLACES: usize = 4;

impl Endpoint {
    /// A Resume: tag, look-up and MAC before anything is answered. A repeated one gets the same
    /// answer; one whose handle is no good is told so, at a bounded rate; the rest is dropped.
    pub(crate) fn receive_resume(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        packet: &[u8],
        resume: &Resume<'_>,
        out: &mut dyn Outbox,
    ) {
        self.half_open.expire(now.millis());
        let key = HalfOpen::key(packet);
        if let Some(answer) = self.half_open.answer(&key) {
            out.transmit(from, answer);
            return;
        }
        if resume.header.index.is_none() {
            self.statistics.malformed += 1;
            return;
        }
        let context = self.context();
        let tables = (&self.credentials, &self.issued);
        let redemption = match Redemption::receive(&context, tables, (resume, None), now, rng) {
            Ok(redemption) => redemption,
            Err(Unredeemed::Refused) => return self.refuse_handle(now, from, packet, resume, out),
            Err(Unredeemed::Dropped) => {
                self.statistics.unauthenticated += 1;
                return;
            }
        };
        if self.slots.held() >= self.config.associations {
            self.statistics.limited += 1;
            return;
        }
        match redemption.mode() {
            // It costs little more than a hint, so it is simply served.
            Mode::Light => self.charge_light(now),
            Mode::Fresh => {
                let kind = verified(redemption.credential_id(), redemption.credential());
                let subject = TokenSubject::Handle(&resume.header.handle.id.0);
                let cookie = resume.header.cookie.as_ref();
                match self.decide(now, kind, subject, cookie) {
                    Decision::Serve => {}
                    Decision::Later(token, wait) => {
                        let slot = (token, wait);
                        return self.defer(now, (from, packet), (resume, &redemption), slot, out);
                    }
                    Decision::Drop => {
                        self.statistics.limited += 1;
                        return;
                    }
                }
            }
        }
        match self.resume(now, rng, from, (key, redemption), out) {
            Ok(()) => self.statistics.resumed += 1,
            Err(_) => self.statistics.unauthenticated += 1,
        }
    }

    fn resume(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        (key, redemption): (super::half_open::Key, Redemption),
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let chain = redemption.chain;
        self.give_way(now, redemption.credential_id(), chain.id);
        let index = self
            .slots
            .reserve(now.millis(), rng)
            .ok_or(Error::Full("associations"))?;
        let life = Lifetime::spanning(now.millis(), millis(redemption.lifetime(now)));
        let window = match redemption.mode() {
            Mode::Light => self.plan_for(now, &life, Turn::First),
            Mode::Fresh => None,
        };
        let context = self.context();
        let issued = &self.issued;
        let grant = |peer: &Authenticated, new: &NewHandle| Grant {
            handle: issued.grant(now, peer, Some(chain), new),
            window,
        };
        let answered = redemption.respond(&context, Some(index), grant, now, rng);
        let (packet, agreement) = match answered {
            Ok(answered) => answered,
            Err(error) => {
                self.slots.free(index, now.millis());
                return Err(error);
            }
        };
        let Some(remote) = agreement.remote else {
            self.slots.free(index, now.millis());
            return Err(Error::Unexpected);
        };
        out.transmit(from, &packet);
        let until = now.millis() + self.config.handshake_timeout;
        self.half_open.insert(key, packet, until);
        let claim = (true, Some(chain));
        self.hold_unconfirmed(now, from, (agreement, index, remote), claim);
        Ok(())
    }

    /// Gives a slot to who redeems by `fresh`.
    fn defer(
        &mut self,
        now: Now,
        (from, packet): (SocketAddr, &[u8]),
        (resume, redemption): (&Resume<'_>, &Redemption),
        (cookie, slot): (Cookie, u32),
        out: &mut dyn Outbox,
    ) {
        let mut retry = Retry {
            index: resume.header.index,
            echo: packet_hash(packet),
            cookie,
            slot,
            mac: [0; 8],
        };
        retry.mac = redemption.hint(&retry.covered());
        let bytes = retry.encode();
        if bytes.len() <= packet.len() && self.retries.take(now.millis()) {
            self.statistics.retried += 1;
            out.transmit(from, &bytes);
        } else {
            self.statistics.limited += 1;
        }
    }

    /// The associations that wait for the first record of whoever redeems this handle, the oldest
    /// first.
    pub(crate) fn answers_to(&self, credential: CredentialId, handle: HandleId) -> Vec<u32> {
        let mut answers: Vec<_> = self
            .of_credential(credential)
            .filter_map(|slot| {
                let Phase::Unconfirmed(open) = &self.slots.association(slot)?.phase else {
                    return None;
                };
                let same = open.chain.is_some_and(|chain| chain.id == handle);
                same.then_some((open.serial, slot))
            })
            .collect();
        answers.sort_unstable();
        answers.into_iter().map(|(_, slot)| slot).collect()
    }

    /// A distinct valid Resume takes one of four places, and the oldest answer gives way.
    fn give_way(&mut self, now: Now, credential: CredentialId, handle: HandleId) {
        let answers = self.answers_to(credential, handle);
        let surplus = (answers.len() + 1).saturating_sub(PLACES);
        for slot in answers.into_iter().take(surplus) {
            self.remove(slot, now.millis());
        }
    }

    /// Tells the sender that its handle is no good here: never more bytes than were received.
    fn refuse_handle(
        &mut self,
        now: Now,
        from: SocketAddr,
        packet: &[u8],
        resume: &Resume<'_>,
        out: &mut dyn Outbox,
    ) {
        let refuse = Refuse::Handle {
            index: resume.header.index,
            echo: packet_hash(packet),
        };
        let bytes = refuse.encode();
        if bytes.len() <= packet.len() && self.handle_refusals.take(now.millis()) {
            self.statistics.refused += 1;
            out.transmit(from, &bytes);
        } else {
            self.statistics.limited += 1;
        }
    }
}
