use refpoint_association::OneWay;
use refpoint_keys::{EntityId, KeyId, UtcTime};
use zeroize::Zeroizing;

use alloc::vec::Vec;

use crate::{
    Contacts, Error, PreKeyRing, Target,
    object::{Bound, Head},
    padding,
    pre_key_ring::Reading,
};

/// By what the sender of an object was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The application key of both, and the sender's static key.
    ApplicationKey(KeyId),
    /// The sender's static key alone: who stole the receiver's pre-key can feign it.
    StaticKey,
}

/// An object that opened.
#[derive(Debug)]
pub struct Opened {
    /// Who sealed it.
    pub sender: EntityId,
    /// By what that is proved.
    pub proof: Proof,
    /// What it said of itself.
    pub head: Head,
    /// What was sealed.
    pub content: Zeroizing<Vec<u8>>,
}

/// An entity that opens objects.
#[derive(Debug)]
pub struct Opener {
    id: EntityId,
    ring: PreKeyRing,
    without_clock: bool,
}

impl Opener {
    /// The entity `id`, whose pre-keys are in `ring`.
    #[must_use]
    pub const fn new(id: EntityId, ring: PreKeyRing) -> Self {
        Self {
            id,
            ring,
            without_clock: false,
        }
    }

    /// Opens without a clock, too: then nothing checks expiry, and what a node in between holds
    /// back is taken until the pre-key is destroyed. Replays are refused all the same.
    #[must_use]
    pub const fn with_or_without_clock(mut self) -> Self {
        self.without_clock = true;
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        &self.id
    }

    /// With the pre-keys of a kept state, as [`PreKeyRing::restore`] reads it.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Malformed`].
    pub fn restored(mut self, bytes: &[u8], acknowledged: u64) -> Result<Self, Error> {
        self.ring = self.ring.restore(bytes, acknowledged)?;
        Ok(self)
    }

    /// Its pre-keys.
    #[must_use]
    pub const fn ring(&self) -> &PreKeyRing {
        &self.ring
    }

    /// Its pre-keys, to tend them.
    pub const fn ring_mut(&mut self) -> &mut PreKeyRing {
        &mut self.ring
    }

    /// Opens an object that came for `target`, once.
    ///
    /// Nothing but an object that opens changes anything. Persist the ring before what it contains is
    /// acknowledged to whoever keeps the object.
    ///
    /// # Errors
    /// [`Error::Expired`], [`Error::Replayed`], [`Error::UnknownPreKey`], [`Error::UnknownSender`],
    /// [`Error::Authentication`] when anything was altered or is for another receiver or target,
    /// [`Error::Impersonation`], [`Error::Full`].
    pub fn open(
        &mut self,
        now: Option<UtcTime>,
        contacts: &Contacts,
        target: &Target,
        object: &[u8],
    ) -> Result<Opened, Error> {
        let how = (None, Reading::First);
        self.open_bound(now, contacts, target, object, how)
    }

    /// Opens once more an object that has opened: for a resource that is read again. Changes nothing.
    ///
    /// It is the caller who knows that this is the same resource, and not a replay in another; who
    /// cannot tell, calls [`open`](Self::open) only. What has expired, or whose pre-key is destroyed, opens
    /// no more.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NotOpened`].
    pub fn open_again(
        &self,
        now: Option<UtcTime>,
        contacts: &Contacts,
        target: &Target,
        object: &[u8],
    ) -> Result<Opened, Error> {
        let how = (None, Reading::Again);
        Ok(self.revealed(now, contacts, target, object, how)?.0)
    }

    /// Opens an object, or the part of the group with that digest.
    pub(crate) fn open_bound(
        &mut self,
        now: Option<UtcTime>,
        contacts: &Contacts,
        target: &Target,
        object: &[u8],
        (group, reading): (Option<&[u8; 32]>, Reading),
    ) -> Result<Opened, Error> {
        let how = (group, reading);
        let (opened, ephemeral) = self.revealed(now, contacts, target, object, how)?;
        self.ring.mark(opened.head.number, ephemeral);
        Ok(opened)
    }

    /// The object's contents and its ephemeral.
    fn revealed(
        &self,
        now: Option<UtcTime>,
        contacts: &Contacts,
        target: &Target,
        object: &[u8],
        (group, reading): (Option<&[u8; 32]>, Reading),
    ) -> Result<(Opened, [u8; 32]), Error> {
        let (head, head_bytes, message) = Head::parse(object)?;
        match now {
            Some(now) if head.expires <= now => return Err(Error::Expired),
            None if !self.without_clock => return Err(Error::NoClock),
            _ => {}
        }
        let contact = head.key_id.map(|id| contacts.by_key(id, now)).transpose()?;
        let ephemeral = message
            .first_chunk()
            .ok_or(Error::Malformed("sealed object"))?;
        let read = (ephemeral, reading);
        let held = self.ring.admits(now, head.number, head.suite, read)?;
        let sender = contact.map(|(_, record)| record);
        let psk = contact.map(|(key, record)| key.object_psk(record.id(), &self.id));
        let psk = psk.transpose().map_err(|_| Error::UnknownSender)?;
        let prologue = Bound {
            head: head_bytes,
            sender: sender.map(crate::EntityRecord::id),
            receiver: &self.id,
            target,
            group,
        }
        .prologue();
        let opening = OneWay {
            backend: held.backend(),
            suite: head.suite,
            prologue: &prologue,
            psk: psk.as_ref(),
        };
        let expected = sender.map(crate::EntityRecord::sealing_key);
        let revealed = opening.open(held, expected, message)?;
        let (sender, proof, start) = match (sender, head.key_id) {
            (Some(record), Some(id)) => (record.id().clone(), Proof::ApplicationKey(id), 0),
            _ => {
                let record = contacts.by_sealing_key(revealed.sender, now)?;
                let stated = stated_sender(&revealed.payload)?;
                if stated != record.id().as_str().as_bytes() {
                    return Err(Error::Impersonation);
                }
                let start = 1 + stated.len();
                (record.id().clone(), Proof::StaticKey, start)
            }
        };
        let content = &revealed.payload[start..];
        let len = if head.padded {
            padding::unpadded_len(content)?
        } else {
            content.len()
        };
        let content = Zeroizing::new(content[..len].to_vec());
        let opened = Opened {
            sender,
            proof,
            head,
            content,
        };
        Ok((opened, revealed.ephemeral))
    }
}

/// The id that begins the payload of an `X`.
fn stated_sender(payload: &[u8]) -> Result<&[u8], Error> {
    let (len, rest) = payload.split_first().ok_or(Error::Malformed("sender"))?;
    rest.get(..usize::from(*len))
        .ok_or(Error::Malformed("sender"))
}
