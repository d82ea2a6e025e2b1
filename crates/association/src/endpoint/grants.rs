//! What a responder hands out with its first records, and what the initiator makes of it.

use alloc::boxed::Box;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{Carriage, Control, Grant, Modes, SessionLabel, Window as GrantedWindow};

use super::{
    AssociationId, Endpoint, Event, Outbox,
    association::{Confirming, Phase},
};
use crate::{
    CredentialId, Error, HandleChange, HeldHandle, Lifetime, Now, StoredHandle, Turn, Window,
    grants::{self, heard, stated},
    issued::{Chain, NewHandle},
};

impl Endpoint {
    /// The handle by which an association with this peer and session can be resumed.
    #[must_use]
    pub fn held(&self, credential: CredentialId, session: SessionLabel) -> Option<&HeldHandle> {
        self.held.get(&(credential, session))
    }

    /// Takes in a handle that this entity held before it restarted; the next
    /// [`connect`](Self::connect) redeems it.
    ///
    /// # Errors
    /// [`Error::NoCredential`] when no credential is of its key, entities and reference point,
    /// [`Error::Expired`] when it is over.
    pub fn restore_held(&mut self, now: Now, held: HeldHandle) -> Result<CredentialId, Error> {
        let found = self.credentials.by_key(held.point(), held.key_id());
        let (id, credential) = found.ok_or(Error::NoCredential)?;
        let fits = credential.local() == &held.initiator
            && credential.peer() == held.responder()
            && held.carriage == Carriage::Packet;
        if !fits {
            return Err(Error::NoCredential);
        }
        if held.is_over(now) {
            return Err(Error::Expired);
        }
        self.held.insert((id, held.session()), held);
        Ok(id)
    }

    /// Takes in a handle that this entity had issued before it restarted.
    ///
    /// # Errors
    /// When it is of no use here any more and can be deleted, as
    /// [`IssuedHandles::restore`](crate::IssuedHandles::restore).
    pub fn restore_issued(&mut self, now: Now, stored: &StoredHandle) -> Result<(), Error> {
        self.issued.restore(now, &self.credentials, stored)
    }

    /// How many handles this end has issued that are neither redeemed nor over.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.issued.len()
    }

    /// What answers a record that confirms: the grant, unless the Resumed brought it.
    pub(crate) fn answer_to_confirm(&mut self, now: Now, id: AssociationId) -> Control {
        let Ok(association) = self.association(id) else {
            return Control::default();
        };
        if association.granted {
            return Control::default();
        }
        let peer = &association.peer;
        let handle = match self.last_issued {
            Some((of, handle)) if of == id => handle,
            _ => NewHandle::of(&association.exporter).id(),
        };
        let handle = self.issued.granted(now, peer, handle);
        let window = self.plan(now, id);
        Control {
            grant: Some(Grant { handle, window }),
            ..Control::default()
        }
    }

    /// When the initiator of this association should renew it. What takes the place of another
    /// association, that still drains, is renewed late; what comes out of nothing may be one of
    /// very many that a restart brings, and is renewed some time.
    fn plan(&mut self, now: Now, id: AssociationId) -> Option<GrantedWindow> {
        let association = self.association(id).ok()?;
        let life = association.lifetime;
        let siblings = self.of_credential(association.peer.id);
        let drains = |slot: &u32| {
            let sibling = self.slots.association(*slot);
            sibling.is_some_and(|held| matches!(held.phase, Phase::Draining { .. }))
        };
        let turn = match siblings.filter(drains).count() {
            0 => Turn::First,
            _ => Turn::Later,
        };
        self.plan_for(now, &life, turn)
    }

    pub(crate) fn plan_for(
        &mut self,
        now: Now,
        life: &Lifetime,
        turn: Turn,
    ) -> Option<GrantedWindow> {
        if self.config.handles == 0 {
            return None;
        }
        grants::plan(&mut self.plan, now, life, turn)
    }

    /// Moves the renewal window of an association, as its responder: to
    /// [`now`](Window::at_once), when a key may be known to others (rule L2: the initiator renews).
    ///
    /// # Errors
    /// [`Error::NoAssociation`], [`Error::NotAllowed`] at the initiator, or why nothing can be
    /// sealed.
    pub fn move_renewal(
        &mut self,
        now: Now,
        id: AssociationId,
        window: Window,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        if self.association(id)?.peer.role == Role::Initiator {
            return Err(Error::NotAllowed("move: the responder plans renewals"));
        }
        let grant = Grant {
            handle: None,
            window: Some(stated(now, window)),
        };
        let control = Control {
            grant: Some(grant),
            ..Control::default()
        };
        self.send_control(now, id.slot, false, &control, out)
    }

    /// The responder's first record of `light` has opened: the handle that came with the answer
    /// takes its place. After a full handshake the grant is still to come.
    pub(crate) fn prove(
        &mut self,
        now: Now,
        id: AssociationId,
        mut confirming: Box<Confirming>,
        out: &mut dyn Outbox,
    ) {
        let held = confirming.held.take();
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        if association.granted {
            if let Some(held) = held {
                self.hold(id, *held, out);
            }
        } else if !association.peer.credential.policy().resumption().is_empty() {
            confirming.proved = true;
            confirming.until = now.millis() + self.config.handshake_timeout;
            association.phase = Phase::Confirming(confirming);
        }
    }

    fn hold(&mut self, id: AssociationId, held: HeldHandle, out: &mut dyn Outbox) {
        let Ok(association) = self.association(id) else {
            return;
        };
        let key = (association.peer.id, held.session());
        self.held.insert(key, held);
        if let Some(handle) = self.held.get(&key) {
            out.event(Event::Held { id, handle });
        }
    }

    /// A grant, from the responder: a handle, a window, both or neither.
    pub(crate) fn granted(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        grant: Grant,
        out: &mut dyn Outbox,
    ) {
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        if association.peer.role != Role::Initiator {
            self.statistics.malformed += 1;
            return;
        }
        if matches!(&association.phase, Phase::Confirming(confirming) if confirming.proved) {
            association.phase = Phase::Established;
        }
        let first = !association.granted;
        association.granted = true;
        let allowed = association.peer.credential.policy().resumption();
        if first {
            let key = (association.peer.id, association.session());
            let held = grant
                .handle
                .filter(|handle| handle.modes.and(allowed) != Modes::NONE);
            let held = held.map(|handle| {
                let made = (Carriage::Packet, association.agreed.epoch_bits);
                let secret = association.exporter.resumption();
                HeldHandle::granted(now, &association.peer, made, handle, secret)
            });
            match held {
                Some(held) => self.hold(id, held, out),
                // A full handshake has confirmed: what is older leads to nothing (rule S5).
                None => drop(self.held.remove(&key)),
            }
        }
        if let Some(window) = grant.window {
            self.renew_within(now, rng, id, window);
        }
        self.schedule(id.slot);
    }

    /// Draws the time of renewal in a window, as its initiator (rule L2): before half-way to the
    /// hard limit, whatever the window says.
    pub(crate) fn renew_within(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: AssociationId,
        window: GrantedWindow,
    ) {
        let Some(association) = self.slots.association_mut(id.slot) else {
            return;
        };
        if association.renewal == u64::MAX {
            return;
        }
        let window = heard(now, window);
        association.renewal = window.draw(now.millis(), &association.lifetime, rng);
        self.schedule(id.slot);
    }

    /// Redeems the handle behind an association whose first record has opened, drops the other
    /// answers to it, and issues the next (rule S2). `false`: it was redeemed before.
    pub(crate) fn redeem(
        &mut self,
        now: Now,
        id: AssociationId,
        (chain, next): (Option<Chain>, Option<NewHandle>),
        out: &mut dyn Outbox,
    ) -> bool {
        let mut changes = |change: HandleChange| out.event(Event::Handles(change));
        if let Some(chain) = chain
            && !self.issued.claim(chain.id, &mut changes)
        {
            return false;
        }
        let Ok(association) = self.association(id) else {
            return false;
        };
        let peer = association.peer.clone();
        if let Some(chain) = chain {
            for slot in self.answers_to(peer.id, chain.id) {
                self.remove(slot, now.millis());
            }
        }
        let Ok(association) = self.association(id) else {
            return false;
        };
        let mut changes = |change: HandleChange| out.event(Event::Handles(change));
        let made = (Carriage::Packet, association.agreed, chain);
        let next = next.unwrap_or_else(|| NewHandle::of(&association.exporter));
        self.last_issued = Some((id, next.id()));
        self.issued.issue(now, &peer, made, next, &mut changes);
        true
    }
}
