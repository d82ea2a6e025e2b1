use alloc::vec::Vec;

use refpoint_keys::{KeyId, Profile, Version};

use crate::{
    Error, Index, Terms,
    packet::{PacketType, Reader, push_index},
};

/// Bytes of a [`Cookie`].
pub const COOKIE_LEN: usize = 16;

/// Bytes of the tag that ends an Initiate of profile `pinned`.
pub const TAG_KEY_LEN: usize = 8;

const COOKIE_PRESENT: u8 = 0x80;

/// The proof that a sender receives at its address: opaque to all but the one who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub [u8; COOKIE_LEN]);

/// The clear header of an Initiate; all of it enters the prologue (rule H1).
///
/// ```text
/// type(1) | version(1) | terms(1) | key id length and cookie bit(1) | index(0-4) | key id | cookie
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitiateHeader {
    /// Profile, suite and reference point.
    pub terms: Terms,
    /// The index by which the initiator wants to be addressed; none on streams.
    pub index: Option<Index>,
    /// Names the connection key in `psk` and `pinned`; hidden, so absent, in `known`.
    pub key_id: Option<KeyId>,
    /// The cookie of the Retry that this Initiate answers.
    pub cookie: Option<Cookie>,
}

impl InitiateHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let key_id = self.key_id.as_ref().map_or(&[][..], KeyId::as_bytes);
        let mut out = Vec::with_capacity(8 + key_id.len() + COOKIE_LEN);
        out.extend_from_slice(&[
            PacketType::Initiate.byte(self.index.map_or(0, Index::wire_len)),
            Version::CURRENT.code(),
            self.terms.code(),
            key_id.len() as u8
                | if self.cookie.is_some() {
                    COOKIE_PRESENT
                } else {
                    0
                },
        ]);
        push_index(&mut out, self.index);
        out.extend_from_slice(key_id);
        if let Some(cookie) = &self.cookie {
            out.extend_from_slice(&cookie.0);
        }
        out
    }
}

/// An Initiate: clear header, Noise message 1 and, in `pinned`, a tag over all before it.
#[derive(Debug)]
pub struct Initiate<'a> {
    /// The clear header, parsed.
    pub header: InitiateHeader,
    /// The clear header's bytes, for the prologue.
    pub header_bytes: &'a [u8],
    /// The Noise message.
    pub message: &'a [u8],
    /// The packet without its tag, and the tag (rule T1); in `pinned` only.
    pub tagged: Option<(&'a [u8], [u8; TAG_KEY_LEN])>,
}

impl<'a> Initiate<'a> {
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader(packet);
        let index_len = usize::from(reader.byte("type")? & 0b111);
        let version = reader.byte("version")?;
        if version != Version::CURRENT.code() {
            return Err(Error::Version(version));
        }
        let terms = Terms::try_from(reader.byte("terms")?)?;
        let lengths = reader.byte("key id length")?;
        let index = reader.index(index_len)?;
        let key_id = match usize::from(lengths & !COOKIE_PRESENT) {
            0 => None,
            len => {
                Some(KeyId::new(reader.take(len, "key id")?).map_err(|_| Error::Range("key id"))?)
            }
        };
        if key_id.is_none() != matches!(terms.profile, Profile::Known | Profile::FirstContact) {
            return Err(Error::Range("key id"));
        }
        let cookie = match lengths & COOKIE_PRESENT {
            0 => None,
            _ => Some(Cookie(reader.array("cookie")?)),
        };
        let header_bytes = &packet[..packet.len() - reader.0.len()];
        let (message, tagged) = if terms.profile == Profile::Pinned {
            let (message, tag) = reader
                .0
                .split_last_chunk()
                .ok_or(Error::Truncated("initiate tag"))?;
            (message, Some((&packet[..packet.len() - TAG_KEY_LEN], *tag)))
        } else {
            (reader.0, None)
        };
        let header = InitiateHeader {
            terms,
            index,
            key_id,
            cookie,
        };
        Ok(Self {
            header,
            header_bytes,
            message,
            tagged,
        })
    }
}
