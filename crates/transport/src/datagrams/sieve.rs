use core::time::Duration;

use refpoint_wire::RECORD;
use socket2::SockRef;
use tokio::net::UdpSocket;

/// How often it is set anew.
const PERIOD: Duration = Duration::from_millis(50);

/// The smallest share, of 2^32, so that there is always some by which to see that a flood is over.
const LEAST: u32 = 1 << 20;

/// Lets a share of the packets that are no records into the socket's queue, all of them or fewer.
///
/// The system drops what finds the queue full, record or not, and reading a packet costs about as much as dropping some
/// ten. So while more strangers come than get their turn, the surplus is dropped where it arrives, at random, and never
/// a record. On Linux; elsewhere, all come in.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Of 2^32.
    share: u32,
    next: Duration,
    /// What had been served and dropped when it was set last.
    seen: (u64, u64),
}

impl Default for Sieve {
    fn default() -> Self {
        Self {
            share: u32::MAX,
            next: Duration::ZERO,
            seen: (0, 0),
        }
    }
}

impl Sieve {
    /// Looks how many strangers have had their turn and how many were dropped, and sets the socket's filter accordingly.
    pub(super) fn adjust(&mut self, now: Duration, counts: (u64, u64), socket: &UdpSocket) {
        if now < self.next || (counts == self.seen && self.share == u32::MAX) {
            return;
        }
        self.next = now + PERIOD;
        let (served, dropped) = (counts.0 - self.seen.0, counts.1 - self.seen.1);
        self.seen = counts;
        let share = next_share(self.share, served, dropped);
        if share != self.share {
            self.share = share;
            if let Err(error) = set(&SockRef::from(socket), share) {
                tracing::debug!(%error, "strangers are not sifted by the system");
            }
        }
    }

    /// When it wants to be set anew although nothing may come.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        (self.share < u32::MAX).then_some(self.next)
    }
}

/// What would just have been served; half as much more, when all were.
fn next_share(share: u32, served: u64, dropped: u64) -> u32 {
    let share = u64::from(share);
    let next = match dropped {
        0 => share + share / 2,
        _ => share * served / (served + dropped),
    };
    u32::try_from(next).unwrap_or(u32::MAX).max(LEAST)
}

/// A classic BPF program over the UDP header and what follows: a record, by its first byte, or a random number below the
/// share.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(socket: &SockRef<'_>, share: u32) -> std::io::Result<()> {
    use socket2::SockFilter;
    const HEADER: u32 = 8;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_WORD: u16 = 0x20;
    const IF_ANY_BIT: u16 = 0x45;
    const IF_NOT_BELOW: u16 = 0x35;
    const RETURN: u16 = 0x06;
    /// Linux's place of a random number (`SKF_AD_OFF + SKF_AD_RANDOM`).
    const RANDOM: u32 = 0xffff_f038;
    if share == u32::MAX {
        return socket.detach_filter();
    }
    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, HEADER),
        SockFilter::new(IF_ANY_BIT, 2, 0, RECORD.into()),
        SockFilter::new(LOAD_WORD, 0, 0, RANDOM),
        SockFilter::new(IF_NOT_BELOW, 1, 0, share),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(_: &SockRef<'_>, _: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_follows_what_is_served_and_comes_back_within_two_seconds() {
        let half = next_share(u32::MAX, 500, 500);
        assert!(half.abs_diff(u32::MAX / 2) < 2, "{half}");
        assert_eq!(next_share(half, 0, 1_000_000), LEAST);
        let mut share = LEAST;
        let mut periods = 0;
        while share < u32::MAX {
            share = next_share(share, 10, 0);
            periods += 1;
        }
        assert!(PERIOD * periods < Duration::from_secs(2), "{periods}");
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_system_drops_strangers_and_never_a_record() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let bind = || std::net::UdpSocket::bind(at).expect("loopback");
            let (socket, other) = (bind(), bind());
            socket.set_nonblocking(true).expect("a socket");
            let to = socket.local_addr().expect("bound");
            let arrive = |share: u32, first: u8| {
                set(&SockRef::from(&socket), share).expect("allowed to everybody");
                for _ in 0..64 {
                    other.send_to(&[first, 1, 2], to).expect("loopback");
                }
                let mut buffer = [0; 16];
                core::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
            };
            assert_eq!(arrive(LEAST, RECORD | 0x10), 64);
            assert!(arrive(LEAST, 0x0c) < 8);
            assert!((8..56).contains(&arrive(u32::MAX / 2, 0x0c)));
            assert_eq!(arrive(u32::MAX, 0x0c), 64);
        }
    }
}
