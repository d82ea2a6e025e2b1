//! Packet captures in the classic pcap format (link type `LINKTYPE_RAW`: packets begin with their IP header).
//!
//! The demo's taps write them; `refpoint inspect` reads them and those of tcpdump. A reader takes at most
//! [`MAX_PACKET`] bytes for a packet whatever a file claims, and never trusts a length before it has the bytes.

mod packet;
mod read;
mod write;

pub use packet::{Ip, Transport, dissect};
pub use read::{Captured, PcapError, PcapReader};
pub use write::{PcapWriter, TcpFlow};

/// The longest packet that is read or written, as in tcpdump.
pub const MAX_PACKET: usize = 262_144;

/// `LINKTYPE_RAW`.
const RAW: u32 = 101;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// `LINKTYPE_NULL`: BSD loopback.
const NULL: u32 = 0;
/// `LINKTYPE_LINUX_SLL`: tcpdump's `any` interface.
const LINUX_SLL: u32 = 113;
/// `LINKTYPE_IPV4` and `LINKTYPE_IPV6`.
const IP: [u32; 2] = [228, 229];
