//! What travels.

use core::net::SocketAddr;

/// A datagram with its addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    /// Where it claims to come from.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it carries.
    pub data: Vec<u8>,
}

impl Packet {
    /// A packet from `from` to `to`.
    #[must_use]
    pub fn new(from: SocketAddr, to: SocketAddr, data: impl Into<Vec<u8>>) -> Self {
        Self {
            from,
            to,
            data: data.into(),
        }
    }
}
