use core::net::SocketAddr;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::Control;
use subtle::ConstantTimeEq;

use super::{AssociationId, Endpoint, Event, Outbox, association::Phase, attempt::Start};
use crate::{Error, Now, negotiation::Wanted};

impl Endpoint {
    /// A control message of an association.
    pub(crate) fn control(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        id: AssociationId,
        control: &Control,
        out: &mut dyn Outbox,
    ) {
        if let Some(reason) = control.close {
            let drains = self
                .association(id)
                .is_ok_and(|association| matches!(association.phase, Phase::Draining { .. }));
            self.remove(id.slot, now.millis());
            if !drains {
                out.event(Event::Closed {
                    id,
                    error: Error::Closed(reason),
                });
            }
            return;
        }
        if let Some(response) = control.challenge {
            let echo = Control {
                response: Some(response),
                ..Control::default()
            };
            let _ = self.send_control(now, id.slot, false, &echo, out);
        }
        if let Some(response) = control.response {
            self.echoed(id, from, response);
        }
        if let Some(packet) = &control.refresh {
            self.receive_refresh(now, rng, (from, id), packet, out);
        }
        if let Some(packet) = &control.refreshed {
            self.receive_refreshed(now, rng, id, packet, out);
        }
        if let Some(grant) = control.grant {
            self.granted(now, rng, id, grant, out);
        }
        if control.renew_now {
            self.refresh(now, rng, id, out);
        }
    }

    /// The echo of a challenge, from the address under test: it is the peer's.
    fn echoed(&mut self, id: AssociationId, from: SocketAddr, response: [u8; 8]) {
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        let proved = association.path.as_ref().is_some_and(|path| {
            from == association.address && bool::from(path.token.ct_eq(&response))
        });
        if proved {
            association.path = None;
            self.schedule(id.slot);
        }
    }

    /// Starts a refresh inside an association (rule L1), if this end was its initiator and none is
    /// under way.
    pub(crate) fn refresh(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        out: &mut dyn Outbox,
    ) {
        let Ok(association) = self.association(id) else {
            return;
        };
        let established = matches!(association.phase, Phase::Established);
        if association.peer.role != Role::Initiator || self.is_refreshing(id) {
            return;
        }
        if !established || self.has_successor(id) {
            return self.refresh_failed(now.millis(), id);
        }
        // The newest credential of this peer, so that a rotated key comes into use.
        let newest = self
            .credentials
            .of_peer(association.peer.entity(), association.peer.point())
            .iter()
            .rev()
            .find_map(|id| Some((*id, self.credentials.find(*id)?.clone())));
        let Some((credential_id, credential)) = newest else {
            return;
        };
        let wanted = Wanted {
            credential,
            id: credential_id,
            session: association.session(),
        };
        let to = association.address;
        let Ok(binding) = self.refresh_binding(id) else {
            return;
        };
        if self
            .attempt(now, rng, to, wanted, Start::Inside((id, binding)), out)
            .is_err()
        {
            self.refresh_failed(now.millis(), id);
        }
    }

    /// Starts a refresh now, before its time: fresh Diffie-Hellman inside the association. At the
    /// responder it asks the initiator for one (rule L2: roles do not swap).
    ///
    /// # Errors
    /// [`Error::NoAssociation`], or why nothing can be sealed.
    pub fn renew(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        match self.association(id)?.peer.role {
            Role::Initiator => {
                self.refresh(now, rng, id, out);
                Ok(())
            }
            Role::Responder => {
                let control = Control {
                    renew_now: true,
                    ..Control::default()
                };
                self.send_control(now, id.slot, false, &control, out)
            }
        }
    }

    /// A refresh did not come about: try again after an eighth of what is left of the life.
    pub(crate) fn refresh_failed(&mut self, now: u64, id: AssociationId) {
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        if association.serial == id.serial {
            let left = association.lifetime.close().saturating_sub(now);
            association.renewal = now + (left / 8).max(1_000);
            self.schedule(id.slot);
        }
    }
}
