use core::time::Duration;

use refpoint_wire::RECORD;
use socket2::SockRef;

use super::strangers::{Counts, Lane};

/// How often it is set anew.
const PERIOD: Duration = Duration::from_millis(50);

/// So many strangers a [`PERIOD`] are a flood: five a millisecond, the time between two looks at the socket then.
const FLOOD: u64 = 250;

/// The smallest share, of 2^32, so that there is always some by which to see that a flood is over.
const LEAST: u32 = 1 << 20;

/// Of each lane's packets, of 2^32.
type Shares = [u32; Lane::ALL.len()];

const ALL_OF_THEM: Shares = [u32::MAX; Lane::ALL.len()];

/// Lets a share of the packets that are no records into the socket's queue, all of them or fewer.
///
/// The system drops what finds the queue full, record or not, and reading a packet costs about as much as dropping some
/// ten. So while more strangers come than get their turn, the surplus is dropped where it arrives, at random, and never
/// a record; of each lane its own surplus. On Linux; elsewhere, all come in.
#[derive(Debug)]
pub(super) struct Sieve {
    shares: Shares,
    next: Duration,
    /// What had been served and dropped when it was set last.
    seen: [Counts; Lane::ALL.len()],
    is_flooded: bool,
}

impl Default for Sieve {
    fn default() -> Self {
        Self {
            shares: ALL_OF_THEM,
            next: Duration::ZERO,
            seen: Default::default(),
            is_flooded: false,
        }
    }
}

impl Sieve {
    /// Looks how many strangers have had their turn and how many were dropped, and sets the socket's filter accordingly.
    pub(super) fn adjust(
        &mut self,
        now: Duration,
        counts: [Counts; Lane::ALL.len()],
        socket: &SockRef<'_>,
    ) {
        if now < self.next || (counts == self.seen && self.next_timeout().is_none()) {
            return;
        }
        self.next = now + PERIOD;
        let mut shares = self.shares;
        let mut strangers = 0;
        for ((share, counts), seen) in shares.iter_mut().zip(counts).zip(self.seen) {
            let dropped = counts.dropped - seen.dropped;
            let all = counts.turns - seen.turns + dropped;
            let surplus = counts.limited - seen.limited + dropped;
            *share = next_share(*share, all, surplus.min(all));
            strangers += all;
        }
        self.seen = counts;
        self.is_flooded = strangers >= FLOOD;
        if shares != self.shares {
            self.shares = shares;
            if let Err(error) = set(socket, shares) {
                tracing::debug!(%error, "strangers are not sifted by the system");
            }
        }
    }

    /// When it wants to be set anew although nothing may come.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        (self.is_flooded || self.shares != ALL_OF_THEM).then_some(self.next)
    }

    /// Whether so many strangers have come that it costs less to look at the socket now and then than to be woken.
    pub(super) const fn is_flooded(&self) -> bool {
        self.is_flooded
    }
}

/// Some fewer, when not all were served, and some more, when all were: how much can be served changes from one period to
/// the next, and what was not let in can be served in none.
fn next_share(share: u32, all: u64, surplus: u64) -> u32 {
    let share = u64::from(share);
    let next = match surplus {
        0 => share + share / 4,
        _ => share - share * surplus / all / 2,
    };
    u32::try_from(next).unwrap_or(u32::MAX).max(LEAST)
}

/// A classic BPF program over the UDP header and what follows: a record, by its first byte, or a random number below the
/// share of its lane.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(socket: &SockRef<'_>, shares: Shares) -> std::io::Result<()> {
    use socket2::SockFilter;
    const HEADER: u32 = 8;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_WORD: u16 = 0x20;
    const AND: u16 = 0x54;
    const IF_EQUAL: u16 = 0x15;
    const IF_ANY_BIT: u16 = 0x45;
    const IF_NOT_BELOW: u16 = 0x35;
    const RETURN: u16 = 0x06;
    /// Linux's place of a random number (`SKF_AD_OFF + SKF_AD_RANDOM`).
    const RANDOM: u32 = 0xffff_f038;
    if shares == ALL_OF_THEM {
        return socket.detach_filter();
    }
    let [cheap, initiate, hidden] = shares;
    // Behind a condition: how many instructions are passed over when it holds, and when it does not.
    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, HEADER),
        SockFilter::new(IF_ANY_BIT, 10, 0, RECORD.into()),
        SockFilter::new(AND, 0, 0, Lane::TYPE.into()),
        SockFilter::new(IF_EQUAL, 2, 0, Lane::INITIATE.into()),
        SockFilter::new(LOAD_WORD, 0, 0, RANDOM),
        SockFilter::new(IF_NOT_BELOW, 7, 6, cheap),
        SockFilter::new(LOAD_BYTE, 0, 0, HEADER + Lane::LENGTHS as u32),
        SockFilter::new(IF_EQUAL, 2, 0, 0),
        SockFilter::new(LOAD_WORD, 0, 0, RANDOM),
        SockFilter::new(IF_NOT_BELOW, 3, 2, initiate),
        SockFilter::new(LOAD_WORD, 0, 0, RANDOM),
        SockFilter::new(IF_NOT_BELOW, 1, 0, hidden),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(_: &SockRef<'_>, _: Shares) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use refpoint_wire::PacketType;

    use super::*;

    #[test]
    fn the_share_follows_what_is_served_and_comes_back_within_two_seconds() {
        let most = next_share(u32::MAX, 1_000, 500);
        assert!(most.abs_diff(u32::MAX / 4 * 3) < 8, "{most}");
        assert_eq!(next_share(LEAST + 1, 1_000_000, 1_000_000), LEAST);
        let mut share = LEAST;
        let mut periods = 0;
        while share < u32::MAX {
            share = next_share(share, 10, 0);
            periods += 1;
        }
        assert!(PERIOD * periods < Duration::from_secs(2), "{periods}");
    }

    #[test]
    fn many_strangers_are_a_flood_until_they_cease() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let mut sieve = Sieve::default();
        let mut adjust = |periods, turns| {
            let mut counts = [Counts::default(); Lane::ALL.len()];
            counts[Lane::Cheap as usize].turns = turns;
            sieve.adjust(PERIOD * periods, counts, &SockRef::from(&socket));
            (sieve.is_flooded(), sieve.next_timeout().is_some())
        };
        assert_eq!(adjust(1, FLOOD - 1), (false, false));
        assert_eq!(adjust(2, 2 * FLOOD), (true, true));
        assert_eq!(adjust(3, 3 * FLOOD), (true, true));
        assert_eq!(adjust(4, 3 * FLOOD), (false, false));
    }

    #[test]
    fn of_a_lane_that_the_end_point_limits_fewer_come_and_of_no_other() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let mut sieve = Sieve::default();
        let counts = Lane::ALL.map(|lane| Counts {
            turns: 100,
            limited: if lane == Lane::Hidden { 90 } else { 0 },
            dropped: 0,
        });
        sieve.adjust(PERIOD, counts, &SockRef::from(&socket));
        let [cheap, initiate, hidden] = sieve.shares;
        assert_eq!([cheap, initiate], [u32::MAX; 2]);
        assert_eq!(hidden, next_share(u32::MAX, 100, 90));
        assert!(hidden < u32::MAX / 5 * 3, "{hidden}");
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_system_drops_strangers_and_never_a_record() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let bind = || std::net::UdpSocket::bind(at).expect("loopback");
            let (socket, other) = (bind(), bind());
            socket.set_nonblocking(true).expect("a socket");
            let to = socket.local_addr().expect("bound");
            let arrive = |shares: Shares, packet: &[u8]| {
                set(&SockRef::from(&socket), shares).expect("allowed to everybody");
                for _ in 0..64 {
                    other.send_to(packet, to).expect("loopback");
                }
                let mut buffer = [0; 16];
                core::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
            };
            let packet = |packet: PacketType, lengths| [packet.byte(4), 1, 0x40, lengths, 5];
            let lanes = [
                packet(PacketType::Resume, 12),
                packet(PacketType::Initiate, 4),
                packet(PacketType::Initiate, 0),
            ];
            assert_eq!(arrive([LEAST; 3], &[RECORD | 0x10, 1, 2]), 64);
            for (lane, packet) in lanes.iter().enumerate() {
                let mut shares = [LEAST; 3];
                shares[lane] = u32::MAX;
                assert_eq!(arrive(shares, packet), 64, "{lane}");
                shares = ALL_OF_THEM;
                shares[lane] = LEAST;
                assert!(arrive(shares, packet) < 8, "{lane}");
                shares[lane] = u32::MAX / 2;
                assert!((8..56).contains(&arrive(shares, packet)), "{lane}");
                assert_eq!(arrive(ALL_OF_THEM, packet), 64);
            }
        }
    }
}
