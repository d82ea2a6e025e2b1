//! Handles on streams (design 4.5): the first packet redeems one, the first record of the
//! responder grants the next.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use rand_core::CryptoRng;
use refpoint_keys::Role;
use refpoint_wire::{
    Carriage, Control, Grant, Mode, Modes, Packet, PacketHash, Refuse, Resume,
    Window as StatedWindow,
};

use super::{
    StreamSession,
    framing::frame,
    handshake::{check_size, context, respond},
    running::Running,
};
use crate::{
    Authenticated, Backend, Credential, Credentials, Error, Grants, HandleChange, HeldHandle,
    Lifetime, Local, Now, Turn,
    grants::heard,
    handshake::bleached,
    issued::{Chain, NewHandle},
    negotiation::{Agreement, Context, packet_hash},
    redemption::{Redemption, Unredeemed},
    time::millis,
};

/// How a responder answers a Resume.
#[derive(Debug)]
pub enum StreamAnswer {
    /// By the Resumed that this makes.
    Resumed(StreamRedemption),
    /// By a Refuse, since the handle cannot be redeemed here: the next frame is to be an Initiate,
    /// for [`StreamResponder::answer`](crate::StreamResponder::answer).
    Refused,
}

/// A Resume whose sender has proved to hold the handle's secret, before its answer.
///
/// Whoever shares its grants keeps others from them until it has this; what costs a DH follows
/// without them.
pub struct StreamRedemption(Answering);

enum Answering {
    /// In `light` everything was symmetric, and done with the table at hand.
    Light(Vec<u8>, StreamUnconfirmed),
    Fresh(Box<Redemption>),
}

impl StreamRedemption {
    /// Appends the framed Resumed to `out`: the next frame is to confirm it.
    ///
    /// # Errors
    /// [`Error::Expired`] when neither end has a clock, [`Error::NoCredential`] and others when the
    /// credential has come to its end.
    pub fn answer(
        self,
        now: Now,
        rng: &mut dyn CryptoRng,
        local: &Local,
        backend: Backend,
        out: &mut Vec<u8>,
    ) -> Result<StreamUnconfirmed, Error> {
        let (packet, answered) = match self.0 {
            Answering::Light(packet, answered) => (packet, answered),
            Answering::Fresh(redemption) => {
                let context = context(local, backend, None);
                let grant = |_: &_, _: &_| Grant::default();
                resumed(&context, *redemption, grant, now, rng)?
            }
        };
        frame(&packet, out)?;
        Ok(answered)
    }
}

impl fmt::Debug for StreamRedemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamRedemption(..)")
    }
}

/// A responder that has answered, and that nobody has proved anything to (rule H6).
#[derive(Debug)]
pub struct StreamUnconfirmed {
    running: Box<Running>,
    /// The handle that is redeemed when the first record opens.
    chain: Option<Chain>,
    /// The Resumed has brought the grant.
    has_granted: bool,
}

/// How far the grant of an association's handle has come: it is given once.
#[derive(Debug)]
pub(super) enum Granted {
    Not,
    /// At the initiator, by the answer of `light`: it counts when a record of the responder opens.
    Unproved(Box<HeldHandle>),
    Done,
}

/// Reads a Resume; one that is refused is answered at once.
pub(super) fn resume(
    context: &Context<'_>,
    (credentials, grants): (&Credentials, &mut Grants),
    packet: &[u8],
    now: Now,
    rng: &mut dyn CryptoRng,
    out: &mut Vec<u8>,
) -> Result<StreamAnswer, Error> {
    check_size(packet)?;
    let Packet::Resume(resume) = Packet::parse(packet)? else {
        return Err(Error::Unexpected);
    };
    if resume.header.index.is_some() || resume.header.cookie.is_some() {
        return Err(Error::Unexpected);
    }
    let hash = packet_hash(packet);
    match redeem(context, (credentials, grants), (&resume, hash), now, rng)? {
        Some(redemption) => Ok(StreamAnswer::Resumed(redemption)),
        None => {
            let echo = hash;
            frame(&Refuse::Handle { index: None, echo }.encode(), out)?;
            Ok(StreamAnswer::Refused)
        }
    }
}

/// Reads an Initiate and answers it, at an end that grants handles.
pub(super) fn full(
    context: &Context<'_>,
    credentials: &Credentials,
    packet: &[u8],
    now: Now,
    rng: &mut dyn CryptoRng,
    out: &mut Vec<u8>,
) -> Result<StreamUnconfirmed, Error> {
    let (packet, agreement) = respond(context, credentials, packet, now, rng)?;
    frame(&packet, out)?;
    let agreement = agreement.ok_or(Error::NoCredential)?;
    Ok(StreamUnconfirmed {
        running: Running::responder(agreement, context.backend, now.millis()),
        chain: None,
        has_granted: false,
    })
}

/// Redeems by a Resume; `None` when its handle is no good here, or when it was answered before. Each
/// gets an answer of its own; the first that is confirmed takes the handle (rule S2).
fn redeem(
    context: &Context<'_>,
    (credentials, grants): (&Credentials, &mut Grants),
    (resume, hash): (&Resume<'_>, PacketHash),
    now: Now,
    rng: &mut dyn CryptoRng,
) -> Result<Option<StreamRedemption>, Error> {
    let tables = (credentials, grants.issued());
    let redemption = match Redemption::receive(context, tables, (resume, Some(hash)), now, rng) {
        Ok(redemption) => redemption,
        Err(Unredeemed::Refused) => return Ok(None),
        Err(Unredeemed::Dropped) => return Err(Error::Authentication),
    };
    let chain = redemption.chain;
    grants.issued_mut().note_try(chain.id, hash);
    let answering = match redemption.mode() {
        Mode::Fresh => Answering::Fresh(Box::new(redemption)),
        Mode::Light => {
            let life = Lifetime::spanning(now.millis(), millis(redemption.lifetime(now)));
            let window = grants.window(now, &life, Turn::First);
            let issued = grants.issued();
            let grant = |peer: &Authenticated, new: &NewHandle| Grant {
                handle: issued.grant(now, peer, Some(chain), new),
                window,
            };
            let (packet, answered) = resumed(context, redemption, grant, now, rng)?;
            Answering::Light(packet, answered)
        }
    };
    Ok(Some(StreamRedemption(answering)))
}

/// Makes the Resumed, and what waits for its confirmation.
fn resumed(
    context: &Context<'_>,
    redemption: Redemption,
    grant: impl FnOnce(&Authenticated, &NewHandle) -> Grant,
    now: Now,
    rng: &mut dyn CryptoRng,
) -> Result<(Vec<u8>, StreamUnconfirmed), Error> {
    let chain = Some(redemption.chain);
    let has_granted = redemption.mode() == Mode::Light;
    let (packet, agreement) = redemption.respond(context, None, grant, now, rng)?;
    let running = Running::responder(agreement, context.backend, now.millis());
    let answered = StreamUnconfirmed {
        running,
        chain,
        has_granted,
    };
    Ok((packet, answered))
}

impl StreamUnconfirmed {
    /// Opens the initiator's first record, in place: the length prefix and the packet behind it. In
    /// one step with that, the handle is redeemed if there is one, and the next is issued (rule S2);
    /// the record that answers is appended to `out`.
    ///
    /// # Errors
    /// [`Error::Handle`] when another stream has redeemed the handle meanwhile;
    /// [`Error::Authentication`] and others when the record does not prove the initiator. The stream
    /// is of no use then.
    pub fn confirm(
        self,
        now: Now,
        grants: &mut Grants,
        frame: &mut [u8],
        changes: &mut dyn FnMut(HandleChange),
        out: &mut Vec<u8>,
    ) -> Result<StreamSession, Error> {
        let Self {
            mut running,
            chain,
            has_granted,
        } = self;
        let (opened, control) = running.open(now, frame)?;
        running.confirm(now, opened.confirms, control.as_ref())?;
        if let Some(chain) = chain
            && !grants.issued_mut().claim(chain.id, changes)
        {
            return Err(Error::Handle);
        }
        // By `light`, the Resumed has brought it all.
        let turn = (!has_granted).then_some(Turn::First);
        let grant = running.issue(now, grants, (chain, turn), changes);
        let answer = Control {
            grant: (!has_granted).then_some(grant),
            ..Control::default()
        };
        running.seal_control(now, &answer, out)?;
        Ok(StreamSession::new(running))
    }

    /// The same at an end that grants nothing: the session confirms itself by its first record.
    pub(super) fn without_grants(self) -> StreamSession {
        StreamSession::new(self.running)
    }

    /// Whether a handle is redeemed by it.
    #[must_use]
    pub const fn resumes(&self) -> bool {
        self.chain.is_some()
    }
}

/// The mode by which an initiator redeems this handle on a stream, if it may.
pub(super) fn mode(
    now: Now,
    local: &Local,
    credential: &Credential,
    held: &HeldHandle,
) -> Result<Mode, Error> {
    let fits = held.carriage == Carriage::Stream
        && held.initiator == *local.entity()
        && held.responder() == credential.peer()
        && held.point() == credential.point()
        && held.key_id() == credential.key_id();
    if !fits {
        return Err(Error::NoCredential);
    }
    if held.is_over(now) {
        return Err(Error::Expired);
    }
    let mode = held.mode(credential.policy().resumption());
    mode.ok_or(Error::NotAllowed("mode of resumption"))
}

impl Running {
    /// At the initiator: the answer of `light` has brought a grant with it.
    pub(super) fn take_light(&mut self, now: Now, granted: Option<(Grant, Granted)>) {
        if let Some((grant, granted)) = granted {
            self.current.common.granted = granted;
            self.renew_within(now, grant.window);
        }
    }

    fn renew_within(&mut self, now: Now, window: Option<StatedWindow>) {
        if let Some(window) = window {
            let life = &self.current.sealing.lifetime;
            let part = u64::from(self.part) << 32;
            self.renewal = heard(now, window).at(now.millis(), life, part);
        }
    }

    /// At the initiator: what a control message of the responder grants, and that it is a record of
    /// the responder. True when there is news of a handle.
    pub(super) fn take_grant(&mut self, now: Now, grant: Option<Grant>) -> bool {
        // From an initiator, or on the way from one association to the next, it means nothing.
        if self.role() != Role::Initiator || self.refresh.is_between() {
            return false;
        }
        let common = &mut self.current.common;
        let granted = core::mem::replace(&mut common.granted, Granted::Done);
        let is_news = match (granted, grant) {
            (Granted::Unproved(held), _) => {
                self.held = Some(held);
                true
            }
            (Granted::Not, None) => {
                common.granted = Granted::Not;
                false
            }
            (Granted::Not, Some(grant)) => {
                let allowed = common.peer.credential.policy().resumption();
                let handle = grant.handle;
                let handle = handle.filter(|handle| handle.modes.and(allowed) != Modes::NONE);
                let bits = self.current.sealing.agreed.epoch_bits;
                self.held = handle.map(|handle| {
                    bleached(|| {
                        let secret = common.exporter.resumption();
                        let made = (Carriage::Stream, bits);
                        let held = HeldHandle::granted(now, &common.peer, made, handle, secret);
                        Box::new(held)
                    })
                });
                true
            }
            (Granted::Done, _) => false,
        };
        self.renew_within(now, grant.and_then(|grant| grant.window));
        is_news
    }

    /// At the responder of a refreshed association.
    pub(super) fn grant(
        &mut self,
        now: Now,
        grants: &mut Grants,
        changes: &mut dyn FnMut(HandleChange),
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.role() != Role::Responder {
            return Err(Error::NotAllowed("grant: the responder makes it"));
        }
        if matches!(self.current.common.granted, Granted::Done) {
            return Ok(());
        }
        let grant = self.issue(now, grants, (None, Some(Turn::Later)), changes);
        let control = Control {
            grant: Some(grant),
            ..Control::default()
        };
        self.seal_control(now, &control, out)
    }

    fn issue(
        &mut self,
        now: Now,
        grants: &mut Grants,
        (chain, turn): (Option<Chain>, Option<Turn>),
        changes: &mut dyn FnMut(HandleChange),
    ) -> Grant {
        let common = &mut self.current.common;
        common.granted = Granted::Done;
        let sealing = &self.current.sealing;
        let limits = (sealing.agreed, &sealing.lifetime);
        bleached(|| {
            let made_by = (&common.peer, &*common.exporter);
            grants.hand_out(now, made_by, limits, (chain, turn), changes)
        })
    }
}

/// What the answer of `light` has granted: it counts when the responder has proved itself.
pub(super) fn by_light(now: Now, agreement: &Agreement) -> Option<(Grant, Granted)> {
    let grant = agreement.grant?;
    let Some(handle) = grant.handle else {
        return Some((grant, Granted::Done));
    };
    let made = (Carriage::Stream, agreement.agreed.epoch_bits);
    let held = bleached(|| {
        let secret = agreement.exporter.resumption();
        Box::new(HeldHandle::granted(
            now,
            &agreement.peer,
            made,
            handle,
            secret,
        ))
    });
    Some((grant, Granted::Unproved(held)))
}
