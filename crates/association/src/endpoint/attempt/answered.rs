//! An answer to an attempt: the association that it makes.

use super::{
    super::association::{Association, Confirming},
    *,
};
use crate::{HeldHandle, negotiation::Agreement};

/// The answer that came: its clear header if it is a Resumed, and the rest.
pub(crate) struct Answer<'a> {
    pub(crate) index: Option<Index>,
    pub(crate) header: Option<&'a [u8]>,
    pub(crate) message: &'a [u8],
}

impl Endpoint {
    /// A Respond or Resumed, from outside or (`inside`) from the association that is refreshed.
    pub(crate) fn receive_answer(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        inside: Option<AssociationId>,
        answer: &Answer<'_>,
        out: &mut dyn Outbox,
    ) {
        let Some((index, number)) = answer
            .index
            .and_then(|index| Some((index, self.tried(index)?)))
        else {
            self.statistics.malformed += 1;
            return;
        };
        let Some(attempt) = self.attempts.get_mut(&number) else {
            return;
        };
        if attempt.inside.as_ref().map(|(id, _)| *id) != inside {
            self.statistics.malformed += 1;
            return;
        }
        let backend = self.config.backend;
        let held = attempt.tries.iter_mut().find(|held| held.index == index);
        let Some(answered) = held.and_then(|held| {
            held.offer
                .answer(backend, answer.header, answer.message)
                .ok()
        }) else {
            self.statistics.unauthenticated += 1;
            return;
        };
        let Some(mut attempt) = self.take_attempt(number) else {
            return;
        };
        self.release(&attempt, Some(index), now.millis());
        let Some(place) = attempt.tries.iter().position(|held| held.index == index) else {
            return;
        };
        let offer = attempt.tries.swap_remove(place).offer;
        let context = attempt.context(self.context());
        let finished = offer.finish(&context, answered, now);
        let agreement = finished.and_then(|agreement| match agreement.remote {
            Some(remote) => Ok((agreement, remote)),
            None => Err(Error::Unexpected),
        });
        match agreement {
            Ok((agreement, remote)) => {
                self.silent.remove(&attempt.place());
                let mut random = [0; 4];
                rng.fill_bytes(&mut random);
                let held = self.held_by_light(now, &agreement);
                let window = agreement.grant.and_then(|grant| grant.window);
                let phase = Phase::Confirming(Box::new(Confirming {
                    owes_grant: agreement.owes_grant,
                    held,
                    proved: false,
                    repeats: 0,
                    repeat_at: now.millis() + Backoff::REPEAT.delay(0, rng),
                    until: now.millis() + self.config.handshake_timeout,
                }));
                // A peer that has moved since the refresh began is where its answer came from.
                let to = inside.and_then(|id| self.address(id));
                let association = Association::new(
                    agreement,
                    (self.number(), index),
                    remote,
                    to.unwrap_or(attempt.to),
                    attempt.since,
                    phase,
                    u32::from_be_bytes(random),
                );
                let id = self.admit(association);
                if let Some(window) = window {
                    self.renew_within(now, rng, id, window);
                }
                self.confirm(now, id.slot, out);
                if let Some(peer) = self.peer(id) {
                    out.event(Event::Established {
                        id,
                        attempt: Some(AttemptId(number)),
                        peer,
                    });
                }
                self.outrun(now, id, out);
            }
            Err(error) => {
                self.slots.free(index, now.millis());
                self.failed(now.millis(), number, &attempt, error, out);
            }
        }
    }

    /// Sends a confirming record: empty, or with the grant that the peer needs (rules H6, L3).
    pub(crate) fn confirm(&mut self, now: Now, slot: u32, out: &mut dyn Outbox) {
        let Some(association) = self.slots.association(slot) else {
            return;
        };
        let Phase::Confirming(confirming) = &association.phase else {
            return;
        };
        let credential = association.peer.credential();
        let remaining = credential.remaining(now).ok().flatten();
        let control = Control {
            remaining: remaining.filter(|_| confirming.owes_grant),
            ..Control::default()
        };
        let _ = self.send_control(now, slot, true, &control, out);
    }

    /// The Respond inside a control message of an association that is being refreshed.
    pub(crate) fn receive_refreshed(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        packet: &[u8],
        out: &mut dyn Outbox,
    ) {
        match Packet::parse(packet) {
            Ok(Packet::Respond { index, message }) => {
                let answer = Answer {
                    index,
                    header: None,
                    message,
                };
                self.receive_answer(now, rng, Some(id), &answer, out);
            }
            _ => self.statistics.malformed += 1,
        }
    }

    /// The handle that came in a Resumed of `light`; it takes its place when the responder has
    /// proved to know the association.
    fn held_by_light(&self, now: Now, agreement: &Agreement) -> Option<Box<HeldHandle>> {
        let handle = agreement.grant?.handle?;
        let held = HeldHandle::granted(
            now,
            &agreement.peer,
            (refpoint_wire::Carriage::Packet, agreement.agreed.epoch_bits),
            handle,
            agreement.exporter.resumption(),
        );
        Some(Box::new(held))
    }
}
