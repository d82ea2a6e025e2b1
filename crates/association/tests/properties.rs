//! Random schedules against a naive model: two end points whose network loses, repeats and delays,
//! whose clocks run apart by up to a tenth, that sleep, reboot, roam, close and renew.
//!
//! Whatever happens: a payload is delivered at most once and only if the peer sent it, no record
//! reuses a sequence under its key, timers move on, state is bounded. And once the network is well
//! again, a request and its response come through, and both ends agree on the epochs.

#[path = "support/support.rs"]
mod support;

use core::{net::SocketAddr, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use refpoint_association::{
    AssociationId, CloseReason, Config, Credential, CredentialId, Endpoint, Error, Event, Local,
    Now, Outbox, Policy, SessionLabel,
};
use refpoint_keys::{Profile, ReferencePoint, UtcTime};
use refpoint_sim::Entropy;
use refpoint_wire::Packet;
use support::{Setting, table};

const LIMIT: usize = 24;
const LIFETIME: u64 = 1_000;
const START: u64 = 1_800_000_000;
/// True milliseconds for which no index is used again: 20 s of a clock that may run fast.
const REST: u64 = 18_000;

#[derive(Clone, Debug)]
enum Step {
    Connect(usize),
    Send(usize),
    Renew(usize),
    Suspect(usize),
    Close(usize),
    Reboot(usize),
    Roam(usize),
    /// Both go on for so many milliseconds.
    Run(u32),
    /// Both sleep for so many seconds; nothing is handled meanwhile.
    Sleep(u16),
    /// Losses and repetitions in percent, and up to so many milliseconds on the way.
    Link(u8, u8, u16),
    /// Somebody sends an earlier packet again, flipped where the number says so.
    Replay(u16, Option<u16>),
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2_usize;
    prop_oneof![
        4 => side.clone().prop_map(Step::Connect),
        8 => side.clone().prop_map(Step::Send),
        2 => side.clone().prop_map(Step::Renew),
        1 => side.clone().prop_map(Step::Suspect),
        1 => side.clone().prop_map(Step::Close),
        1 => side.clone().prop_map(Step::Reboot),
        1 => side.prop_map(Step::Roam),
        8 => (1..3_000_u32).prop_map(Step::Run),
        1 => (3_000..200_000_u32).prop_map(Step::Run),
        1 => (1..400_u16).prop_map(Step::Sleep),
        2 => (0..60_u8, 0..40_u8, 0..800_u16).prop_map(|(a, b, c)| Step::Link(a, b, c)),
        2 => (any::<u16>(), proptest::option::of(any::<u16>())).prop_map(|(a, b)| Step::Replay(a, b)),
    ]
}

#[derive(Clone)]
struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

/// What one end has put out and told since it was last looked at, and what holds of it.
#[derive(Default)]
struct Log {
    sent: Vec<(SocketAddr, Vec<u8>)>,
    received: Vec<(AssociationId, u64)>,
    known: BTreeSet<AssociationId>,
    closed: BTreeSet<AssociationId>,
    usable: Vec<AssociationId>,
    peer: String,
}

impl Outbox for Log {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        self.sent.push((to, packet.to_vec()));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, peer, .. } => {
                assert_eq!(peer.entity().as_str(), self.peer);
                assert!(self.known.insert(id), "established twice");
                self.usable.push(id);
            }
            Event::Received { id, data } => {
                assert!(self.known.contains(&id), "before it was established");
                assert!(!self.closed.contains(&id), "after it was closed");
                let number = data.try_into().expect("only numbers are sent");
                self.received.push((id, u64::from_be_bytes(number)));
            }
            Event::Replaced { old, new } => {
                assert!(self.known.contains(&new));
                self.usable.retain(|id| *id != old);
            }
            Event::Closed { id, .. } => {
                assert!(self.known.contains(&id), "closed, and never established");
                assert!(self.closed.insert(id), "closed twice");
                self.usable.retain(|usable| *usable != id);
            }
            _ => {}
        }
    }
}

struct Side {
    endpoint: Endpoint,
    credential: CredentialId,
    rng: Entropy,
    log: Log,
    address: SocketAddr,
    /// Thousandths of true time that its clock takes for one.
    rate: u64,
    life: u32,
}

impl Side {
    fn new((local, credential): (Local, Credential), rate: u64, address: SocketAddr) -> Self {
        let mut rng = Entropy::new(rate, local.entity().as_str());
        let peer = credential.peer().to_string();
        let (credentials, credential) = table(credential);
        let config = Config::default().with_half_open(16);
        let config = config.with_associations(LIMIT).expect("valid");
        Self {
            endpoint: Endpoint::new(config, local, credentials, &mut rng),
            credential,
            rng,
            log: Log {
                peer,
                ..Log::default()
            },
            address,
            rate,
            life: 0,
        }
    }

    /// Its monotonic milliseconds; wall-clock time is true everywhere.
    fn now(&self, true_millis: u64) -> Now {
        Now::new(
            Duration::from_millis(5_000 + true_millis * self.rate / 1_000),
            UtcTime::from_secs(START + true_millis / 1_000),
        )
    }

    /// When its timer rings, in true milliseconds, not before `now`.
    fn alarm(&self, now: u64) -> Option<u64> {
        let at = self.endpoint.next_timeout()?.as_millis() as u64;
        Some(
            (at.saturating_sub(5_000) * 1_000)
                .div_ceil(self.rate)
                .max(now),
        )
    }
}

struct World {
    sides: [Side; 2],
    flights: BTreeMap<(u64, u64), Flight>,
    captured: Vec<Flight>,
    millis: u64,
    count: u64,
    link: (u8, u8, u16),
    dice: Dice,
    /// The last sequences, by sender, its life and the index: one for each life of the receiver.
    sequences: BTreeMap<(usize, u32, u32), Vec<Last>>,
    records: BTreeSet<Vec<u8>>,
    expected: [BTreeSet<u64>; 2],
    numbers: u64,
    initiators: [bool; 2],
    setting: Setting,
}

/// The last sequence of a direction, in a life of the receiver, and when it was sent.
struct Last {
    life: u32,
    sequence: u64,
    at: u64,
}

/// Xorshift: the network's luck.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 7000))
}

impl World {
    fn new(profile: Profile, both: bool, rates: [u64; 2], seed: u64) -> Self {
        let policy = Policy::default()
            .with_lifetime(Duration::from_secs(LIFETIME))
            .and_then(|policy| policy.with_ratchet(Some(Duration::from_secs(20))))
            .expect("valid");
        let setting = Setting {
            profile,
            policy,
            point: ReferencePoint::Y,
            ..Setting::default()
        };
        let (local, credential) = setting.initiator();
        let first = (local, credential.with_initiators(true, both));
        let (local, credential) = setting.responder();
        let second = (local, credential.with_initiators(both, true));
        Self {
            sides: [
                Side::new(first, rates[0], address(1)),
                Side::new(second, rates[1], address(2)),
            ],
            flights: BTreeMap::new(),
            captured: Vec::new(),
            millis: 0,
            count: 0,
            link: (0, 0, 20),
            dice: Dice(seed | 1),
            sequences: BTreeMap::new(),
            records: BTreeSet::new(),
            expected: [BTreeSet::new(), BTreeSet::new()],
            numbers: 0,
            initiators: [true, both],
            setting,
        }
    }

    fn call<T>(
        &mut self,
        side: usize,
        call: impl FnOnce(&mut Endpoint, Now, &mut Entropy, &mut Log) -> T,
    ) -> T {
        let now = self.sides[side].now(self.millis);
        let Side {
            endpoint, rng, log, ..
        } = &mut self.sides[side];
        let result = call(endpoint, now, rng, log);
        assert!(endpoint.len() <= LIMIT, "state is bounded");
        let from = self.sides[side].address;
        for (to, data) in core::mem::take(&mut self.sides[side].log.sent) {
            self.check(side, &data);
            self.captured.push(Flight {
                from,
                to,
                data: data.clone(),
            });
            let copies = match self.dice.below(100) as u8 {
                luck if luck < self.link.0 => 0,
                _ if (self.dice.below(100) as u8) < self.link.1 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let delay = 1 + self.dice.below(u64::from(self.link.2) + 1);
                self.fly(delay, from, to, data.clone());
            }
        }
        for (_, number) in core::mem::take(&mut self.sides[side].log.received) {
            let was_expected = self.expected[side].remove(&number);
            assert!(was_expected, "{number} was not sent, or came before");
        }
        result
    }

    fn fly(&mut self, delay: u64, from: SocketAddr, to: SocketAddr, data: Vec<u8>) {
        self.count += 1;
        let at = (self.millis + delay, self.count);
        self.flights.insert(at, Flight { from, to, data });
    }

    /// No sequence is used twice under one key, and no record is sent twice.
    fn check(&mut self, side: usize, packet: &[u8]) {
        let Ok(Packet::Record(record)) = Packet::parse(packet) else {
            return;
        };
        assert!(self.records.insert(packet.to_vec()), "a record repeated");
        let (low, bits) = record.truncated();
        let key = (side, self.sides[side].life, record.index().value());
        let other = self.sides[1 - side].life;
        let streams = self.sequences.entry(key).or_default();
        // By chance an end may choose an index again: after a reboot, or when its slot has rested.
        let window = 1_u64 << bits;
        let step = |last: u64| u64::from(low).wrapping_sub(last) % window;
        let forward = streams
            .iter_mut()
            .find(|last| (1..window / 2).contains(&step(last.sequence)));
        let at = self.millis;
        let Some(last) = forward else {
            let recent = |last: &Last| last.life == other && at < last.at + REST;
            let known = streams.iter().any(recent);
            assert!(!known, "a sequence used twice, or going back");
            assert_eq!((low, bits), (0, 32), "the first record of a direction");
            streams.retain(|last| last.life != other);
            let (life, sequence) = (other, 0);
            return streams.push(Last { life, sequence, at });
        };
        (last.sequence, last.at) = (last.sequence + step(last.sequence), at);
    }

    fn run(&mut self, span: u64) {
        let until = self.millis + span;
        loop {
            let flight = self.flights.keys().next().map(|(at, _)| *at);
            let alarms = self.sides.iter().filter_map(|side| side.alarm(self.millis));
            let next = alarms.chain(flight).min().unwrap_or(u64::MAX);
            if next > until {
                self.millis = until;
                return;
            }
            self.millis = next.max(self.millis);
            self.ring();
            while let Some(entry) = self.flights.first_entry() {
                if entry.key().0 > self.millis {
                    break;
                }
                let flight = entry.remove();
                self.deliver(flight);
            }
        }
    }

    fn deliver(&mut self, mut flight: Flight) {
        let Some(side) = self.sides.iter().position(|side| side.address == flight.to) else {
            return;
        };
        self.call(side, |endpoint, now, rng, out| {
            endpoint.receive(now, rng, flight.from, &mut flight.data, out);
        });
    }

    /// Handles the timers that are due; each moves on.
    fn ring(&mut self) {
        for side in 0..2 {
            let now = self.sides[side].now(self.millis).monotonic;
            if self.sides[side]
                .endpoint
                .next_timeout()
                .is_some_and(|at| at <= now)
            {
                self.call(side, |endpoint, now, rng, out| {
                    endpoint.handle_timeout(now, rng, out);
                });
                let next = self.sides[side].endpoint.next_timeout();
                assert!(next.is_none_or(|at| at > now), "a timer stays at {next:?}");
            }
        }
    }

    fn connect(&mut self, side: usize) {
        let (to, credential) = (self.sides[1 - side].address, self.sides[side].credential);
        let allowed = self.initiators[side];
        self.call(side, |endpoint, now, rng, out| {
            let label = SessionLabel::default();
            let attempt = endpoint.connect(now, rng, to, credential, label, out);
            match attempt {
                Ok(_) => assert!(allowed),
                Err(Error::Full(_)) => {}
                Err(error) => assert!(!allowed, "{error}"),
            }
        });
    }

    /// Sends a number on an association; gives the number.
    fn send_on(&mut self, side: usize, id: AssociationId) -> Option<u64> {
        self.numbers += 1;
        let number = self.numbers;
        // Expected before it is sent: it may arrive within the call's own millisecond.
        self.expected[1 - side].insert(number);
        let sent = self.call(side, |endpoint, now, _, out| {
            endpoint.send(now, id, &number.to_be_bytes(), out)
        });
        if sent.is_err() {
            self.expected[1 - side].remove(&number);
        }
        sent.is_ok().then_some(number)
    }

    fn with_newest(
        &mut self,
        side: usize,
        call: impl FnOnce(&mut Endpoint, Now, &mut Entropy, AssociationId, &mut Log),
    ) {
        if let Some(id) = self.sides[side].log.usable.last().copied() {
            self.call(side, |endpoint, now, rng, out| {
                call(endpoint, now, rng, id, out);
            });
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Connect(side) => self.connect(side),
            Step::Send(side) => {
                if let Some(id) = self.sides[side].log.usable.last().copied() {
                    self.send_on(side, id);
                }
            }
            Step::Renew(side) => self.with_newest(side, |endpoint, now, rng, id, out| {
                let _ = endpoint.renew(now, rng, id, out);
            }),
            Step::Suspect(side) => self.with_newest(side, |endpoint, now, rng, id, out| {
                endpoint.suspect(now, rng, id, out).expect("it is usable");
            }),
            Step::Close(side) => self.with_newest(side, |endpoint, now, _, id, out| {
                endpoint
                    .close(now, id, CloseReason::Done, out)
                    .expect("it is usable");
                out.usable.retain(|usable| *usable != id);
                out.closed.insert(id);
            }),
            Step::Reboot(side) => self.reboot(side),
            Step::Roam(side) => {
                let last = 10 + self.dice.below(200) as u8;
                self.sides[side].address = address(last / 2 * 2 + side as u8);
            }
            Step::Run(millis) => self.run(millis.into()),
            Step::Sleep(seconds) => {
                self.millis += u64::from(seconds) * 1_000;
                self.ring();
            }
            Step::Link(loss, repeats, delay) => self.link = (loss, repeats, delay),
            Step::Replay(which, flip) => {
                let place = usize::from(which) % self.captured.len().max(1);
                let Some(mut flight) = self.captured.get(place).cloned() else {
                    return;
                };
                if let Some(flip) = flip {
                    let at = usize::from(flip >> 3) % flight.data.len();
                    flight.data[at] ^= 1 << (flip & 7);
                }
                self.fly(1, flight.from, flight.to, flight.data);
            }
        }
    }

    fn reboot(&mut self, side: usize) {
        let both = self.initiators[1];
        let (local, credential) = match side {
            0 => self.setting.initiator(),
            _ => self.setting.responder(),
        };
        let credential = match side {
            0 => credential.with_initiators(true, both),
            _ => credential.with_initiators(both, true),
        };
        let old = &self.sides[side];
        let mut new = Side::new((local, credential), old.rate, old.address);
        new.life = old.life + 1;
        new.rng = Entropy::new(u64::from(new.life), "after a reboot");
        self.sides[side] = new;
    }

    /// A request that is repeated until it comes: the association it came on, at the other end.
    fn request(&mut self, side: usize) -> Option<(AssociationId, AssociationId)> {
        for round in 0..4 {
            // To suspect is enough unless the other end has moved and said nothing since.
            if round == 2 || self.sides[side].log.usable.is_empty() {
                self.connect(side);
                self.run(2_000);
            }
            let Some(id) = self.sides[side].log.usable.last().copied() else {
                continue;
            };
            let number = self.send_on(side, id);
            // Where it arrives is seen before the model takes it.
            let arrival = self.arrival(1 - side, 500);
            let arrived = arrival.filter(|(_, got)| Some(*got) == number);
            if let Some((at, _)) = arrived {
                return Some((id, at));
            }
            self.with_newest(side, |endpoint, now, rng, id, out| {
                endpoint.suspect(now, rng, id, out).expect("it is usable");
            });
            self.run(2_000);
        }
        None
    }

    /// What arrives at an end within so many milliseconds, the last of it.
    fn arrival(&mut self, side: usize, span: u64) -> Option<(AssociationId, u64)> {
        let until = self.millis + span;
        let mut last = None;
        while self.millis < until {
            let Some(entry) = self.flights.first_entry() else {
                break;
            };
            if entry.key().0 > until {
                break;
            }
            self.millis = self.millis.max(entry.key().0);
            let flight = entry.remove();
            let to = self.sides.iter().position(|side| side.address == flight.to);
            if to == Some(side) {
                let now = self.sides[side].now(self.millis);
                let Side {
                    endpoint, rng, log, ..
                } = &mut self.sides[side];
                let mut data = flight.data;
                endpoint.receive(now, rng, flight.from, &mut data, log);
                last = log.received.last().copied().or(last);
                self.call(side, |_, _, _, _| ());
            } else {
                self.deliver(flight);
            }
        }
        self.run(until.saturating_sub(self.millis));
        last
    }

    /// The network is well again. After some time, a request gets its response.
    fn recovers(&mut self, side: usize) {
        self.link = (0, 0, 10);
        self.run(20_000);
        let request = |world: &mut Self| {
            let found = world.request(side);
            found.expect("a request does not come through")
        };
        let (mut own, mut other) = request(self);
        if !self.sides[1 - side].log.usable.contains(&other) {
            // It came on one that was replaced at that moment; the next one does not.
            (own, other) = request(self);
        }
        self.send_on(1 - side, other)
            .expect("an association that just received may send");
        self.run(100);
        assert!(!self.sides[side].log.closed.contains(&own));
        let epochs = [(side, own), (1 - side, other)]
            .map(|(side, id)| self.sides[side].endpoint.epochs(id).expect("lives"));
        assert_eq!(
            epochs[0].0, epochs[1].1,
            "what one sends in, the other reads"
        );
        assert_eq!(epochs[0].1, epochs[1].0);
        let left: Vec<_> = self.expected[side].iter().collect();
        assert!(!left.contains(&&self.numbers), "the response came");
    }

    /// Left alone, one association is renewed for ever, and nothing else is left.
    fn settles(&mut self) {
        // With clocks a tenth apart, two lifetimes end whatever was not renewed.
        self.run(LIFETIME * 2_500);
        let mut steps = 0;
        while self.sides.iter().any(|side| side.endpoint.len() != 1) {
            steps += 1;
            let lens = self.sides.each_ref().map(|side| side.endpoint.len());
            assert!(steps < 40, "{lens:?} associations are left");
            self.run(1_000);
        }
        let id = self.sides[0].log.usable.last().copied();
        self.send_on(0, id.expect("one is usable"))
            .expect("may send");
        self.run(100);
        assert!(!self.expected[1].contains(&self.numbers), "it came");
    }
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![
        4 => Just(Profile::Psk),
        1 => Just(Profile::Pinned),
        1 => Just(Profile::Known),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_everything_comes_once_and_nobody_is_stranded(
        profile in profile(),
        both in any::<bool>(),
        rates in [900..1_100_u64, 900..1_100],
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(profile, both, rates, seed);
        world.connect(0);
        for step in &steps {
            world.apply(step);
        }
        world.recovers(0);
        if both {
            world.recovers(1);
        }
        world.settles();
    }
}
