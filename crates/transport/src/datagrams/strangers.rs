use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use refpoint_wire::PacketType;

/// After so long its sender is about to repeat a packet, and whoever is served then is not served late.
const LONGEST: Duration = Duration::from_millis(100);

/// Beside which others a packet waits that is no record: by what it costs to see that it is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A Resume, or an answer to what this end has sent: a look-up or a MAC.
    Cheap,
    /// An Initiate that says by which key, or brings a cookie: a MAC, or a key schedule and an AEAD. What of these takes
    /// DHs has to share them with the next.
    Initiate,
    /// An Initiate that does neither: DHs, which is why the end point serves few of them.
    Hidden,
}

impl Lane {
    /// All, in the order in which they have their turns.
    pub(super) const ALL: [Self; 3] = [Self::Cheap, Self::Initiate, Self::Hidden];

    /// The bits of a type byte that tell the type, and what they are of an Initiate.
    pub(super) const TYPE: u8 = !0b111;
    pub(super) const INITIATE: u8 = PacketType::Initiate.byte(0);
    /// Where an Initiate says that it has neither a cookie nor a key id, by a zero.
    pub(super) const LENGTHS: usize = 3;

    /// So many get their turn before the socket is looked at again, all lanes together some half a millisecond. Who has to
    /// make a full handshake has most to lose.
    pub(super) const fn turn(self) -> usize {
        match self {
            Self::Cheap => 48,
            Self::Initiate => 64,
            Self::Hidden => 16,
        }
    }

    fn of(packet: &[u8]) -> Self {
        match packet.first() {
            Some(first) if first & Self::TYPE == Self::INITIATE => {
                match packet.get(Self::LENGTHS) {
                    Some(0) => Self::Hidden,
                    _ => Self::Initiate,
                }
            }
            _ => Self::Cheap,
        }
    }
}

/// Packets that are no records, in their order, until it is their turn.
///
/// Anybody can send them at no cost, so they wait while records are served, in a bounded place and for a bounded time.
/// Who finds it full is dropped, as is who has waited too long; both repeat. Who waits keeps its place, whatever comes
/// after. Each lane has a third of the place and its own turn, so that who has a handle does not wait behind a flood of
/// Initiates.
#[derive(Debug)]
pub(super) struct Strangers([Queue; Lane::ALL.len()]);

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Stranger>,
    bytes: usize,
    most: usize,
    counts: Counts,
}

/// How many ever had their turn, how many of these were not served after all, and how many never had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) turns: u64,
    pub(super) limited: u64,
    pub(super) dropped: u64,
}

#[derive(Debug)]
struct Stranger {
    since: Duration,
    from: SocketAddr,
    packet: Vec<u8>,
}

impl Strangers {
    /// None, and never more than so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self(Lane::ALL.map(|_| Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            most: most / Lane::ALL.len(),
            counts: Counts::default(),
        }))
    }

    pub(super) fn push(&mut self, now: Duration, from: SocketAddr, packet: &[u8]) {
        self.0[Lane::of(packet) as usize].push(now, from, packet);
    }

    pub(super) fn pop(&mut self, lane: Lane, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        self.0[lane as usize].pop(now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|queue| queue.waiting.is_empty())
    }

    /// So many that had their turn were not served after all.
    pub(super) fn were_limited(&mut self, lane: Lane, count: u64) {
        self.0[lane as usize].counts.limited += count;
    }

    /// Of each lane.
    pub(super) fn counts(&self) -> [Counts; Lane::ALL.len()] {
        Lane::ALL.map(|lane| self.0[lane as usize].counts)
    }
}

impl Queue {
    fn push(&mut self, now: Duration, from: SocketAddr, packet: &[u8]) {
        let cost = cost(packet);
        if self.bytes + cost > self.most {
            self.counts.dropped += 1;
            return;
        }
        self.bytes += cost;
        let packet = packet.to_vec();
        self.waiting.push_back(Stranger {
            since: now,
            from,
            packet,
        });
    }

    fn pop(&mut self, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        while let Some(stranger) = self.waiting.pop_front() {
            self.bytes -= cost(&stranger.packet);
            if now.saturating_sub(stranger.since) <= LONGEST {
                self.counts.turns += 1;
                return Some((stranger.from, stranger.packet));
            }
            self.counts.dropped += 1;
        }
        None
    }
}

/// What it takes to keep this: of very short packets, most is not the packet.
const fn cost(packet: &[u8]) -> usize {
    size_of::<Stranger>() + packet.len()
}

#[cfg(test)]
mod tests {
    use refpoint_keys::{KeyId, Profile, ReferencePoint};
    use refpoint_wire::{Cookie, Index, InitiateHeader, Suite, Terms};

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn served(strangers: &mut Strangers, lane: Lane, now: Duration) -> Vec<u16> {
        let all = core::iter::from_fn(|| strangers.pop(lane, now));
        all.map(|(from, _)| from.port()).collect()
    }

    #[test]
    fn who_waits_keeps_its_place_and_who_finds_none_is_counted() {
        let mut strangers = Strangers::new(3 * (3 * size_of::<Stranger>() + 25));
        for port in 1..=4 {
            strangers.push(NOW, from(port), &[0; 10]);
        }
        // What still fits beside those who wait, does; an empty packet is not for nothing.
        strangers.push(NOW, from(5), &[0; 5]);
        let first = strangers.pop(Lane::Cheap, NOW);
        assert_eq!(first, Some((from(1), vec![0; 10])));
        let counts = Counts {
            turns: 1,
            limited: 0,
            dropped: 2,
        };
        let others = Counts::default();
        assert_eq!(strangers.counts(), [counts, others, others]);
        strangers.push(NOW, from(6), &[0; 10]);
        strangers.push(NOW, from(7), &[]);
        assert_eq!(served(&mut strangers, Lane::Cheap, NOW), [2, 5, 6]);
        assert!(strangers.is_empty());
    }

    #[test]
    fn who_has_waited_until_its_sender_repeats_is_dropped() {
        let mut strangers = Strangers::new(1_000);
        strangers.push(NOW, from(1), &[0; 10]);
        strangers.push(NOW + Duration::from_millis(50), from(2), &[0; 10]);
        let later = NOW + Duration::from_millis(101);
        assert_eq!(served(&mut strangers, Lane::Cheap, later), [2]);
        let [cheap, ..] = strangers.counts();
        assert_eq!((cheap.turns, cheap.dropped), (1, 1));
    }

    #[test]
    fn each_lane_takes_its_own_place_only() {
        let mut strangers = Strangers::new(3 * 2 * (size_of::<Stranger>() + 10));
        for length in 0..=4 {
            let mut initiate = [PacketType::Initiate.byte(length); 10];
            strangers.push(NOW, from(1), &initiate);
            initiate[Lane::LENGTHS] = 0;
            strangers.push(NOW, from(2), &initiate);
        }
        // Too short to say anything.
        strangers.push(NOW, from(1), &[PacketType::Initiate.byte(4); 3]);
        for (port, other) in [(3, PacketType::Resume), (4, PacketType::Respond)] {
            strangers.push(NOW, from(port), &[other.byte(4); 10]);
        }
        assert_eq!(served(&mut strangers, Lane::Cheap, NOW), [3, 4]);
        assert_eq!(served(&mut strangers, Lane::Initiate, NOW), [1, 1]);
        assert_eq!(served(&mut strangers, Lane::Hidden, NOW), [2, 2]);
        assert_eq!(strangers.counts().map(|lane| lane.dropped), [0, 4, 3]);
    }

    /// What tells the lanes apart is where the specification has it.
    #[test]
    fn an_initiate_without_key_id_and_cookie_is_hidden() {
        let header = |profile, key_id, cookie| InitiateHeader {
            terms: Terms {
                profile,
                suite: Suite::ChaChaPoly,
                point: ReferencePoint::Y,
            },
            index: Some(Index::new(1, 4).expect("four bytes")),
            key_id,
            cookie,
        };
        let key_id = KeyId::new(&[1, 2]).expect("short");
        let cookie = Cookie([0; 16]);
        for (packet, lane) in [
            (header(Profile::Known, None, None), Lane::Hidden),
            (header(Profile::Known, None, Some(cookie)), Lane::Initiate),
            (header(Profile::Psk, Some(key_id), None), Lane::Initiate),
        ] {
            assert_eq!(Lane::of(&packet.encode()), lane, "{packet:?}");
        }
    }
}
