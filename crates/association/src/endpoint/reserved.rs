//! Slots that a busy responder has given, kept across a restart of the device (rules T1, T2).

use alloc::vec::Vec;

use refpoint_keys::{KeyId, ReferencePoint, UtcTime};
use refpoint_wire::{COOKIE_LEN, Cookie, SessionLabel};

use super::{Endpoint, attempt::Attempt};
use crate::{CredentialId, Error, Now, issued::Reader};

const LAYOUT: u8 = 2;

/// How late a slot is still worth having: then its sender is served first all the same.
const LATE: u64 = 60;

/// A slot that a busy responder has given to this end, and the token that proves it.
///
/// A device that keeps [`to_bytes`](Self::to_bytes), and loses its power while it waits, still comes in
/// its slot, and is served before others. The token is of use only together with the key that it
/// was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedSlot {
    point: ReferencePoint,
    key_id: KeyId,
    session: SessionLabel,
    token: Cookie,
    at: UtcTime,
}

impl ReservedSlot {
    /// The connection key by which the slot was asked for.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The session label that was asked for.
    #[must_use]
    pub const fn session(&self) -> SessionLabel {
        self.session
    }

    /// When it is, to a second.
    #[must_use]
    pub const fn at(&self) -> UtcTime {
        self.at
    }

    /// Whether it is not long past.
    #[must_use]
    pub fn is_ahead(&self, utc: UtcTime) -> bool {
        utc.as_secs() <= self.at.as_secs().saturating_add(LATE)
    }

    /// All of it: layout(1) ‖ point(1) ‖ token(16) ‖ at(8) ‖ lp(session) ‖ lp(key id).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(&[LAYOUT, self.point.code()]);
        out.extend_from_slice(&self.token.0);
        out.extend_from_slice(&self.at.as_secs().to_be_bytes());
        for field in [self.session.as_bytes(), self.key_id.as_bytes()] {
            out.push(field.len() as u8);
            out.extend_from_slice(field);
        }
        out
    }

    /// What [`to_bytes`](Self::to_bytes) gave, in another process.
    ///
    /// # Errors
    /// [`Error::Config`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const DAMAGED: Error =
            Error::Config("stored slot: it is damaged or of another version, and so");
        let mut reader = Reader(bytes);
        let [layout, point] = reader.array().map_err(|_| DAMAGED)?;
        let token: [u8; COOKIE_LEN] = reader.array().map_err(|_| DAMAGED)?;
        let at = u64::from_be_bytes(reader.array().map_err(|_| DAMAGED)?);
        let session = reader.field().map_err(|_| DAMAGED)?;
        let key_id = reader.field().map_err(|_| DAMAGED)?;
        if layout != LAYOUT || !reader.is_empty() {
            return Err(DAMAGED);
        }
        Ok(Self {
            point: ReferencePoint::try_from(point).map_err(|_| DAMAGED)?,
            key_id: KeyId::new(key_id).map_err(|_| DAMAGED)?,
            session: SessionLabel::new(session).map_err(|_| DAMAGED)?,
            token: Cookie(token),
            at: UtcTime::from_secs(at),
        })
    }
}

impl Endpoint {
    /// Takes in a slot that this entity was given before it restarted; the next
    /// [`connect`](Self::connect) waits for it, unless a `light` resumption needs none.
    ///
    /// # Errors
    /// [`Error::NoCredential`] when no credential is of its key and reference point,
    /// [`Error::Expired`] when it is past, or nobody here knows the date.
    pub fn restore_slot(&mut self, now: Now, slot: ReservedSlot) -> Result<CredentialId, Error> {
        let found = self.credentials.by_key(slot.point, slot.key_id);
        let (id, _) = found.ok_or(Error::NoCredential)?;
        if !now.utc.is_some_and(|utc| slot.is_ahead(utc)) {
            return Err(Error::Expired);
        }
        self.reserved.insert((id, slot.session), slot);
        Ok(id)
    }

    /// An attempt for which there is a slot from before waits for it; only once.
    pub(super) fn await_reserved(
        &mut self,
        now: Now,
        rng: &mut dyn rand_core::CryptoRng,
        attempt: &mut Attempt,
    ) {
        let Some(slot) = self.reserved.remove(&attempt.place()) else {
            return;
        };
        if let Some(utc) = now.utc.filter(|_| attempt.waits_for_slots()) {
            let wait = slot.at.saturating_since(utc);
            attempt.await_slot(now, wait, slot.token, rng, self.config.handshake_timeout);
        }
    }
}

/// The slot of a Retry, if the machine knows the date: without, it cannot be kept.
pub(super) fn reserved(
    now: Now,
    attempt: &Attempt,
    token: Cookie,
    until: u64,
) -> Option<ReservedSlot> {
    let wanted = attempt.wanted();
    // The date is known to a second, cut off: one more, and it is never too early.
    let left = until.saturating_sub(now.millis()).div_ceil(1000) + 1;
    Some(ReservedSlot {
        point: wanted.credential.point(),
        key_id: wanted.credential.key_id(),
        session: wanted.session,
        token,
        at: now
            .utc?
            .saturating_add(core::time::Duration::from_secs(left)),
    })
}
