use alloc::{vec, vec::Vec};

use refpoint_keys::Version;

use crate::{
    Error, Index, PacketHash,
    packet::{PacketType, Reader, push_index},
};

const NO_ASSOCIATION: u8 = 1;
const VERSION: u8 = 2;
const HANDLE: u8 = 3;

/// An unauthenticated hint. It ends nothing (rule H8): at most it makes the receiver start one
/// rate-limited handshake beside what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse<'a> {
    /// No association has the index to which the refused record was addressed.
    NoAssociation {
        /// That index.
        index: Index,
        /// The first byte of the tags of all handles that can be redeemed here: who holds one with
        /// another need not try.
        issuer: u8,
    },
    /// The version of the refused packet is not spoken here.
    Version {
        /// Names the refused packet.
        echo: PacketHash,
        /// The versions that are spoken, a byte each.
        versions: &'a [u8],
    },
    /// The handle of a Resume cannot be redeemed here: unknown, used, expired or revoked.
    Handle {
        /// The index of the Resume's sender; none on streams.
        index: Option<Index>,
        /// Names the Resume.
        echo: PacketHash,
    },
}

impl<'a> Refuse<'a> {
    /// The refusal of a packet with an unknown version.
    #[must_use]
    pub const fn version(echo: PacketHash) -> Refuse<'static> {
        const VERSIONS: &[u8] = &[Version::CURRENT.code()];
        Refuse::Version {
            echo,
            versions: VERSIONS,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::NoAssociation { index, issuer } => {
                let mut out = vec![PacketType::Refuse.byte(index.wire_len()), NO_ASSOCIATION];
                push_index(&mut out, Some(*index));
                out.push(*issuer);
                out
            }
            Self::Version { echo, versions } => [
                &[PacketType::Refuse.byte(0), VERSION],
                &echo.0[..],
                versions,
            ]
            .concat(),
            Self::Handle { index, echo } => {
                let len = index.map_or(0, Index::wire_len);
                let mut out = vec![PacketType::Refuse.byte(len), HANDLE];
                push_index(&mut out, *index);
                out.extend_from_slice(&echo.0);
                out
            }
        }
    }

    pub(crate) fn parse(index_len: usize, mut reader: Reader<'a>) -> Result<Self, Error> {
        match reader.byte("reason")? {
            NO_ASSOCIATION => {
                let index = reader
                    .index(index_len)?
                    .ok_or(Error::Range("index length"))?;
                let issuer = reader.byte("issuer")?;
                if reader.0.is_empty() {
                    Ok(Self::NoAssociation { index, issuer })
                } else {
                    Err(Error::Range("refuse"))
                }
            }
            VERSION if index_len == 0 => {
                let echo = PacketHash(reader.array("packet hash")?);
                Ok(Self::Version {
                    echo,
                    versions: reader.0,
                })
            }
            HANDLE => {
                let index = reader.index(index_len)?;
                let echo = PacketHash(reader.array("packet hash")?);
                if reader.0.is_empty() {
                    Ok(Self::Handle { index, echo })
                } else {
                    Err(Error::Range("refuse"))
                }
            }
            _ => Err(Error::Unknown("reason")),
        }
    }
}
