use alloc::{boxed::Box, vec::Vec};

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{Control, RecordKind};
use zeroize::Zeroizing;

use super::{
    Opened,
    established::{Common, Established},
    handshake::{confirmation, context, draw_fraction, respond, respond_message},
    opening::Opening,
    running::{PATIENCE, Running, State, take_confirmation},
    sealing::Sealing,
};
use crate::{
    Credentials, Error, Local, Now,
    negotiation::{Offer, Wanted},
    scrub::{Scrubbed, on_clean_stack},
};

/// How far a refresh has come (rule L1): a new handshake inside the old association, then each end
/// marks its last old record and goes on with the new keys (rule R7).
///
/// ```text
/// initiator                              responder
/// Idle ── refresh (an Initiate) ──────▶ Idle
/// Offered                               Requested ─ the caller goes on
///         ◀────── refreshed (a Respond) ── Accepted
/// Answered ─ the caller goes on
///         ── switched, the last old ──────▶
/// Switched ─ confirm, the first new ──────▶ Confirming
///         ◀────── switched, the last old ──
/// Idle    ◀──────── answer, the first new ── Idle
/// ```
#[derive(Debug)]
pub(super) enum Refresh {
    Idle,
    /// The initiator's Initiate is on its way.
    Offered(Box<Offered>),
    /// This Respond has come, and waits for the caller to bring what reads it.
    Answered(Box<Offered>, Vec<u8>),
    /// The initiator seals in the new association; the peer has not switched yet.
    Switched(Common, Scrubbed<Opening>),
    /// This Initiate has come to the responder, and waits for the caller.
    Requested(Vec<u8>),
    /// The responder has answered.
    Accepted(Box<Established>),
    /// The initiator has switched: its next record must confirm.
    Confirming(Common, Scrubbed<Sealing>),
}

/// An Initiate that was sent inside an association.
#[derive(Debug)]
pub(super) struct Offered {
    offer: Offer,
    since: u64,
    renewal: u32,
}

impl Refresh {
    pub(super) const fn awaits_confirmation(&self) -> bool {
        matches!(self, Self::Confirming(..))
    }

    /// Whether one direction is in the new association and the other in the old one.
    pub(super) const fn is_between(&self) -> bool {
        matches!(self, Self::Switched(..) | Self::Confirming(..))
    }

    const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Idle)
    }
}

impl Running {
    /// What a control message says of a refresh. What the order of a stream does not allow is the
    /// peer's fault.
    pub(super) fn refresh_control(
        &mut self,
        now: Now,
        control: Control,
    ) -> Result<Opened<'static>, Error> {
        if control.switched {
            return if control == last_record() {
                on_clean_stack(|| self.peer_switched(now))
            } else {
                Err(Error::Unexpected)
            };
        }
        match (self.role(), control.refresh, control.refreshed) {
            (Role::Responder, Some(initiate), None) => {
                self.refresh = Refresh::Requested(initiate);
                Ok(Opened::Refresh)
            }
            (Role::Initiator, None, Some(respond)) => match self.refresh.take() {
                Refresh::Offered(offered) => {
                    self.refresh = Refresh::Answered(offered, respond);
                    Ok(Opened::Refresh)
                }
                _ => Err(Error::Unexpected),
            },
            (_, None, None) => {
                let starts = control.renew_now && self.role() == Role::Initiator;
                Ok(if starts && self.may_offer(now.millis()) {
                    Opened::Refresh
                } else {
                    Opened::Control
                })
            }
            // Roles would swap.
            _ => Err(Error::Unexpected),
        }
    }

    /// The peer's last record of the old association has opened (rule R7).
    fn peer_switched(&mut self, now: Now) -> Result<Opened<'static>, Error> {
        match self.refresh.take() {
            Refresh::Accepted(successor) => {
                let Established {
                    common,
                    sealing,
                    opening,
                } = *successor;
                self.current.opening = opening;
                self.refresh = Refresh::Confirming(common, sealing);
                Ok(Opened::Control)
            }
            Refresh::Switched(common, opening) => {
                self.current.opening = opening;
                self.current.common = common;
                self.succeeded(now);
                Ok(Opened::Refreshed)
            }
            _ => Err(Error::Unexpected),
        }
    }

    /// At the responder: the initiator's first record of the new association has opened. It is
    /// answered by the last one of the old and the first of the new.
    pub(super) fn complete(
        &mut self,
        now: Now,
        confirms: bool,
        control: Option<&Control>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (Refresh::Confirming(common, sealing), Some(control)) = (self.refresh.take(), control)
        else {
            return Err(Error::Unexpected);
        };
        let lifetime = &mut self.current.opening.lifetime;
        take_confirmation(now, confirms, control, common.awaits_grant, lifetime)?;
        let lifetime = *lifetime;
        // An end that has closed says nothing more.
        let speaks = self.state == State::Open;
        if speaks {
            self.seal_control(now, &last_record(), out)?;
        }
        self.current.sealing = sealing;
        self.current.sealing.lifetime = lifetime;
        self.current.common = common;
        self.renewal = lifetime.half();
        self.held_until = u64::MAX;
        self.succeeded(now);
        if speaks {
            self.seal_control(now, &Control::default(), out)?;
        }
        Ok(())
    }

    /// Both directions are in the new association.
    fn succeeded(&mut self, now: Now) {
        self.refreshes += 1;
        self.quiet_until = 0;
        self.note_usage(now.millis());
    }

    /// Whether no refresh is under way that another one would disturb.
    fn may_offer(&self, now: u64) -> bool {
        match &self.refresh {
            Refresh::Idle => true,
            Refresh::Offered(offered) => now >= offered.since.saturating_add(PATIENCE),
            _ => false,
        }
    }

    /// Does the next step of a refresh, or begins one.
    pub(super) fn refresh(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        credentials: &Credentials,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self.state {
            State::Open => {}
            State::Unconfirmed => return Err(Error::NotConfirmed),
            State::Closed(_) | State::Finished | State::Over(_) => {
                return Err(Error::NoAssociation);
            }
        }
        on_clean_stack(|| self.go_on(now, rng, (local, credentials), out))
    }

    fn go_on(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        (local, credentials): (&Local, &Credentials),
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self.refresh.take() {
            Refresh::Requested(initiate) => {
                self.accept(now, rng, (local, credentials), &initiate, out)
            }
            Refresh::Answered(offered, respond) => self.switch(now, local, offered, &respond, out),
            under_way => {
                self.refresh = under_way;
                let begun = match self.role() {
                    Role::Responder => self.ask(now, out),
                    Role::Initiator if self.may_offer(now.millis()) => {
                        self.offer(now, rng, (local, credentials), out)
                    }
                    Role::Initiator => Ok(()),
                };
                if begun.is_err() {
                    self.retry_soon(now.millis());
                }
                begun
            }
        }
    }

    /// The responder asks for a refresh; it does not make one, or roles would swap (rule L2).
    fn ask(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), Error> {
        if !matches!(self.refresh, Refresh::Idle) {
            return Ok(());
        }
        let control = Control {
            renew_now: true,
            ..Control::default()
        };
        self.seal_control(now, &control, out)
    }

    /// The initiator offers a successor, by the newest credential of this peer, so that a rotated
    /// key comes into use.
    fn offer(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        (local, credentials): (&Local, &Credentials),
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let peer = &self.current.common.peer;
        let newest = credentials.newest(now, peer.entity(), peer.point());
        let (id, credential) = newest.ok_or(Error::NoCredential)?;
        let wanted = Wanted {
            credential: credential.clone(),
            id,
            session: peer.session(),
        };
        let binding = self.binding();
        let context = context(local, self.backend, Some(&binding));
        let offer = Offer::new(&context, wanted, None, None, now, rng)?;
        let control = Control {
            refresh: Some(offer.packet.clone()),
            ..Control::default()
        };
        self.seal_control(now, &control, out)?;
        self.refresh = Refresh::Offered(Box::new(Offered {
            offer,
            since: now.millis(),
            renewal: draw_fraction(rng),
        }));
        Ok(())
    }

    /// The responder answers an Initiate. Whatever is wrong with it, the old association goes on.
    fn accept(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        (local, credentials): (&Local, &Credentials),
        initiate: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let binding = self.binding();
        let context = context(local, self.backend, Some(&binding));
        let (packet, agreement) = respond(&context, credentials, initiate, now, rng)?;
        // Inside an association a stranger is not told anything.
        let agreement = agreement.ok_or(Error::Authentication)?;
        // The same entity, reference point, direction and session (rule L1).
        if !self.current.common.peer.is_succeeded_by(&agreement.peer) {
            return Err(Error::Authentication);
        }
        let control = Control {
            refreshed: Some(packet),
            ..Control::default()
        };
        self.seal_control(now, &control, out)?;
        let successor = Established::new(agreement, self.backend, now.millis());
        self.refresh = Refresh::Accepted(Box::new(successor));
        Ok(())
    }

    /// The initiator reads the Respond, marks its last old record, and confirms by its first new
    /// one. If the Respond does not open, the old association goes on.
    fn switch(
        &mut self,
        now: Now,
        local: &Local,
        mut offered: Box<Offered>,
        respond: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let backend = self.backend;
        let answered = respond_message(respond)
            .and_then(|message| offered.offer.answer(backend, None, message));
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                // It may answer an earlier offer: the answer to this one may still come.
                self.refresh = Refresh::Offered(offered);
                return Err(error);
            }
        };
        let Offered {
            offer,
            since,
            renewal,
        } = *offered;
        let agreement = offer.finish(&context(local, self.backend, None), answered, now)?;
        if !self.current.common.peer.is_succeeded_by(&agreement.peer) {
            return Err(Error::Authentication);
        }
        let grant = confirmation(&agreement);
        let Established {
            common,
            sealing,
            opening,
        } = Established::new(agreement, self.backend, since);
        sealing.may_seal(now, RecordKind::Control)?;
        self.seal_control(now, &last_record(), out)?;
        self.renewal = sealing.lifetime.soft(renewal);
        self.part = renewal;
        self.held_until = u64::MAX;
        self.current.sealing = sealing;
        self.refresh = Refresh::Switched(common, opening);
        self.seal(now, RecordKind::Control, true, &grant.encode(), out)
    }

    /// What binds a refresh to the association inside which it runs.
    fn binding(&self) -> Zeroizing<[u8; 32]> {
        let mut binding = Zeroizing::new([0; 32]);
        let exporter = &self.current.common.exporter;
        exporter.export(b"refpoint/1 refresh", b"", &mut *binding);
        binding
    }
}

/// The content of a direction's last record in the old association (rule R7).
fn last_record() -> Control {
    Control {
        switched: true,
        ..Control::default()
    }
}
