use alloc::{string::ToString, vec::Vec};
use core::{fmt, time::Duration};

use refpoint_keys::{EntityId, KeyId, Profile, ReferencePoint, UtcTime};
use refpoint_wire::{Carriage, Handle, HandleGrant, Mode, Modes, SessionLabel, Suite, Terms};
use zeroize::Zeroizing;

use crate::{
    Authenticated, Error, Now,
    issued::{DAMAGED, Reader},
    schedule::Resumption,
    time::millis,
};

/// A handle that this end may redeem as initiator, and the secret behind it.
///
/// It is not an [`IssuedHandles`](crate::IssuedHandles) entry and cannot become one (rule S3): a
/// table of both would reflect a Resume to its sender.
///
/// A device that keeps [`expose_bytes`](Self::expose_bytes) in its flash comes back after a loss of
/// power with one `light` exchange. Who reads these bytes can take the device's place until the
/// handle is redeemed: keep them as secret as the connection key.
pub struct HeldHandle {
    pub(crate) handle: Handle,
    pub(crate) secret: Resumption,
    pub(crate) modes: Modes,
    /// Of the handshake that proved the peer.
    pub(crate) terms: Terms,
    pub(crate) session: SessionLabel,
    pub(crate) carriage: Carriage,
    /// Of the association that gave it; its successor's epochs are no longer (rule R2).
    pub(crate) epoch_bits: u8,
    pub(crate) key_id: KeyId,
    pub(crate) initiator: EntityId,
    pub(crate) responder: EntityId,
    /// Monotonic time, in milliseconds, and wall-clock time, after which it is of no use.
    pub(crate) until: u64,
    pub(crate) expires: Option<UtcTime>,
}

const LAYOUT: u8 = 1;

impl HeldHandle {
    /// The handle of an association that this end has initiated, as its responder has granted it.
    pub(crate) fn granted(
        now: Now,
        peer: &Authenticated,
        (carriage, epoch_bits): (Carriage, u8),
        grant: HandleGrant,
        secret: Resumption,
    ) -> Self {
        let span = Duration::from_secs(grant.lifetime.value().min(u32::MAX.into()));
        Self {
            handle: Handle {
                id: secret.handle(),
                tag: grant.tag,
            },
            secret,
            modes: grant.modes,
            terms: peer.terms,
            session: peer.session,
            carriage,
            epoch_bits,
            key_id: peer.key_id(),
            initiator: peer.credential.local().clone(),
            responder: peer.entity().clone(),
            until: now.millis().saturating_add(millis(span)),
            expires: now.utc.map(|utc| utc.saturating_add(span)),
        }
    }

    /// The responder that gave it.
    #[must_use]
    pub const fn responder(&self) -> &EntityId {
        &self.responder
    }

    /// The reference point.
    #[must_use]
    pub const fn point(&self) -> ReferencePoint {
        self.terms.point
    }

    /// The connection key under which it was given.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The session label.
    #[must_use]
    pub const fn session(&self) -> SessionLabel {
        self.session
    }

    /// The modes by which it may be redeemed.
    #[must_use]
    pub const fn modes(&self) -> Modes {
        self.modes
    }

    /// When it ends, if the machine knew the date when it was given.
    #[must_use]
    pub const fn expires(&self) -> Option<UtcTime> {
        self.expires
    }

    /// The mode to redeem it by: what the handle and this end's policy allow, `light` first.
    pub(crate) const fn mode(&self, allowed: Modes) -> Option<Mode> {
        let modes = self.modes.and(allowed);
        if modes.light {
            Some(Mode::Light)
        } else if modes.fresh {
            Some(Mode::Fresh)
        } else {
            None
        }
    }

    pub(crate) fn is_over(&self, now: Now) -> bool {
        let by_date = self.expires.zip(now.utc);
        now.millis() >= self.until || by_date.is_some_and(|(end, utc)| end <= utc)
    }

    /// Says by date when it ends, where that was not known when it was given.
    pub(crate) fn date(&mut self, now: Now) {
        if let (None, Some(utc)) = (self.expires, now.utc) {
            let left = Duration::from_millis(self.until.saturating_sub(now.millis()));
            self.expires = Some(utc.saturating_add(left));
        }
    }

    /// All of it, for storage that outlives the process: layout(1), then its fields. The
    /// initiator's nonces are never part of it (rule S2).
    #[must_use]
    pub fn expose_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Of its final size from the start: a vector that grows leaves copies behind.
        let ids = self.initiator.as_str().len() + self.responder.as_str().len();
        let mut out = Zeroizing::new(Vec::with_capacity(128 + ids));
        out.extend_from_slice(&[
            LAYOUT,
            self.carriage.code(),
            self.terms.code(),
            self.modes.bits(),
            self.epoch_bits,
        ]);
        out.extend_from_slice(&self.handle.id.0);
        out.extend_from_slice(&self.handle.tag);
        out.extend_from_slice(self.secret.expose_bytes());
        let expires = self.expires.map_or(0, UtcTime::as_secs);
        out.extend_from_slice(&expires.to_be_bytes());
        let (initiator, responder) = (self.initiator.to_string(), self.responder.to_string());
        for field in [
            self.session.as_bytes(),
            self.key_id.as_bytes(),
            initiator.as_bytes(),
            responder.as_bytes(),
        ] {
            out.push(field.len() as u8);
            out.extend_from_slice(field);
        }
        out
    }

    /// What [`expose_bytes`](Self::expose_bytes) gave, in another process. Without a date in it, it
    /// is taken to hold for a week from now: the responder knows better.
    ///
    /// # Errors
    /// [`Error::Config`] for anything else.
    pub fn from_bytes(now: Now, bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let [layout, carriage, terms, modes, epoch_bits] = reader.array()?;
        let carriage = match carriage {
            1 => Carriage::Packet,
            2 => Carriage::Stream,
            _ => return Err(DAMAGED),
        };
        let handle = Handle {
            id: refpoint_wire::HandleId(reader.array()?),
            tag: reader.array()?,
        };
        let secret = Resumption::from_bytes(reader.array()?);
        let expires = match u64::from_be_bytes(reader.array()?) {
            0 => None,
            seconds => Some(UtcTime::from_secs(seconds)),
        };
        let session = SessionLabel::new(reader.field()?).map_err(|_| DAMAGED)?;
        let key_id = KeyId::new(reader.field()?).map_err(|_| DAMAGED)?;
        let (initiator, responder) = (reader.entity()?, reader.entity()?);
        if layout != LAYOUT || !reader.is_empty() || !(16..=22).contains(&epoch_bits) {
            return Err(DAMAGED);
        }
        let left = match (expires, now.utc) {
            (Some(end), Some(utc)) => end.saturating_since(utc),
            _ => Duration::from_secs(7 * 24 * 3600),
        };
        Ok(Self {
            handle,
            secret,
            modes: Modes::from_bits(modes),
            terms: Terms::try_from(terms).map_err(|_| DAMAGED)?,
            session,
            carriage,
            epoch_bits,
            key_id,
            initiator,
            responder,
            until: now.millis().saturating_add(millis(left)),
            expires,
        })
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.terms.suite
    }

    /// The profile by which the peer was authenticated when the chain began.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.terms.profile
    }
}

impl fmt::Debug for HeldHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldHandle")
            .field("handle", &self.handle.id)
            .field("responder", &self.responder)
            .field("modes", &self.modes)
            .finish_non_exhaustive()
    }
}
