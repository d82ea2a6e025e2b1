//! Taps: an eavesdropper on the path, for the demo and for tests.
//!
//! A tap stands between a client and a server on loopback, passes everything on unchanged, writes it to a
//! capture and counts how often it sees a marker. The marker is also found where it lies across two TCP segments.

mod capture;
mod marker;
mod tcp;
mod udp;

use core::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use capture::Capture;
pub use marker::MarkerSearch;

/// A running tap; dropping it cuts the link.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tap {
    /// Taps the datagrams to and from `server`. Clients send to [`Tap::address`] instead.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn udp(server: SocketAddr, capture: Arc<Capture>) -> std::io::Result<Self> {
        let (address, running) = udp::tap(server, capture).await?;
        Ok(Self {
            address,
            task: tokio::spawn(running),
        })
    }

    /// Taps the connections to `server`. Clients connect to [`Tap::address`] instead.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn tcp(server: SocketAddr, capture: Arc<Capture>) -> std::io::Result<Self> {
        let (address, running) = tcp::tap(server, capture).await?;
        Ok(Self {
            address,
            task: tokio::spawn(running),
        })
    }

    /// Where clients of the tapped server go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A free port on the loopback address of `server`'s family.
fn loopback_of(server: SocketAddr) -> SocketAddr {
    let ip: core::net::IpAddr = if server.is_ipv4() {
        core::net::Ipv4Addr::LOCALHOST.into()
    } else {
        core::net::Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(ip, 0)
}
