use alloc::vec::Vec;

use rand_core::CryptoRng;
use refpoint_association::{MAX_ONE_WAY_PAYLOAD, OneWay, StaticKey};
use refpoint_keys::{ApplicationKey, EntityId, UtcTime};
use zeroize::Zeroizing;

use crate::{
    Error, Padding, Recipient, Target,
    object::{Bound, Head},
};

/// The most that one object holds, padding included.
pub const MAX_OBJECT_CONTENT: usize = MAX_ONE_WAY_PAYLOAD - 256;

/// An entity that seals objects.
#[derive(Clone, Debug)]
pub struct Sealer {
    id: EntityId,
    key: StaticKey,
    padding: Padding,
}

/// To whom, what for, and until when an object is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The receiver and its pre-key, verified.
    pub recipient: &'a Recipient,
    /// The key that both share. With it the object is a `Kpsk0`: cheaper by 48 bytes and the
    /// sender's id, and who steals the pre-key cannot pass for the sender. Without it is an `X`.
    pub key: Option<&'a ApplicationKey>,
    /// What it is for.
    pub target: &'a Target,
    /// The first second in which the receiver takes it no longer.
    pub expires: UtcTime,
}

impl Sealer {
    /// The entity `id`, whose static key is `key`. Nothing is padded.
    #[must_use]
    pub const fn new(id: EntityId, key: StaticKey) -> Self {
        Self {
            id,
            key,
            padding: Padding::None,
        }
    }

    /// Pads what it seals.
    #[must_use]
    pub const fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        &self.id
    }

    pub(crate) const fn padding(&self) -> Padding {
        self.padding
    }

    /// Seals `content`. The ephemeral key is drawn from `rng`, which a restored snapshot must not
    /// repeat.
    ///
    /// # Errors
    /// [`Error::NotValid`] when pre-key or application key do not hold at `now`,
    /// [`Error::Expired`] when the object would have expired, [`Error::TooLarge`] beyond
    /// [`MAX_OBJECT_CONTENT`].
    pub fn seal(
        &self,
        now: UtcTime,
        rng: &mut dyn CryptoRng,
        delivery: &Delivery<'_>,
        content: &[u8],
    ) -> Result<Vec<u8>, Error> {
        self.seal_bound(now, rng, delivery, content, None)
    }

    /// Seals `content`, or, for the group with that digest, its content key.
    pub(crate) fn seal_bound(
        &self,
        now: UtcTime,
        rng: &mut dyn CryptoRng,
        delivery: &Delivery<'_>,
        content: &[u8],
        group: Option<&[u8; 32]>,
    ) -> Result<Vec<u8>, Error> {
        let recipient = delivery.recipient;
        recipient.holds(now)?;
        if delivery.expires <= now {
            return Err(Error::Expired);
        }
        if delivery
            .key
            .is_some_and(|key| !key.validity().contains(now))
        {
            return Err(Error::NotValid("application key"));
        }
        // A content key has one size: there is nothing to hide.
        let padding = if group.is_some() {
            Padding::None
        } else {
            self.padding
        };
        let padded = padding.padded_len(content.len());
        if padded > MAX_OBJECT_CONTENT {
            return Err(Error::TooLarge {
                size: padded,
                limit: MAX_OBJECT_CONTENT,
            });
        }
        let head = Head {
            key_id: delivery.key.map(ApplicationKey::id),
            suite: recipient.suite,
            padded: padding.is_used(),
            number: recipient.number,
            expires: delivery.expires,
        }
        .encode()?;
        let psk = delivery
            .key
            .map(|key| key.object_psk(&self.id, &recipient.id));
        let psk = psk.transpose()?;
        let prologue = Bound {
            head: &head,
            sender: delivery.key.map(|_| &self.id),
            receiver: &recipient.id,
            target: delivery.target,
            group,
        }
        .prologue();
        let sealing = OneWay {
            backend: self.key.backend(),
            suite: recipient.suite,
            prologue: &prologue,
            psk: psk.as_ref(),
        };
        // Of its final size from the start: a vector that grows leaves copies behind.
        let mut payload = Zeroizing::new(Vec::with_capacity(256 + padded));
        if psk.is_none() {
            let id = self.id.as_str().as_bytes();
            payload.push(id.len() as u8);
            payload.extend_from_slice(id);
        }
        let start = payload.len();
        payload.extend_from_slice(content);
        padding.pad(&mut payload, start);
        let mut object = Vec::with_capacity(head.len() + payload.len() + sealing.overhead());
        object.extend_from_slice(&head);
        sealing.seal(rng, &self.key, recipient.key, &payload, &mut object)?;
        Ok(object)
    }
}
