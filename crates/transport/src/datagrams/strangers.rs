use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

/// After so long its sender is about to repeat a packet, and whoever is served then is not served late.
const LONGEST: Duration = Duration::from_millis(100);

/// Packets that are no records, in their order, until it is their turn.
///
/// Anybody can send them at no cost, so they wait while records are served, in a bounded place and for a bounded time.
/// Who finds it full is dropped, as is who has waited too long; both repeat. Who waits keeps its place, whatever comes
/// after.
#[derive(Debug)]
pub(super) struct Strangers {
    waiting: VecDeque<Stranger>,
    bytes: usize,
    most: usize,
    served: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Stranger {
    since: Duration,
    from: SocketAddr,
    packet: Vec<u8>,
}

impl Strangers {
    /// None, and never more than so many bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            most,
            served: 0,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, now: Duration, from: SocketAddr, packet: &[u8]) {
        let cost = cost(packet);
        if self.bytes + cost > self.most {
            self.dropped += 1;
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

    pub(super) fn pop(&mut self, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        while let Some(stranger) = self.waiting.pop_front() {
            self.bytes -= cost(&stranger.packet);
            if now.saturating_sub(stranger.since) <= LONGEST {
                self.served += 1;
                return Some((stranger.from, stranger.packet));
            }
            self.dropped += 1;
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many ever had their turn, and how many were dropped.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.served, self.dropped)
    }
}

/// What it takes to keep this: of very short packets, most is not the packet.
const fn cost(packet: &[u8]) -> usize {
    size_of::<Stranger>() + packet.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn served(strangers: &mut Strangers, now: Duration) -> Vec<u16> {
        let all = core::iter::from_fn(|| strangers.pop(now));
        all.map(|(from, _)| from.port()).collect()
    }

    #[test]
    fn who_waits_keeps_its_place_and_who_finds_none_is_counted() {
        let mut strangers = Strangers::new(3 * size_of::<Stranger>() + 25);
        for port in 1..=4 {
            strangers.push(NOW, from(port), &[0; 10]);
        }
        // What still fits beside those who wait, does; an empty packet is not for nothing.
        strangers.push(NOW, from(5), &[0; 5]);
        assert_eq!(strangers.pop(NOW), Some((from(1), vec![0; 10])));
        assert_eq!(strangers.counts(), (1, 2));
        strangers.push(NOW, from(6), &[0; 10]);
        strangers.push(NOW, from(7), &[]);
        assert_eq!(served(&mut strangers, NOW), [2, 5, 6]);
        assert!(strangers.is_empty());
    }

    #[test]
    fn who_has_waited_until_its_sender_repeats_is_dropped() {
        let mut strangers = Strangers::new(1_000);
        strangers.push(NOW, from(1), &[0; 10]);
        strangers.push(NOW + Duration::from_millis(50), from(2), &[0; 10]);
        assert_eq!(
            served(&mut strangers, NOW + Duration::from_millis(101)),
            [2]
        );
        assert_eq!(strangers.counts(), (1, 1));
    }
}
