//! End points over a simulated network, with a virtual clock: tests read as stories.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::{net::SocketAddr, time::Duration};
use std::collections::BTreeMap;

use refpoint_association::{
    AssociationId, AttemptId, Config, Credential, CredentialId, Credentials, Endpoint, Error,
    Event, HandleChange, HandleId, Local, Now, Outbox, SessionLabel, StoredHandle,
};
use refpoint_sim::{Entropy, Event as NetEvent, Link, Net};

use super::support::{Setting, at};

/// What an end point has told its user.
#[derive(Debug, Default)]
pub struct Log {
    pub established: Vec<(AssociationId, Option<AttemptId>, String)>,
    pub received: Vec<(AssociationId, Vec<u8>)>,
    pub replaced: Vec<(AssociationId, AssociationId)>,
    pub closed: Vec<(AssociationId, Error)>,
    pub failed: Vec<(AttemptId, Error)>,
    /// Handles that were received, as a device would store them.
    pub held: Vec<Vec<u8>>,
    pub issued: Vec<StoredHandle>,
    pub gone: Vec<HandleId>,
    pub not_resumed: Vec<Error>,
    pub deferred: Vec<Duration>,
    /// The slots behind that, as a device would store them.
    pub reserved: Vec<Vec<u8>>,
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
}

impl Outbox for Log {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        self.sent.push((to, packet.to_vec()));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, attempt, peer } => {
                self.established
                    .push((id, attempt, peer.entity().to_string()));
            }
            Event::Received { id, data } => self.received.push((id, data.to_vec())),
            Event::Replaced { old, new } => self.replaced.push((old, new)),
            Event::Closed { id, error } => self.closed.push((id, error)),
            Event::Failed { attempt, error } => self.failed.push((attempt, error)),
            Event::Held { handle, .. } => self.held.push(handle.expose_bytes().to_vec()),
            Event::Handles(HandleChange::Issued(stored)) => self.issued.push(stored),
            Event::Handles(HandleChange::Gone(id)) => self.gone.push(id),
            Event::NotResumed { error, .. } => self.not_resumed.push(error),
            Event::Deferred { until, slot, .. } => {
                self.deferred.push(until);
                self.reserved
                    .extend(slot.map(refpoint_association::ReservedSlot::to_bytes));
            }
            _ => panic!("an event that this test does not know"),
        }
    }
}

impl Log {
    /// The association that was established last.
    pub fn newest(&self) -> AssociationId {
        self.established.last().expect("one was established").0
    }

    pub fn payloads(&self) -> Vec<&[u8]> {
        self.received
            .iter()
            .map(|(_, data)| data.as_slice())
            .collect()
    }
}

/// One end point at its address.
pub struct Host {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub rng: Entropy,
    pub log: Log,
    pub credential: CredentialId,
    /// Seconds by which its clock differs, and whether it has wall-clock time.
    pub utc: bool,
}

/// Several hosts on one network.
pub struct World {
    pub net: Net,
    pub hosts: BTreeMap<&'static str, Host>,
}

pub fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 7000))
}

impl World {
    /// A device and a gateway that share one key.
    pub fn new(seed: u64, link: Link, setting: &Setting) -> Self {
        let mut world = Self {
            net: Net::new(seed, link),
            hosts: BTreeMap::new(),
        };
        let device = Config::device().with_backend(setting.backend);
        world.add("device", 1, device, setting.initiator());
        let gateway = Config::default().with_backend(setting.backend);
        world.add("gateway", 2, gateway, setting.responder());
        world
    }

    pub fn perfect(setting: &Setting) -> Self {
        Self::new(
            1,
            Link::perfect().with_delay(Duration::from_millis(10)),
            setting,
        )
    }

    pub fn add(
        &mut self,
        name: &'static str,
        last: u8,
        config: Config,
        (local, credential): (Local, Credential),
    ) {
        let mut rng = self
            .net
            .entropy(&format!("{name} {}", self.net.now().as_millis()));
        let mut credentials = Credentials::new();
        let id = credentials.insert(credential).expect("the first one");
        let endpoint = Endpoint::new(config, local, credentials, &mut rng);
        let log = Log::default();
        let host = Host {
            endpoint,
            address: address(last),
            rng,
            log,
            credential: id,
            utc: true,
        };
        self.hosts.insert(name, host);
    }

    /// Replaces a host by one that has lost its state.
    pub fn reboot(&mut self, name: &'static str, setting: &Setting) {
        let last = match self.host(name).address {
            SocketAddr::V4(address) => address.ip().octets()[3],
            SocketAddr::V6(_) => panic!("the hosts have IPv4 addresses"),
        };
        match name {
            "device" => self.add(name, last, Config::device(), setting.initiator()),
            _ => self.add(name, last, Config::default(), setting.responder()),
        }
    }

    pub fn host(&mut self, name: &str) -> &mut Host {
        self.hosts.get_mut(name).expect("a host of this name")
    }

    pub fn log(&self, name: &str) -> &Log {
        &self.hosts[name].log
    }

    pub fn now(&self, name: &str) -> Now {
        let now = at(self.net.now());
        if self.hosts[name].utc {
            now
        } else {
            Now::without_utc(now.monotonic)
        }
    }

    /// Calls an end point and sends what it puts out.
    pub fn with<T>(
        &mut self,
        name: &str,
        call: impl FnOnce(&mut Endpoint, Now, &mut Entropy, &mut Log) -> T,
    ) -> T {
        let now = self.now(name);
        let host = self.hosts.get_mut(name).expect("a host of this name");
        let result = call(&mut host.endpoint, now, &mut host.rng, &mut host.log);
        let address = host.address;
        for (to, packet) in host.log.sent.drain(..) {
            self.net.send(address, to, &packet);
        }
        result
    }

    pub fn connect(&mut self, from: &str, to: &str) -> AttemptId {
        let target = self.hosts[to].address;
        self.connect_with(from, target, SessionLabel::default())
    }

    pub fn connect_with(&mut self, from: &str, to: SocketAddr, label: SessionLabel) -> AttemptId {
        let credential = self.hosts[from].credential;
        self.with(from, |endpoint, now, rng, out| {
            endpoint
                .connect(now, rng, to, credential, label, out)
                .expect("may initiate")
        })
    }

    /// Connects and runs until both ends have it.
    pub fn associate(&mut self, from: &str, to: &str) -> (AssociationId, AssociationId) {
        let (a, b) = (
            self.log(from).established.len(),
            self.log(to).established.len(),
        );
        self.connect(from, to);
        self.run_until(Duration::from_secs(60), |world| {
            world.log(from).established.len() > a && world.log(to).established.len() > b
        });
        self.run_for(Duration::from_millis(100));
        (self.log(from).newest(), self.log(to).newest())
    }

    pub fn send(&mut self, from: &str, id: AssociationId, data: &[u8]) -> Result<(), Error> {
        self.with(from, |endpoint, now, _, out| {
            endpoint.send(now, id, data, out)
        })
    }

    /// One event of the network or of a timer; `false` when nothing happens before `until`.
    pub fn step(&mut self, until: Duration) -> bool {
        let timers = self
            .hosts
            .values()
            .filter_map(|host| host.endpoint.next_timeout())
            .min();
        let alarm = timers.unwrap_or(until).min(until).max(self.net.now());
        match self.net.next_event(Some(alarm)) {
            NetEvent::Arrival(mut packet) => {
                let name = self
                    .hosts
                    .iter()
                    .find(|(_, host)| host.address == packet.to);
                if let Some(name) = name.map(|(name, _)| *name) {
                    let from = packet.from;
                    self.with(name, |endpoint, now, rng, out| {
                        endpoint.receive(now, rng, from, &mut packet.data, out);
                    });
                }
            }
            NetEvent::Alarm | NetEvent::Quiet => {
                let due: Vec<_> = self.hosts.keys().copied().collect();
                for name in due {
                    let timeout = self.hosts[name].endpoint.next_timeout();
                    if timeout.is_some_and(|at| at <= self.net.now()) {
                        self.with(name, |endpoint, now, rng, out| {
                            endpoint.handle_timeout(now, rng, out);
                        });
                    }
                }
                return self.net.now() < until;
            }
        }
        true
    }

    pub fn run_for(&mut self, span: Duration) {
        let until = self.net.now() + span;
        while self.step(until) {}
    }

    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let until = self.net.now() + limit;
        while !done(self) {
            assert!(self.step(until), "not done within {limit:?}");
        }
    }
}
