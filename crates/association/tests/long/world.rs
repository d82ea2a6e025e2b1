use core::{cell::Cell, cmp::Reverse, net::SocketAddr, time::Duration};
use std::{
    collections::{BTreeSet, BinaryHeap, HashMap, VecDeque},
    rc::Rc,
};

use refpoint_association::{AssociationId, Endpoint, Now};
use refpoint_keys::UtcTime;
use refpoint_sim::{
    Chance, Claim, Entropy, Event, Findings, Injector, Link, Net, Packet, Place, Rules, Verdict,
    Watch,
};

use super::{
    DAY, Fates, Plan,
    clock::{Clock, EPOCH},
    device::Device,
    gateway::Gateway,
    host::{Host, Output, Told},
    key::{End, named},
};

/// Where things are done: the gateway, or a device.
pub const GATEWAY: u32 = 0;

/// The slowest clock counts nine tenths, and the reorder time is five seconds of it.
const REORDER: Duration = Duration::from_millis(5_600);
/// An association that is asked for by someone who can be reached must come within this.
const PATIENCE: Duration = Duration::from_secs(300);
/// The attacker keeps packets for less.
const HORIZON: Duration = Duration::from_secs(2 * 3600);
/// What dates are off by, and what is lost in rounding.
const DATES: Duration = Duration::from_secs(3);
const ROUNDING: Duration = Duration::from_millis(5);
/// For how long a handshake may have been under way when it is established.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// The last hour, without new fates.
pub const LAST: Duration = Duration::from_secs(3600);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The timer of an end point.
    Timer(u32),
    /// A device asks, or repeats itself.
    Ask(u32),
    /// A device that has no association makes one.
    Connect(u32),
    /// A device sends what needs no answer.
    Note(u32),
    /// Something befalls a device.
    Fate(u32),
    PowerOn(u32),
    LinkUp(u32),
    /// The next key of a device is made, arrives at it, and the one before goes.
    KeyMade(u32),
    KeyArrives(u32),
    KeyGoes(u32),
    /// Whether its key still holds changes.
    Hindrance(u32),
    Restart,
    Started,
    Day,
}

/// One gateway, its devices, and all that may happen to them.
pub struct World {
    pub net: Net,
    pub watch: Watch,
    pub rng: Entropy,
    pub hosts: Vec<Host>,
    pub devices: Vec<Device>,
    pub gateway: Gateway,
    pub fates: Fates,
    pub every: Duration,
    pub end: Duration,
    addresses: HashMap<SocketAddr, u32>,
    agenda: BinaryHeap<Reverse<(Duration, Due)>>,
    told: VecDeque<(u32, Told)>,
    replayed: Rc<Cell<u64>>,
}

impl World {
    pub fn new(plan: &Plan, seed: u64, devices: u32) -> Self {
        let mut net = Net::new(seed, Link::perfect());
        let replayed = Rc::new(Cell::new(0));
        net.set_adversary(replaying(net.entropy("adversary"), replayed.clone()));
        let rules = Rules {
            reorder: REORDER,
            patience: PATIENCE,
            horizon: HORIZON,
            ahead: 64,
        };
        let mut rng = net.entropy("world");
        let hosts = (0..=devices).map(|number| {
            let clock = Clock {
                boot: Duration::ZERO,
                rate: match rng.below(4) {
                    0 => 900_000,
                    1 => 1_100_000,
                    _ => 900_000 + rng.below(200_001),
                },
                date: (number == GATEWAY || rng.below(4) > 0).then(|| rng.below(5) as i64 - 2),
            };
            Host {
                place: Place(number),
                endpoint: None,
                clock,
                address: address(number, 0),
                rng: net.entropy(&format!("host {number}")),
                output: Output::default(),
                prints: HashMap::new(),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        let devices: Vec<_> = (0..devices)
            .map(|number| Device::new(number, &mut rng))
            .collect();
        let addresses = hosts.iter().map(|host| (host.address, host.place.0));
        let mut world = Self {
            watch: Watch::new(rules),
            gateway: Gateway::new(&hosts[0].address, devices.len()),
            addresses: addresses.collect(),
            rng,
            hosts,
            devices,
            net,
            fates: Fates::default(),
            every: plan.every,
            end: plan.days * DAY,
            agenda: BinaryHeap::new(),
            told: VecDeque::new(),
            replayed,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.day();
        self.start_gateway();
        let restart = self.soon(4 * DAY);
        self.at(restart, Due::Restart);
        for device in 0..self.devices.len() as u32 {
            let first = self.soon(Duration::from_secs(600));
            self.at(first, Due::PowerOn(device));
            self.hinder(device);
            let fate = self.soon(DAY * 5);
            self.at(fate, Due::Fate(device));
            self.plan_rotation(device);
        }
    }

    pub fn now(&self) -> Duration {
        self.net.now()
    }

    /// A time within the next `span`.
    pub fn soon(&mut self, span: Duration) -> Duration {
        self.net.now() + self.part(span)
    }

    /// A part of `span`, in whole milliseconds.
    pub fn part(&mut self, span: Duration) -> Duration {
        Duration::from_millis(self.rng.below(span.as_millis() as u64 + 1))
    }

    /// A span from a second on, each magnitude as likely as another.
    pub fn any_span(&mut self, longest: u64) -> Duration {
        let magnitudes = u64::from(longest.ilog2()) + 1;
        let most = 2 << self.rng.below(magnitudes);
        Duration::from_secs(1 + self.rng.below(longest.min(most)))
    }

    pub fn at(&mut self, when: Duration, due: Due) {
        self.agenda.push(Reverse((when, due)));
    }

    pub fn run_until(&mut self, until: Duration) {
        while self.net.now() < until {
            let next = self.agenda.peek().map_or(until, |Reverse((at, _))| *at);
            match self.net.next_event(Some(next.min(until))) {
                Event::Arrival(packet) => self.arrive(&packet),
                Event::Alarm | Event::Quiet => {
                    while let Some(Reverse((at, due))) = self.agenda.peek().copied()
                        && at <= self.net.now()
                    {
                        self.agenda.pop();
                        self.due(at, due);
                    }
                }
            }
            self.listen();
        }
    }

    /// Lets everybody be reached for an hour, and looks who is together with whom.
    pub fn finish(mut self) -> (Findings, Fates) {
        self.net.set_default_link(ordinary());
        self.calm();
        self.run_until(self.end + LAST);
        let apart = self.apart();
        // A successor may be under way just now.
        self.run_until(self.end + LAST + PATIENCE);
        for number in self.apart().intersection(&apart) {
            self.watch.stranded(self.net.now(), Place(number + 1));
        }
        self.count_gateway();
        let tally = self.net.tally();
        self.fates.lost += tally.lost;
        self.fates.replayed = self.replayed.get();
        (self.watch.finish(self.net.now()), self.fates)
    }

    /// The devices that have no association in common with the gateway.
    fn apart(&self) -> BTreeSet<u32> {
        let print = |host: u32, id: Option<AssociationId>| self.hosts[host as usize].print(id?);
        let devices = 0..self.devices.len() as u32;
        let apart = devices.filter(|number| {
            let device = print(number + 1, self.devices[*number as usize].current);
            let gateway = print(GATEWAY, self.gateway.current[*number as usize]);
            device.is_none() || device != gateway
        });
        apart.collect()
    }

    fn due(&mut self, at: Duration, due: Due) {
        match due {
            Due::Timer(host) => self.timer(at, host),
            Due::Ask(device) => self.ask(at, device),
            Due::Connect(device) => self.connect(device),
            Due::Note(device) => self.note(device),
            Due::Fate(device) => self.fate(device),
            Due::PowerOn(device) => self.power_on(device),
            Due::LinkUp(device) => self.link_up(device),
            Due::KeyMade(device) => self.key_made(device),
            Due::KeyArrives(device) => self.key_arrives(device),
            Due::KeyGoes(device) => self.key_goes(device),
            Due::Hindrance(device) => self.hinder(device),
            Due::Restart => self.restart_gateway(),
            Due::Started => self.start_gateway(),
            Due::Day => self.day(),
        }
    }

    fn timer(&mut self, at: Duration, number: u32) {
        if self.gateway.timers[number as usize] != at {
            return;
        }
        self.gateway.timers[number as usize] = Duration::ZERO;
        let host = &self.hosts[number as usize];
        let next = host.endpoint.as_ref().and_then(Endpoint::next_timeout);
        let Some(due) = next.map(|next| host.clock.truth(next)) else {
            return;
        };
        if due > self.net.now() {
            self.schedule(number, due);
            return;
        }
        self.with(number, |endpoint, now, rng, out| {
            endpoint.handle_timeout(now, rng, out);
        });
    }

    fn arrive(&mut self, packet: &Packet) {
        let Some(number) = self.addresses.get(&packet.to).copied() else {
            return;
        };
        let host = &self.hosts[number as usize];
        if host.address != packet.to || self.is_cut(number) {
            return;
        }
        let (now, place) = (self.net.now(), host.place);
        let of = self.watch.arrived(place, &packet.data);
        let (from, mut data) = (packet.from, packet.data.clone());
        let before = self.told.len();
        self.with(number, |endpoint, now, rng, out| {
            endpoint.receive(now, rng, from, &mut data, out);
        });
        for (_, told) in self.told.iter().skip(before) {
            if matches!(told, Told::Received(..)) {
                self.watch.delivered(now, place, &packet.data);
            }
        }
        let Some(of) = of else { return };
        let host = &mut self.hosts[number as usize];
        let endpoint = host.endpoint.as_ref();
        let id = host.prints.get(&of).copied();
        let epochs = endpoint
            .zip(id)
            .and_then(|(endpoint, id)| endpoint.epochs(id).ok());
        match epochs {
            Some((_, received)) => self.watch.epochs(now, place, of, received),
            None => {
                host.prints.remove(&of);
                self.watch.ended(place, of);
            }
        }
    }

    /// Calls an end point, if it has power, and sends what it puts out.
    pub fn with<T>(
        &mut self,
        number: u32,
        call: impl FnOnce(&mut Endpoint, Now, &mut Entropy, &mut Output) -> T,
    ) -> Option<T> {
        let truth = self.net.now();
        let host = &mut self.hosts[number as usize];
        let now = host.clock.now(truth);
        let endpoint = host.endpoint.as_mut()?;
        let result = call(endpoint, now, &mut host.rng, &mut host.output);
        let next = endpoint.next_timeout();
        let mut output = core::mem::take(&mut host.output);
        for told in &output.told {
            self.claim(number, told);
        }
        let cut = self.is_cut(number);
        let host = &self.hosts[number as usize];
        let (from, place) = (host.address, host.place);
        for (to, packet) in output.sent.drain(..) {
            let peer = self.addresses.get(&to).copied().unwrap_or(u32::MAX);
            self.watch.sent(truth, place, Place(peer), &packet);
            if !cut {
                self.net.send(from, to, &packet);
            }
        }
        self.told
            .extend(output.told.drain(..).map(|told| (number, told)));
        if let Some(next) = next {
            let at = self.hosts[number as usize].clock.truth(next).max(truth);
            self.schedule(number, at);
        }
        self.hosts[number as usize].output = output;
        Some(result)
    }

    /// The newest association that an end of a device's pair still has.
    pub fn newest(&self, device: u32, end: End) -> Option<AssociationId> {
        let kept = &self.devices[device as usize];
        let host = if end == End::Gateway {
            GATEWAY
        } else {
            device + 1
        };
        let endpoint = self.hosts[host as usize].endpoint.as_ref()?;
        let mut ids = kept.ids[usize::from(end == End::Gateway)].iter().copied();
        ids.rfind(|id| endpoint.peer(*id).is_some())
    }

    /// Sets a timer, unless it is set.
    fn schedule(&mut self, number: u32, at: Duration) {
        let set = &mut self.gateway.timers[number as usize];
        if *set != at {
            *set = at;
            self.at(at, Due::Timer(number));
        }
    }

    /// Tells the watch of an association, and until when its keys hold by what both ends were given.
    fn claim(&mut self, number: u32, told: &Told) {
        let Told::Established {
            id, initiates, key, ..
        } = told
        else {
            return;
        };
        let now = self.net.now();
        let (device, version) = named(*key);
        let host = &self.hosts[number as usize];
        let indices = host.endpoint.as_ref().and_then(|end| end.indices(*id));
        let (Some(print), Some((_, remote))) = (host.print(*id), indices) else {
            return;
        };
        let peer = if number == GATEWAY {
            device + 1
        } else {
            GATEWAY
        };
        let kept = &self.devices[device as usize];
        let (expires, clock) = (kept.keys[version].expires, host.clock);
        let life = kept.longest_life(now, self.gateway.changed, UNDER_WAY);
        let left = (expires + DATES).saturating_sub(now);
        let claim = Claim {
            fingerprint: print,
            peer: Place(peer),
            initiates: *initiates,
            peer_index: (remote.wire_len() as u8, remote.value()),
            epoch_bits: kept.pair.epoch_bits[0].min(kept.pair.epoch_bits[1]),
            seals_until: now + life.min(left) + ROUNDING,
            opens_until: now + clock.stretch(life.min(left)).max(life.min(left)) + DATES,
        };
        self.watch.claimed(now, host.place, &claim);
        let ids = &mut self.devices[device as usize].ids[usize::from(number == GATEWAY)];
        ids.retain(|id| {
            host.endpoint
                .as_ref()
                .is_some_and(|end| end.peer(*id).is_some())
        });
        ids.push(*id);
        self.hosts[number as usize].prints.insert(print, *id);
    }

    /// What end points have told their users.
    fn listen(&mut self) {
        while let Some((number, told)) = self.told.pop_front() {
            match number {
                GATEWAY => self.gateway_hears(told),
                _ => self.device_hears(number - 1, told),
            }
        }
    }

    /// Each day the network is as good or as bad as another.
    fn day(&mut self) {
        let loss = [0, 2, 5, 10, 20][self.rng.below(5) as usize];
        self.net
            .set_default_link(ordinary().with_loss(Chance::percent(loss)));
        self.at(self.net.now() + DAY, Due::Day);
    }

    fn is_cut(&self, number: u32) -> bool {
        number != GATEWAY && self.devices[number as usize - 1].cut
    }

    /// Gives a device another address; what is under way to the old one is lost.
    pub fn relocate(&mut self, device: u32) {
        let kept = &mut self.devices[device as usize];
        kept.moves += 1;
        let to = address(device + 1, kept.moves);
        self.addresses.insert(to, device + 1);
        self.hosts[device as usize + 1].address = to;
    }

    /// Tells the watch whether something outside keeps a device from being heard.
    pub fn hinder(&mut self, device: u32) {
        let now = self.net.now();
        let kept = &self.devices[device as usize];
        let expires = kept.keys[kept.known].expires;
        let valid = now + Duration::from_secs(120) < expires;
        let power = |host: usize| self.hosts[host].endpoint.is_some();
        let hindered = kept.cut || !valid || !power(device as usize + 1) || !power(0);
        if valid {
            let at = expires - Duration::from_secs(120);
            self.at(at, Due::Hindrance(device));
        }
        self.watch.hindered(now, Place(device + 1), hindered);
    }

    /// The date, to check that a key holds.
    pub fn date(&self) -> UtcTime {
        UtcTime::from_secs(EPOCH + self.net.now().as_secs())
    }

    /// The credential of one end for a key of a device.
    pub fn credential(
        &self,
        device: u32,
        end: End,
        version: usize,
    ) -> refpoint_association::Credential {
        let kept = &self.devices[device as usize];
        let lifetime = kept.lifetimes[usize::from(end == End::Gateway)];
        let key = (version, &kept.keys[version]);
        kept.pair.credential(end, key, lifetime)
    }
}

/// An address that nobody had before.
fn address(number: u32, moves: u16) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 5_000 + moves))
}

/// Delays, doubles, reorders and damages; loses nothing.
fn ordinary() -> Link {
    Link::perfect()
        .with_delay(Duration::from_millis(40))
        .with_jitter(Duration::from_millis(60))
        .with_duplication(Chance::percent(1))
        .with_reordering(Chance::percent(2), Duration::from_secs(9))
        .with_corruption(Chance::per_million(5_000))
}

/// An attacker who sends copies of what it sees, at once or after up to an hour.
fn replaying(
    mut rng: Entropy,
    count: Rc<Cell<u64>>,
) -> impl FnMut(Duration, &Packet, &mut Injector) -> Verdict {
    move |_, packet, injector| {
        if rng.below(200) == 0 {
            let longest = [100, 10_000, 3_600_000][rng.below(3) as usize];
            let delay = Duration::from_millis(rng.below(longest));
            injector.replay(delay, packet);
            count.set(count.get() + 1);
        }
        Verdict::Pass
    }
}
