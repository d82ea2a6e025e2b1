use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{CloseReason, Control};

use super::{
    Endpoint, Event, Outbox, TIMER_SLOT_BITS, association::Phase, receiving::next_confirmation,
    slots::Slot, timer,
};
use crate::{Error, Now, time::millis};

impl Endpoint {
    /// Does what is due: repeats, refreshes, ratchets' wiping, keepalives, closes. Call it when
    /// [`next_timeout`](Self::next_timeout) has come; too early does no harm.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut dyn CryptoRng, out: &mut dyn Outbox) {
        self.half_open.expire(now.millis());
        while let Some(due) = self.timers.first().copied() {
            if due >> TIMER_SLOT_BITS > now.millis() {
                break;
            }
            let slot = (due & ((1 << TIMER_SLOT_BITS) - 1)) as u32;
            match self.slots.slot(slot) {
                Some(Slot::Trying { attempt, .. }) => {
                    self.attempt_timeout(now, *attempt, rng, out);
                }
                Some(Slot::Held(_)) => self.association_timeout(now, slot, rng, out),
                Some(Slot::Free(_)) | None => {}
            }
            // Whatever happened, this timer has moved on: a timer that stays in the past would
            // keep its caller awake for ever.
            self.timers.remove(&due);
        }
    }

    fn association_timeout(
        &mut self,
        now: Now,
        slot: u32,
        rng: &mut dyn CryptoRng,
        out: &mut dyn Outbox,
    ) {
        let Some(association) = self.slots.association_mut(slot) else {
            return;
        };
        let millis_now = now.millis();
        let id = association.id(slot);
        if let Some(ended) = ended(association, millis_now) {
            let announced = !matches!(
                association.phase,
                Phase::Unconfirmed(_) | Phase::Draining { .. }
            );
            let reason = match association.phase {
                Phase::Draining { .. } => CloseReason::Replaced,
                _ => CloseReason::Limit,
            };
            self.close_slot(now, slot, reason, out);
            if announced {
                out.event(Event::Closed { id, error: ended });
            }
            return;
        }
        association.receiver.expire(millis_now);
        if let Some(path) = association.path.take_if(|path| path.until <= millis_now) {
            association.address = path.before;
        }
        // A responder that has proved itself and grants nothing is asked no longer.
        if matches!(&association.phase, Phase::Confirming(due) if due.until <= millis_now) {
            association.phase = Phase::Established;
        }
        let repeats =
            matches!(&association.phase, Phase::Confirming(due) if due.repeat_at <= millis_now);
        let confirms = repeats && next_confirmation(association, millis_now, rng);
        let renews = association.renewal <= millis_now;
        if renews {
            association.renew_again(millis_now, 2 * self.config.handshake_timeout);
        }
        let keepalive = association.peer.credential.policy().keepalive().map(millis);
        let alive = matches!(association.phase, Phase::Established)
            && keepalive.is_some_and(|span| association.sender.last_sent() + span <= millis_now);
        let role = association.peer.role;
        if confirms {
            self.confirm(now, slot, out);
        }
        if renews {
            match role {
                Role::Initiator => self.refresh(now, rng, id, out),
                Role::Responder => {
                    let control = Control {
                        renew_now: true,
                        ..Control::default()
                    };
                    let _ = self.send_control(now, slot, false, &control, out);
                }
            }
        }
        if alive {
            let _ = self.send_control(now, slot, false, &Control::default(), out);
        }
        if let Some(association) = self.slots.association_mut(slot) {
            let deadline = association.deadline().max(millis_now + 1);
            self.timers.remove(&timer(association.timer, slot));
            association.timer = deadline;
            self.timers.insert(timer(deadline, slot));
        }
    }
}

/// Why an association ends now, if it does.
fn ended(association: &super::association::Association, now: u64) -> Option<Error> {
    if now >= association.lifetime.close() {
        return Some(Error::Limit("time"));
    }
    if let Some(limit) = association.exhausted() {
        return Some(limit);
    }
    match &association.phase {
        Phase::Unconfirmed(unconfirmed) if now >= unconfirmed.until => Some(Error::NoAssociation),
        Phase::Draining { until } if now >= *until => Some(Error::NoAssociation),
        Phase::Confirming(confirming) if now >= confirming.until && !confirming.proved => {
            Some(Error::NoAnswer)
        }
        _ => None,
    }
}
