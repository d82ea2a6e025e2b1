//! What the kernel has dropped, before anybody could read it.

use core::net::SocketAddrV4;
use std::fs;

use anyhow::Context as _;

/// Packets that were dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drops {
    /// At one socket, for whatever reason.
    at_socket: u64,
    /// Because a receive buffer was full: counted for all sockets together.
    full: u64,
}

impl Drops {
    pub(super) fn at(address: SocketAddrV4) -> anyhow::Result<Self> {
        let sockets = fs::read_to_string("/proc/net/udp")?;
        let ip = u32::from_ne_bytes(address.ip().octets());
        let name = format!("{ip:08X}:{:04X}", address.port());
        let at_socket = sockets.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            (fields.nth(1)? == name).then(|| fields.next_back()?.parse().ok())?
        });
        let counters = fs::read_to_string("/proc/net/snmp")?;
        let mut udp = counters.lines().filter(|line| line.starts_with("Udp:"));
        let names = udp.next().context("names")?.split_ascii_whitespace();
        let numbers = udp.next().context("numbers")?.split_ascii_whitespace();
        let full = names.zip(numbers).find(|(name, _)| *name == "RcvbufErrors");
        Ok(Self {
            at_socket: at_socket.context("the core's socket")?,
            full: full.context("Linux has it")?.1.parse()?,
        })
    }

    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            at_socket: self.at_socket - before.at_socket,
            full: self.full - before.full,
        }
    }

    /// Those that a receive buffer had no room for.
    pub(super) const fn full(self) -> u64 {
        self.full
    }

    /// Those that the socket's filter has dropped.
    pub(super) const fn filtered(self) -> u64 {
        self.at_socket.saturating_sub(self.full)
    }
}
