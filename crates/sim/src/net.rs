//! The network: addresses, links, an adversary and the time.

use core::cmp::Reverse;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap};
use std::thread;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use crate::{Adversary, Entropy, Injector, Link, Packet, Tally, Verdict};

/// Alarms at one instant that can only mean a timer which does not move on.
const STUCK: u32 = 10_000;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet arrives at its address.
    Arrival(Packet),
    /// The alarm's time has come.
    Alarm,
    /// Nothing is under way and no alarm is set: time stands still until something is sent.
    Quiet,
}

/// A network in virtual time, which starts at zero.
///
/// Its links are perfect unless told otherwise. When a thread panics while it holds a `Net`, the
/// seed is printed, so that the run can be repeated.
pub struct Net {
    seed: u64,
    now: Duration,
    rng: ChaCha8Rng,
    link: Link,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    adversary: Option<Box<dyn Adversary>>,
    under_way: BinaryHeap<Reverse<Flight>>,
    started: u64,
    tally: Tally,
    capture: Option<Vec<(Duration, Packet)>>,
    alarms_in_a_row: u32,
}

/// A packet under way; the earlier arrival first, then the earlier start.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Duration,
    start: u64,
    packet: Packet,
}

impl Net {
    /// A network in which every direction is `link`.
    #[must_use]
    pub fn new(seed: u64, link: Link) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            link,
            links: BTreeMap::new(),
            adversary: None,
            under_way: BinaryHeap::new(),
            started: 0,
            tally: Tally::default(),
            capture: None,
            alarms_in_a_row: 0,
        }
    }

    /// The virtual time, from the network's start.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Randomness for the end point `name`, repeatable and independent of the network's.
    #[must_use]
    pub fn entropy(&self, name: &str) -> Entropy {
        Entropy::new(self.seed, name)
    }

    /// Makes every direction `link`, from now on, except those that have a link of their own.
    pub fn set_default_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Makes the direction from `from` to `to` a `link` of its own, from now on.
    pub fn set_link(&mut self, from: SocketAddr, to: SocketAddr, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Puts `adversary` on every path, in place of the one before.
    pub fn set_adversary(&mut self, adversary: impl Adversary + 'static) {
        self.adversary = Some(Box::new(adversary));
    }

    /// Takes the adversary off.
    pub fn remove_adversary(&mut self) {
        self.adversary = None;
    }

    /// Keeps a copy of everything that is sent from now on, for [`captured`](Self::captured).
    pub fn start_capture(&mut self) {
        self.capture.get_or_insert_default();
    }

    /// What an eavesdropper has: every packet sent since the capture started, and when.
    ///
    /// Packets are as their senders made them; the adversary's own are not among them.
    #[must_use]
    pub fn captured(&self) -> &[(Duration, Packet)] {
        self.capture.as_deref().unwrap_or_default()
    }

    /// Where the packets went so far.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Sends `data` now.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let mut packet = Packet::new(from, to, data);
        self.tally.sent += 1;
        if let Some(capture) = &mut self.capture {
            capture.push((self.now, packet.clone()));
        }
        if let Some(adversary) = &mut self.adversary {
            let mut injector = Injector::default();
            let verdict = adversary.intercept(self.now, &packet, &mut injector);
            for (delay, injected) in injector.into_packets() {
                self.inject(delay, injected);
            }
            match verdict {
                Verdict::Pass => {}
                Verdict::Drop => {
                    self.tally.dropped += 1;
                    return;
                }
                Verdict::Replace(data) => {
                    self.tally.replaced += 1;
                    packet.data = data;
                }
            }
        }
        let link = self.links.get(&(from, to)).unwrap_or(&self.link);
        for (at, data) in link.carry(self.now, packet.data, &mut self.rng, &mut self.tally) {
            self.start(at, Packet { from, to, data });
        }
    }

    /// Lets `packet` arrive after `delay`, past the adversary and without loss.
    pub fn inject(&mut self, delay: Duration, packet: Packet) {
        self.tally.injected += 1;
        self.start(self.now + delay, packet);
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse(flight)| flight.at)
    }

    /// Moves the time on to the next arrival or to `alarm`, whichever is earlier, and says which.
    ///
    /// An arrival comes before an alarm of the same time. An alarm in the past rings now.
    ///
    /// # Panics
    ///
    /// When the alarm rings ten thousand times in a row at the same instant: the timer under test
    /// does not move on.
    pub fn next_event(&mut self, alarm: Option<Duration>) -> Event {
        match (self.next_arrival(), alarm) {
            (Some(arrival), alarm) if alarm.is_none_or(|alarm| arrival <= alarm) => {
                self.alarms_in_a_row = 0;
                self.advance_to(arrival);
                self.deliver()
            }
            (_, Some(alarm)) => {
                self.alarms_in_a_row = if alarm > self.now {
                    0
                } else {
                    self.alarms_in_a_row + 1
                };
                assert!(
                    self.alarms_in_a_row < STUCK,
                    "the alarm stays at {alarm:?} and rings for ever at {:?}: move the timer on",
                    self.now
                );
                self.advance_to(alarm);
                Event::Alarm
            }
            (_, None) => Event::Quiet,
        }
    }

    /// Every arrival until nothing is under way, and when.
    pub fn drain(&mut self) -> Vec<(Duration, Packet)> {
        let mut arrivals = Vec::new();
        while let Event::Arrival(packet) = self.next_event(None) {
            arrivals.push((self.now, packet));
        }
        arrivals
    }

    /// Moves the time on to `at`; what should have arrived meanwhile arrives at the next event.
    ///
    /// A time in the past changes nothing.
    pub fn advance_to(&mut self, at: Duration) {
        self.now = self.now.max(at);
    }

    fn start(&mut self, at: Duration, packet: Packet) {
        let start = self.started;
        self.started += 1;
        self.under_way.push(Reverse(Flight { at, start, packet }));
    }

    fn deliver(&mut self) -> Event {
        match self.under_way.pop() {
            Some(Reverse(flight)) => {
                self.tally.delivered += 1;
                Event::Arrival(flight.packet)
            }
            None => Event::Quiet,
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "the network's seed was {} (at {:?}, {:?})",
                self.seed, self.now, self.tally
            );
        }
    }
}
