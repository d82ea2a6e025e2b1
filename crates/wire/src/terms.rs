use refpoint_keys::{Profile, ReferencePoint};

use crate::Error;

/// The Noise suite: cipher and hash; the DH is always X25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// `25519_ChaChaPoly_SHA256`, for every machine.
    ChaChaPoly,
    /// `25519_AESGCM_SHA256`, for machines with AES instructions.
    AesGcm,
}

impl Suite {
    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::ChaChaPoly => 1,
            Self::AesGcm => 2,
        }
    }
}

impl TryFrom<u8> for Suite {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        match code {
            1 => Ok(Self::ChaChaPoly),
            2 => Ok(Self::AesGcm),
            _ => Err(Error::Unknown("suite")),
        }
    }
}

/// What carries an association's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carriage {
    /// Datagrams: lossy, reordering; every record states its index and sequence.
    Packet,
    /// A byte stream: index and sequence are implicit.
    Stream,
    /// Letters: opaque content that others keep for hours; every record states its whole sequence.
    Letter,
}

impl Carriage {
    /// Its code in the prologue.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Packet => 1,
            Self::Stream => 2,
            Self::Letter => 3,
        }
    }
}

/// What an initiator states and a responder accepts or drops; nothing is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Terms {
    /// The handshake pattern and what authenticates it.
    pub profile: Profile,
    /// Cipher and hash.
    pub suite: Suite,
    /// The reference point that the association serves.
    pub point: ReferencePoint,
}

impl Terms {
    /// The byte `profile << 5 | suite << 3 | point`.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.profile.code() << 5 | self.suite.code() << 3 | self.point.code()
    }
}

impl TryFrom<u8> for Terms {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        Ok(Self {
            profile: Profile::try_from(code >> 5).map_err(|_| Error::Unknown("profile"))?,
            suite: Suite::try_from(code >> 3 & 0b11)?,
            point: ReferencePoint::try_from(code & 0b111)
                .map_err(|_| Error::Unknown("reference point"))?,
        })
    }
}
