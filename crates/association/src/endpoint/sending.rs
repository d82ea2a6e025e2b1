use refpoint_wire::{CloseReason, Control, Record, RecordKind, TAG_LEN};

use super::{
    AssociationId, Endpoint, Event, Outbox,
    association::{Association, Phase},
};
use crate::{CredentialId, Error, Now, contexts::Owner, time::millis};

impl Endpoint {
    /// Sends the user's bytes in one record.
    ///
    /// # Errors
    /// [`Error::NoAssociation`], [`Error::NotConfirmed`] at a responder that nobody has confirmed
    /// to yet, [`Error::TooLarge`] for more than [`max_payload`](Self::max_payload) bytes, or the
    /// limit that is reached. Nothing is sent then.
    pub fn send(
        &mut self,
        now: Now,
        id: AssociationId,
        data: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        self.association(id)?;
        // The first records of an initiator confirm, whatever they carry.
        let sent = self.seal(now, id.slot, RecordKind::Data, false, data, out);
        if let Some(association) = self.slots.association_mut(id.slot) {
            association.note_usage(now.millis(), 2 * self.config.handshake_timeout);
        }
        self.hasten(id.slot);
        sent
    }

    /// Closes an association, telling the peer so and why; its secrets are wiped.
    ///
    /// # Errors
    /// [`Error::NoAssociation`].
    pub fn close(
        &mut self,
        now: Now,
        id: AssociationId,
        reason: CloseReason,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        self.association(id)?;
        self.close_slot(now, id.slot, reason, out);
        Ok(())
    }

    /// Removes a credential, closes the associations that were made by it and ends the attempts
    /// to make one, each with [`Event::Failed`](crate::Event::Failed).
    pub fn remove_credential(
        &mut self,
        now: Now,
        id: CredentialId,
        out: &mut dyn Outbox,
    ) -> Option<alloc::sync::Arc<crate::Credential>> {
        let slots: alloc::vec::Vec<_> = self.of_credential(id).collect();
        for slot in slots {
            self.close_slot(now, slot, CloseReason::Revoked, out);
        }
        self.abandon(now, id, out);
        // Its handles lead to nothing any more, here and in a store.
        self.issued
            .revoke(id, &mut |change| out.event(Event::Handles(change)));
        self.held.retain(|(credential, _), _| *credential != id);
        self.credentials.remove(id)
    }

    /// Sends a close if anything may be sent, and removes the association.
    pub(crate) fn close_slot(
        &mut self,
        now: Now,
        slot: u32,
        reason: CloseReason,
        out: &mut dyn Outbox,
    ) {
        let control = Control {
            close: Some(reason),
            ..Control::default()
        };
        if let Some(association) = self.slots.association_mut(slot) {
            // A draining one may say good-bye, and nothing else.
            if matches!(association.phase, Phase::Draining { .. }) {
                association.phase = Phase::Established;
            }
        }
        let _ = self.send_control(now, slot, false, &control, out);
        self.remove(slot, now.millis());
    }

    /// Seals one record and hands it to the outbox.
    pub(crate) fn seal(
        &mut self,
        now: Now,
        slot: u32,
        kind: RecordKind,
        confirm: bool,
        data: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let millis_now = now.millis();
        let limit = self.config.max_datagram;
        let association = self
            .slots
            .association_mut(slot)
            .ok_or(Error::NoAssociation)?;
        association.may_seal(kind, millis_now)?;
        let overhead = 1 + association.remote.wire_len() + 4 + TAG_LEN;
        if data.len() + overhead > limit {
            return Err(Error::TooLarge {
                size: data.len(),
                limit: limit - overhead,
            });
        }
        let Association {
            sender,
            peer,
            serial,
            phase,
            ..
        } = association;
        let confirm = confirm || matches!(phase, Phase::Confirming(_));
        let ratchet = peer.credential.policy().ratchet().map(millis);
        let next = sender.advance(millis_now, ratchet)?;
        let header = Record::header(kind, association.remote, next.sequence, next.wide, confirm);
        self.scratch.clear();
        self.scratch.extend_from_slice(header.as_bytes());
        self.scratch.extend_from_slice(data);
        let owner = Owner {
            serial: *serial,
            sends: true,
        };
        let (backend, suite) = (self.config.backend, peer.terms.suite);
        let mut cached_at = sender.cached_at;
        let key = self.contexts.key(owner, next.epoch, &mut cached_at, || {
            sender.traffic().epoch_key(backend, suite)
        })?;
        let sealed = &mut self.scratch[header.as_bytes().len()..];
        let tag = key
            .seal(next.sequence, header.as_bytes(), sealed)
            .map_err(|()| Error::Backend("seal"))?;
        sender.cached_at = cached_at;
        sender.count(data.len());
        self.scratch.extend_from_slice(&tag);
        if association.may_transmit(self.scratch.len()) {
            out.transmit(association.address, &self.scratch);
        }
        Ok(())
    }
}

impl Association {
    /// Whether so many bytes may go to the peer's address: to one that has not echoed a challenge
    /// yet, three times what came from there (rule R6). What may not is dropped as if lost.
    fn may_transmit(&mut self, bytes: usize) -> bool {
        let Some(path) = &mut self.path else {
            return true;
        };
        match path.allowance.checked_sub(bytes as u64) {
            Some(left) => {
                path.allowance = left;
                true
            }
            None => false,
        }
    }
}
