use alloc::vec::Vec;

use crate::{
    Cookie, Error, Index,
    packet::{PacketType, Reader, push_index},
};

/// The first 8 bytes of the SHA-256 of a packet: names the packet that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacketHash(pub [u8; 8]);

/// The stateless answer of a loaded responder: never larger than what it answers.
///
/// ```text
/// type(1) | receiver's index(0-4) | packet hash(8) | cookie(16) | slot(4) | MAC(8)
/// ```
///
/// The MAC (rule T3) is over all before it, under a key that only the responder and the sender of
/// what is answered have; in `known` under one that is made from the responder's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The index of the initiator; none on streams.
    pub index: Option<Index>,
    /// Which Initiate or Resume it answers.
    pub echo: PacketHash,
    /// What the next Initiate or Resume must carry.
    pub cookie: Cookie,
    /// In how many milliseconds to come back; 0: at once.
    pub slot: u32,
    /// Proves that the responder made it.
    pub mac: [u8; RETRY_MAC_LEN],
}

/// Bytes of the MAC that ends a Retry.
pub const RETRY_MAC_LEN: usize = 8;

impl Retry {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.covered();
        out.extend_from_slice(&self.mac);
        out
    }

    /// The bytes that the MAC is over: all but itself.
    #[must_use]
    pub fn covered(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        out.push(PacketType::Retry.byte(self.index.map_or(0, Index::wire_len)));
        push_index(&mut out, self.index);
        out.extend_from_slice(&self.echo.0);
        out.extend_from_slice(&self.cookie.0);
        out.extend_from_slice(&self.slot.to_be_bytes());
        out
    }

    pub(crate) fn parse(index_len: usize, mut reader: Reader<'_>) -> Result<Self, Error> {
        let index = reader.index(index_len)?;
        let echo = PacketHash(reader.array("packet hash")?);
        let cookie = Cookie(reader.array("cookie")?);
        let slot = u32::from_be_bytes(reader.array("slot")?);
        let mac = reader.array("mac")?;
        if !reader.0.is_empty() {
            return Err(Error::Range("retry"));
        }
        Ok(Self {
            index,
            echo,
            cookie,
            slot,
            mac,
        })
    }
}
