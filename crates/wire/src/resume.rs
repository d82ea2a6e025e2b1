use alloc::vec::Vec;

use refpoint_keys::{ReferencePoint, Version};

use crate::{
    COOKIE_LEN, Cookie, Error, Index, Suite,
    packet::{PacketType, Reader, push_index},
};

/// Bytes of a handle on the wire: its id and its tag.
pub const HANDLE_LEN: usize = 12;

/// Bytes of the nonces of both ends in `light`.
pub const NONCE_LEN: usize = 8;

/// Bytes of the MAC that ends a Resume of mode `light`.
pub const MAC_LEN: usize = 16;

const COOKIE_PRESENT: u8 = 0x80;
const NO_CLOCK: u8 = 0x40;

/// Names a resumption secret: derived from the key schedule that made it, so equal at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(pub [u8; 8]);

/// What an initiator shows to resume: the id, and the responder's tag over it (rule S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Which resumption secret.
    pub id: HandleId,
    /// The responder's own mark: what lacks it is dropped before any look-up.
    pub tag: [u8; 4],
}

impl Handle {
    fn to_bytes(self) -> [u8; HANDLE_LEN] {
        let mut out = [0; HANDLE_LEN];
        out[..8].copy_from_slice(&self.id.0);
        out[8..].copy_from_slice(&self.tag);
        out
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: HandleId(reader.array("handle")?),
            tag: reader.array("handle")?,
        })
    }
}

/// How an association is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Symmetric only: for devices, and for restart storms.
    Light,
    /// `NNpsk0` with a key from the resumption secret: one DH a side.
    Fresh,
}

impl Mode {
    /// Its code, where an Initiate has its profile.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Light => 5,
            Self::Fresh => 6,
        }
    }
}

/// The clear header of a Resume; all of it enters the prologue (rules H1, S1).
///
/// ```text
/// type(1) | version(1) | mode, suite, point(1) | flags, 12(1) | index(0-4) | handle(12) | cookie(0 or 16)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeHeader {
    /// `light` or `fresh`.
    pub mode: Mode,
    /// The suite of the association that is resumed.
    pub suite: Suite,
    /// Its reference point.
    pub point: ReferencePoint,
    /// The initiator has no wall clock (`light`; in `fresh` the payload says so).
    pub no_clock: bool,
    /// The index by which the initiator wants to be addressed; none on streams.
    pub index: Option<Index>,
    /// What is redeemed.
    pub handle: Handle,
    /// The cookie of the Retry that this Resume answers.
    pub cookie: Option<Cookie>,
}

impl ResumeHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + HANDLE_LEN + COOKIE_LEN + NONCE_LEN + MAC_LEN);
        let mut flags = HANDLE_LEN as u8;
        if self.cookie.is_some() {
            flags |= COOKIE_PRESENT;
        }
        if self.no_clock {
            flags |= NO_CLOCK;
        }
        out.extend_from_slice(&[
            PacketType::Resume.byte(self.index.map_or(0, Index::wire_len)),
            Version::CURRENT.code(),
            self.mode.code() << 5 | self.suite.code() << 3 | self.point.code(),
            flags,
        ]);
        push_index(&mut out, self.index);
        out.extend_from_slice(&self.handle.to_bytes());
        if let Some(cookie) = &self.cookie {
            out.extend_from_slice(&cookie.0);
        }
        out
    }
}

/// A Resume: clear header, then what its mode needs.
#[derive(Debug)]
pub struct Resume<'a> {
    /// The clear header, parsed.
    pub header: ResumeHeader,
    /// The clear header's bytes, for the prologue.
    pub header_bytes: &'a [u8],
    /// What follows the header.
    pub body: ResumeBody<'a>,
}

/// What follows a Resume's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeBody<'a> {
    /// A nonce, and the MAC over the prologue with header and nonce.
    Light {
        /// Drawn by the initiator for this Resume.
        nonce: [u8; NONCE_LEN],
        /// Proves the resumption secret.
        mac: [u8; MAC_LEN],
    },
    /// Noise message 1.
    Fresh(&'a [u8]),
}

impl<'a> Resume<'a> {
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader(packet);
        let index_len = usize::from(reader.byte("type")? & 0b111);
        let version = reader.byte("version")?;
        if version != Version::CURRENT.code() {
            return Err(Error::Version(version));
        }
        let terms = reader.byte("terms")?;
        let mode = match terms >> 5 {
            5 => Mode::Light,
            6 => Mode::Fresh,
            _ => return Err(Error::Unknown("mode of resumption")),
        };
        let suite = Suite::try_from(terms >> 3 & 0b11)?;
        let point = ReferencePoint::try_from(terms & 0b111)
            .map_err(|_| Error::Unknown("reference point"))?;
        let flags = reader.byte("flags")?;
        let no_clock = flags & NO_CLOCK != 0;
        if usize::from(flags & !(COOKIE_PRESENT | NO_CLOCK)) != HANDLE_LEN
            || (no_clock && mode == Mode::Fresh)
        {
            return Err(Error::Range("flags"));
        }
        let index = reader.index(index_len)?;
        let handle = Handle::parse(&mut reader)?;
        let cookie = match flags & COOKIE_PRESENT {
            0 => None,
            _ => Some(Cookie(reader.array("cookie")?)),
        };
        let header_bytes = &packet[..packet.len() - reader.0.len()];
        let body = match mode {
            Mode::Fresh => ResumeBody::Fresh(reader.0),
            Mode::Light => {
                let nonce = reader.array("nonce")?;
                let mac = reader.array("mac")?;
                if !reader.0.is_empty() {
                    return Err(Error::Range("resume"));
                }
                ResumeBody::Light { nonce, mac }
            }
        };
        let header = ResumeHeader {
            mode,
            suite,
            point,
            no_clock,
            index,
            handle,
            cookie,
        };
        Ok(Self {
            header,
            header_bytes,
            body,
        })
    }
}
