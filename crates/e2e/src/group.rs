use alloc::vec::Vec;

use prost::Message as _;
use rand_core::CryptoRng;
use refpoint_association::{Backend, ContentKey, SpentContentKey, Suite};
use refpoint_keys::UtcTime;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    Contacts, Delivery, Error, Opened, Opener, Sealer, Target, generated as proto, layout, padding,
    pre_key_ring::Reading,
};

const LABEL: &[u8] = b"refpoint/1 group";
const VERSION: u8 = 0b001 << 5;
const AES: u8 = 1 << 3;
const PADDED: u8 = 1 << 2;

/// Receivers of one group object.
pub const MAX_PARTS: usize = 1_024;

/// One content for several receivers, sealed once (rule E2).
///
/// ```text
/// head   = type (1) ‖ expiry (4) ‖ commitment (32)      type = 001 0 s d 00, as of an object
/// digest = SHA-256("refpoint/1 group" ‖ f(head) ‖ ciphertext)
/// part   = sealed object whose content is the content key, with the digest in its prologue
/// ```
///
/// * Every part proves the sender to its receiver, for exactly this ciphertext: a member, who knows
///   the content key, can make another ciphertext but no parts for it.
/// * The key is one object's: kept over several, any member could forge the next.
/// * The commitment in the head lets no sender give two members two keys under which one
///   ciphertext opens differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    head: [u8; 37],
    ciphertext: Vec<u8>,
    parts: Vec<Vec<u8>>,
}

impl Group {
    /// Seals `content` for all `deliveries`, which have one target and one expiry: those of the first.
    ///
    /// # Errors
    /// As [`Sealer::seal`]; [`Error::Config`] without receivers, with more than [`MAX_PARTS`], or
    /// when targets or expiries differ.
    pub fn seal(
        sealer: &Sealer,
        now: UtcTime,
        rng: &mut dyn CryptoRng,
        (backend, suite): (Backend, Suite),
        deliveries: &[Delivery<'_>],
        content: &[u8],
    ) -> Result<Self, Error> {
        let first = deliveries.first().ok_or(Error::Config("group"))?;
        let alike = |one: &Delivery<'_>| one.target == first.target && one.expires == first.expires;
        if deliveries.len() > MAX_PARTS || !deliveries.iter().all(alike) {
            return Err(Error::Config("group"));
        }
        let expires = u32::try_from(first.expires.as_secs());
        let expires = expires.map_err(|_| Error::Config("expiry"))?;
        let padding = sealer.padding();
        let key = ContentKey::generate(rng);
        let mut head = [0; 37];
        head[0] = VERSION
            | if suite == Suite::AesGcm { AES } else { 0 }
            | if padding.is_used() { PADDED } else { 0 };
        head[1..5].copy_from_slice(&expires.to_be_bytes());
        head[5..].copy_from_slice(&key.commitment());
        let mut ciphertext = Vec::with_capacity(padding.padded_len(content.len()) + 16);
        ciphertext.extend_from_slice(content);
        padding.pad(&mut ciphertext, 0);
        let key = key.seal(backend, suite, &head, &mut ciphertext)?;
        let digest = digest(&head, &ciphertext);
        let part =
            |delivery| sealer.seal_bound(now, rng, delivery, key.expose_bytes(), Some(&digest));
        let parts = deliveries.iter().map(part).collect::<Result<_, _>>()?;
        Ok(Self {
            head,
            ciphertext,
            parts,
        })
    }

    /// Opens the part that is for `opener`, and with it the content.
    ///
    /// Parts do not say whose they are. Those that name an unknown pre-key or application key cost nothing;
    /// the others are tried.
    ///
    /// # Errors
    /// As [`Opener::open`]; [`Error::Commitment`] when the key that came is not the one committed to.
    pub fn open(
        &self,
        opener: &mut Opener,
        (backend, now): (Backend, Option<UtcTime>),
        contacts: &Contacts,
        target: &Target,
    ) -> Result<Opened, Error> {
        let at = (backend, now);
        self.reveal(opener, at, contacts, target, Reading::First)
    }

    /// Opens once more what has opened, as [`Opener::open_again`] does.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NotOpened`].
    pub fn open_again(
        &self,
        opener: &mut Opener,
        (backend, now): (Backend, Option<UtcTime>),
        contacts: &Contacts,
        target: &Target,
    ) -> Result<Opened, Error> {
        let at = (backend, now);
        self.reveal(opener, at, contacts, target, Reading::Again)
    }

    fn reveal(
        &self,
        opener: &mut Opener,
        (backend, now): (Backend, Option<UtcTime>),
        contacts: &Contacts,
        target: &Target,
        reading: Reading,
    ) -> Result<Opened, Error> {
        let [kind, expires @ ..] = *self.head.first_chunk::<5>().ok_or(MALFORMED)?;
        let expires = UtcTime::from_secs(u32::from_be_bytes(expires).into());
        let suite = if kind & AES == 0 {
            Suite::ChaChaPoly
        } else {
            Suite::AesGcm
        };
        let commitment = self.head.last_chunk().ok_or(MALFORMED)?;
        let digest = digest(&self.head, &self.ciphertext);
        let mut refused = Error::UnknownPreKey;
        for part in &self.parts {
            let how = (Some(&digest), reading);
            match opener.open_bound(now, contacts, target, part, how) {
                Ok(mut opened) => {
                    if opened.head.expires != expires {
                        return Err(MALFORMED);
                    }
                    let key = opened
                        .content
                        .as_slice()
                        .try_into()
                        .map_err(|_| MALFORMED)?;
                    let key = SpentContentKey::from_bytes(key);
                    if !key.is_committed_by(commitment) {
                        return Err(Error::Commitment);
                    }
                    let mut content = Zeroizing::new(self.ciphertext.clone());
                    key.open(backend, suite, &self.head, &mut content)?;
                    if kind & PADDED != 0 {
                        let len = padding::unpadded_len(&content)?;
                        content.truncate(len);
                    }
                    opened.content = content;
                    return Ok(opened);
                }
                Err(error) => refused = refused.more_telling(error),
            }
        }
        Err(refused)
    }

    /// Its protobuf form.
    pub(crate) fn into_proto(self) -> proto::Group {
        proto::Group {
            head: self.head.to_vec(),
            ciphertext: self.ciphertext,
            parts: self.parts,
        }
    }

    pub(crate) fn from_proto(group: proto::Group) -> Result<Self, Error> {
        let head: [u8; 37] = group.head.try_into().map_err(|_| MALFORMED)?;
        let known = head[0] & !(AES | PADDED) == VERSION;
        if !known || group.parts.is_empty() || group.parts.len() > MAX_PARTS {
            return Err(MALFORMED);
        }
        Ok(Self {
            head,
            ciphertext: group.ciphertext,
            parts: group.parts,
        })
    }

    /// Its protobuf bytes (`refpoint.e2e.v1.Group`).
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.into_proto().encode_to_vec()
    }

    /// How many receivers it has, and its bytes for each of them.
    #[must_use]
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }
}

const MALFORMED: Error = Error::Malformed("group");

fn digest(head: &[u8; 37], ciphertext: &[u8]) -> [u8; 32] {
    let mut bound = Vec::with_capacity(LABEL.len() + 2 + head.len());
    bound.extend_from_slice(LABEL);
    layout::field(&mut bound, head);
    let mut hash = Sha256::new();
    hash.update(&bound);
    hash.update(ciphertext);
    hash.finalize().into()
}

impl Error {
    /// Of two reasons for which no part opened, the one that says more: that a key is not ours is what
    /// every part of another says.
    const fn more_telling(self, other: Self) -> Self {
        match self {
            Self::UnknownPreKey | Self::UnknownSender => other,
            Self::Authentication if !matches!(other, Self::UnknownPreKey | Self::UnknownSender) => {
                other
            }
            _ => self,
        }
    }
}
