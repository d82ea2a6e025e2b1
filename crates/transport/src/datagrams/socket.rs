use core::future::pending;
use core::net::SocketAddr;
use std::io;

use socket2::SockRef;
use tokio::net::UdpSocket;

/// The driver's socket: watched by the runtime, or looked at when its owner is awake.
///
/// To be woken by a packet costs more than most packets do. So while many strangers come, the driver wakes by its own
/// timer, and deals with all that have come since.
#[derive(Debug)]
pub(super) struct Socket {
    inner: std::net::UdpSocket,
    /// The same one, as long as the runtime watches it.
    watched: Option<UdpSocket>,
}

impl Socket {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let mut socket = Self {
            inner: socket.into_std()?,
            watched: None,
        };
        socket.watched = Some(socket.watched()?);
        Ok(socket)
    }

    fn watched(&self) -> io::Result<UdpSocket> {
        UdpSocket::from_std(self.inner.try_clone()?)
    }

    /// Whether the runtime watches it from now on.
    pub(super) fn watch(&mut self, is_watched: bool) {
        if !is_watched {
            self.watched = None;
        } else if self.watched.is_none() {
            match self.watched() {
                Ok(watched) => self.watched = Some(watched),
                // It is looked at as before, and asked for again.
                Err(error) => tracing::debug!(%error, "the socket is not watched"),
            }
        }
    }

    pub(super) const fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// Packets may have come; never, while it is not watched.
    pub(super) async fn readable(&self) {
        match &self.watched {
            Some(watched) => drop(watched.readable().await),
            None => pending().await,
        }
    }

    /// Packets can be sent; never, while it is not watched.
    pub(super) async fn writable(&self) {
        match &self.watched {
            Some(watched) => drop(watched.writable().await),
            None => pending().await,
        }
    }

    pub(super) fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match &self.watched {
            Some(watched) => watched.try_recv_from(buffer),
            None => self.inner.recv_from(buffer),
        }
    }

    pub(super) fn try_send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<usize> {
        match &self.watched {
            Some(watched) => watched.try_send_to(packet, to),
            None => self.inner.send_to(packet, to),
        }
    }

    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.inner)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_comes_while_it_is_not_watched_is_there_and_wakes_when_it_is_again() {
        let bound = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let to = bound.local_addr().expect("bound");
        let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let mut socket = Socket::new(bound).expect("a socket");
        let mut buffer = [0; 8];
        socket.watch(false);
        assert!(!socket.is_watched());
        let woken = tokio::time::timeout(Duration::from_millis(20), socket.readable());
        assert!(woken.await.is_err(), "nobody watches");
        other.send_to(&[1], to).expect("loopback");
        assert_eq!(socket.try_recv_from(&mut buffer).expect("is there").0, 1);
        let nothing = socket.try_recv_from(&mut buffer);
        assert!(nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        let from = other.local_addr().expect("bound");
        assert_eq!(socket.try_send_to(&[2, 3], from).expect("is sent"), 2);

        other.send_to(&[4, 5], to).expect("loopback");
        socket.watch(true);
        let woken = tokio::time::timeout(Duration::from_secs(20), socket.readable());
        woken.await.expect("what came before wakes, too");
        assert_eq!(socket.try_recv_from(&mut buffer).expect("is there").0, 2);
    }
}
