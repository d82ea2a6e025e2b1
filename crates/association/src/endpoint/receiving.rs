use alloc::boxed::Box;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{Control, Record, RecordKind, Refuse, TAG_LEN};

use super::{
    AssociationId, Endpoint, Event, Outbox,
    association::{Association, Path, Phase},
    slots::Slot,
};
use crate::{Backoff, Error, Now, contexts::Owner, receiver::Place};

/// How long a new address has to echo its challenge, in milliseconds.
const PATH_TIME: u64 = 5_000;

/// A record that opened.
struct Opened {
    id: AssociationId,
    /// Above every sequence before it.
    highest: bool,
    range: core::ops::Range<usize>,
}

impl Endpoint {
    /// A record: at most one open, and no state is changed before it has opened.
    pub(crate) fn receive_record(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        record: Record,
        packet: &mut [u8],
        out: &mut dyn Outbox,
    ) {
        let addressed = self.slots.addressed(record.index());
        let held = addressed.filter(|slot| matches!(self.slots.slot(*slot), Some(Slot::Held(_))));
        let Some(slot) = held else {
            self.statistics.unknown += 1;
            let refuse = Refuse::NoAssociation {
                index: record.index(),
                issuer: self.issued.issuer(),
            }
            .encode();
            if self.refusals.take(now.millis()) {
                out.transmit(from, &refuse);
            }
            return;
        };
        match self.open(now, slot, from, &record, packet) {
            Ok(opened) => self.opened(now, rng, from, &record, (packet, opened), out),
            // What was derived for it is to be wiped in time, even if it did not open.
            Err(_) => self.hasten(slot),
        }
    }

    fn open(
        &mut self,
        now: Now,
        slot: u32,
        from: SocketAddr,
        record: &Record,
        packet: &mut [u8],
    ) -> Result<Opened, Error> {
        let millis = now.millis();
        let backend = self.config.backend;
        let association = self
            .slots
            .association_mut(slot)
            .ok_or(Error::NoAssociation)?;
        association.may_open(record.kind(), millis)?;
        if from != association.address && !self.strays.take(millis) {
            self.statistics.limited += 1;
            return Err(Error::Full("packets from other addresses"));
        }
        let id = association.id(slot);
        let suite = association.peer.terms.suite;
        let receiver = &mut association.receiver;
        let sequence = record
            .sequence(receiver.expected())
            .ok_or(Error::Unexpected)?;
        let Some(place) = receiver.locate(sequence, millis) else {
            self.statistics.replayed += 1;
            return Err(Error::Unexpected);
        };
        let (header, sealed) = packet.split_at_mut(record.header_len());
        let traffic = receiver.traffic(place).ok_or(Error::Unexpected)?;
        let opened = if place == Place::Current {
            let owner = Owner {
                serial: association.serial,
                sends: false,
            };
            let mut cached_at = receiver.cached_at;
            let key = self
                .contexts
                .key(owner, receiver.epoch(), &mut cached_at, || {
                    traffic.epoch_key(backend, suite)
                })?;
            let opened = key.open(sequence, header, sealed);
            receiver.cached_at = cached_at;
            opened
        } else {
            traffic
                .epoch_key(backend, suite)
                .open(sequence, header, sealed)
        };
        if opened.is_err() {
            self.statistics.unopened += 1;
            return self.count_failure(slot, millis);
        }
        let len = sealed.len() - TAG_LEN;
        let highest = receiver.commit(place, sequence, len, millis);
        if highest {
            association.sender.hear();
        }
        if matches!(place, Place::Ahead(_)) {
            // The cached key is that of the epoch which was left.
            let owner = Owner {
                serial: id.serial,
                sends: false,
            };
            self.contexts.forget(owner, receiver.cached_at);
        }
        self.statistics.opened += 1;
        let start = record.header_len();
        Ok(Opened {
            id,
            highest,
            range: start..start + len,
        })
    }

    /// A record that did not open (rule R5): very many start a refresh; only the AEAD's bound
    /// ends, as every other limit does.
    fn count_failure<T>(&mut self, slot: u32, now: u64) -> Result<T, Error> {
        let association = self
            .slots
            .association_mut(slot)
            .ok_or(Error::NoAssociation)?;
        let failed = association.receiver.count_failure();
        if failed == association.agreed.failed_opens() {
            association.renewal = now;
            self.hasten(slot);
        }
        Err(Error::Authentication)
    }

    fn opened(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        record: &Record,
        (packet, opened): (&mut [u8], Opened),
        out: &mut dyn Outbox,
    ) {
        let Opened { id, highest, range } = opened;
        let plain = &packet[range];
        let control = match record.kind() {
            RecordKind::Data => None,
            RecordKind::Control => match Control::decode(plain) {
                Ok(control) => Some(control),
                Err(_) => {
                    self.statistics.malformed += 1;
                    return;
                }
            },
        };
        if !self.first_record(now, id, control.as_ref(), out) {
            return;
        }
        if highest {
            self.follow(now, rng, id, from, packet.len(), out);
        }
        if record.confirm() && self.is_responder(id) {
            let answer = self.answer_to_confirm(now, id);
            let _ = self.send_control(now, id.slot, false, &answer, out);
        }
        match control {
            None => out.event(Event::Received { id, data: plain }),
            Some(control) => self.control(now, rng, from, id, &control, out),
        }
        if let Some(association) = self.slots.association_mut(id.slot) {
            association.note_usage(now.millis(), 2 * self.config.handshake_timeout);
        }
        self.hasten(id.slot);
    }

    fn is_responder(&self, id: AssociationId) -> bool {
        self.association(id)
            .is_ok_and(|held| held.peer.role == Role::Responder)
    }

    /// What the first record of the peer does: it confirms (rule H6). `false`: drop the record.
    fn first_record(
        &mut self,
        now: Now,
        id: AssociationId,
        control: Option<&Control>,
        out: &mut dyn Outbox,
    ) -> bool {
        let Some(association) = self.slots.association(id.slot) else {
            return false;
        };
        let responder = match association.phase {
            Phase::Unconfirmed(_) => true,
            Phase::Confirming(ref confirming) if confirming.proved => return true,
            Phase::Confirming(_) => false,
            Phase::Established | Phase::Draining { .. } => return true,
        };
        let count = self.number();
        let Some(association) = self.slots.association_mut(id.slot) else {
            return false;
        };
        if association.awaits_grant {
            let Some(remaining) = control.and_then(|control| control.remaining) else {
                return false;
            };
            association.lifetime.clamp(now.millis(), remaining);
            association.awaits_grant = false;
        }
        association.confirmed_at = count;
        let left = core::mem::replace(&mut association.phase, Phase::Established);
        match left {
            Phase::Unconfirmed(unconfirmed) => {
                self.unconfirmed -= 1;
                // Claiming the handle is one step with what follows (rule S2).
                if !self.redeem(now, id, (unconfirmed.chain, unconfirmed.next), out) {
                    self.remove(id.slot, now.millis());
                    return false;
                }
            }
            Phase::Confirming(confirming) => self.prove(now, id, confirming, out),
            Phase::Established | Phase::Draining { .. } => {}
        }
        self.schedule(id.slot);
        if responder && let Some(peer) = self.peer(id) {
            out.event(Event::Established {
                id,
                attempt: None,
                peer,
            });
        }
        self.succeed(now, id, out);
        true
    }

    /// Follows the peer to the address of its newest record (rule R6).
    fn follow(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        from: SocketAddr,
        bytes: usize,
        out: &mut dyn Outbox,
    ) {
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        let earned = 3 * bytes as u64;
        if from == association.address {
            if let Some(path) = &mut association.path {
                path.allowance = path.allowance.saturating_add(earned);
            }
            return;
        }
        let before = association
            .path
            .as_ref()
            .map_or(association.address, |path| path.before);
        association.address = from;
        association.sender.widen();
        if from == before {
            association.path = None;
            return;
        }
        let mut token = [0; 8];
        rng.fill_bytes(&mut token);
        let until = now.millis() + PATH_TIME;
        association.path = Some(Box::new(Path {
            before,
            token,
            allowance: earned,
            until,
        }));
        self.schedule(id.slot);
        let challenge = Control {
            challenge: Some(token),
            ..Control::default()
        };
        let _ = self.send_control(now, id.slot, false, &challenge, out);
    }
}

/// When to repeat a confirmation next.
pub(crate) fn next_confirmation(
    association: &mut Association,
    now: u64,
    rng: &mut dyn CryptoRng,
) -> bool {
    let Phase::Confirming(confirming) = &mut association.phase else {
        return false;
    };
    confirming.repeats += 1;
    confirming.repeat_at = now + Backoff::REPEAT.delay(confirming.repeats, rng);
    true
}
