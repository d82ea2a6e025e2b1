//! The ports of one run.
//!
//! A CSE and a node are told their ports before they start, so each port is free for a while between being chosen and
//! being listened at. If it were merely released in the meantime, the next choice could be the same one, or another
//! program could get it: of 20 000 choices of fourteen ports, 278 had one twice. So every port stays bound, by a socket
//! that never listens, until the run is over:
//!
//! * it is bound without `SO_REUSEADDR`, so the kernel refuses a port that anybody has, another run of this test
//!   included, and never picks it for somebody who asks for any port;
//! * `SO_REUSEADDR` is set afterwards: a server that sets it too, as `std`, tokio and ACME's do, may listen there.

use core::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

/// Ports that nobody but this run gets.
#[derive(Debug, Default)]
pub(super) struct Ports(Vec<Socket>);

impl Ports {
    /// An address on the loopback interface, kept for whoever is to listen there.
    pub(super) fn reserve(&mut self) -> anyhow::Result<SocketAddr> {
        let kept = || -> std::io::Result<(Socket, Option<SocketAddr>)> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            socket.set_reuse_address(true)?;
            let address = socket.local_addr()?.as_socket();
            Ok((socket, address))
        };
        let (socket, address) = kept().context("cannot bind a port of the loopback interface")?;
        self.0.push(socket);
        address.context("a socket of IPv4 has another address")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_each_can_be_listened_at() {
        let (mut ports, mut others) = (Ports::default(), Vec::new());
        let mut seen = BTreeSet::new();
        for _ in 0..2000 {
            let address = ports.reserve().expect("a port");
            assert!(seen.insert(address.port()), "{address} twice");
            let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let port = other.local_addr().expect("an address").port();
            assert!(seen.insert(port), "{port} is reserved");
            others.push(other);
            TcpListener::bind(address).expect("whoever was promised it gets it");
        }
    }
}
