use core::{net::SocketAddr, time::Duration};
use std::collections::{HashMap, VecDeque};

use refpoint_association::{
    AssociationId, Config, CredentialId, Credentials, Endpoint, HandleChange, HandleId, HeldHandle,
    ResponderKeys, SessionLabel, StoredHandle,
};
use refpoint_sim::Chance;

use super::{
    DAY,
    device::{ANSWER, NOTE, REQUEST, message},
    host::Told,
    key::{End, lifetime, named},
    world::{Due, GATEWAY, World},
};

/// Writes reach the store so much later.
const BEHIND: Duration = Duration::from_secs(1);

/// A gateway's user, and what it keeps where it outlives the process.
pub struct Gateway {
    pub current: Vec<Option<AssociationId>>,
    pub credentials: HashMap<(u32, usize), CredentialId>,
    /// When its policies changed last.
    pub changed: Duration,
    /// For when each host's timer is set.
    pub timers: Vec<Duration>,
    owners: HashMap<AssociationId, u32>,
    keys: Option<ResponderKeys>,
    stored: HashMap<HandleId, Vec<u8>>,
    behind: VecDeque<(Duration, HandleChange)>,
    held: Vec<Option<Vec<u8>>>,
    notes: u32,
}

impl Gateway {
    pub fn new(_: &SocketAddr, devices: usize) -> Self {
        Self {
            current: vec![None; devices],
            credentials: HashMap::new(),
            changed: Duration::ZERO,
            timers: vec![Duration::ZERO; devices + 1],
            owners: HashMap::new(),
            keys: None,
            stored: HashMap::new(),
            behind: VecDeque::new(),
            held: vec![None; devices],
            notes: 0,
        }
    }

    /// Writes what is old enough.
    fn write(&mut self, now: Duration) {
        while let Some((at, _)) = self.behind.front()
            && *at + BEHIND <= now
            && let Some((_, change)) = self.behind.pop_front()
        {
            match change {
                HandleChange::Issued(stored) => {
                    let bytes = stored.expose_bytes().to_vec();
                    self.stored.insert(stored.id(), bytes);
                }
                HandleChange::Gone(id) => drop(self.stored.remove(&id)),
                _ => panic!("a change that this run does not know"),
            }
        }
    }
}

impl World {
    /// Kills the gateway; it comes back after a while.
    pub fn restart_gateway(&mut self) {
        if self.now() >= self.end {
            return;
        }
        self.fates.restarts += 1;
        self.count_gateway();
        let now = self.now();
        self.gateway.write(now);
        self.gateway.behind.clear();
        self.gateway.keys = self.hosts[0]
            .endpoint
            .take()
            .map(|endpoint| endpoint.responder_keys());
        if self.rng.strikes(Chance::percent(15)) {
            self.fates.cold += 1;
            self.gateway.keys = None;
            self.gateway.stored.clear();
            self.gateway.held.fill(None);
        }
        self.hinder_all();
        let at = now + self.any_span(3600);
        self.at(at, Due::Started);
        let next = at + self.part(8 * DAY);
        self.at(next, Due::Restart);
    }

    fn hinder_all(&mut self) {
        for device in 0..self.devices.len() as u32 {
            self.hinder(device);
        }
    }

    pub fn start_gateway(&mut self) {
        if self.hosts[0].endpoint.is_some() {
            return;
        }
        let now = self.now();
        if self.rng.below(2) == 0 && now > Duration::ZERO {
            self.gateway.changed = now;
            for device in &mut self.devices {
                device.before[1] = device.lifetimes[1];
                device.lifetimes[1] = lifetime(&mut self.rng);
            }
            self.fates.policies += 1;
        }
        let mut credentials = Credentials::new();
        self.gateway.credentials.clear();
        for number in 0..self.devices.len() as u32 {
            let kept = &self.devices[number as usize];
            for version in kept.oldest..kept.keys.len() {
                let credential = self.credential(number, End::Gateway, version);
                let id = credentials.insert(credential).expect("another key id");
                self.gateway.credentials.insert((number, version), id);
            }
        }
        self.gateway.current.fill(None);
        self.devices
            .iter_mut()
            .for_each(|device| device.ids[1].clear());
        self.gateway.owners.clear();
        self.watch.rebooted(self.hosts[0].place);
        let local = self.devices[0].pair.local(End::Gateway);
        let host = &mut self.hosts[0];
        host.clock.boot = now;
        host.prints.clear();
        let config = Config::default().with_handshakes_per_second(50);
        let mut endpoint = Endpoint::new(config, local, credentials, &mut host.rng);
        if let Some(keys) = &self.gateway.keys {
            endpoint = endpoint.with_responder_keys(keys);
        }
        host.endpoint = Some(endpoint);
        let mut stored: Vec<_> = self.gateway.stored.values().cloned().collect();
        // In an order that a seed repeats.
        stored.sort_unstable();
        let held: Vec<_> = self.gateway.held.iter().flatten().cloned().collect();
        self.with(GATEWAY, |endpoint, now, _, _| {
            for bytes in stored {
                let stored = StoredHandle::from_bytes(&bytes).expect("its own bytes");
                let _ = endpoint.restore_issued(now, &stored);
            }
            for bytes in held {
                let held = HeldHandle::from_bytes(now, &bytes).expect("its own bytes");
                let _ = endpoint.restore_held(now, held);
            }
        });
        self.hinder_all();
    }

    pub fn gateway_hears(&mut self, told: Told) {
        let now = self.now();
        let gateway = &mut self.gateway;
        match told {
            Told::Established { id, key, .. } => {
                let (device, _) = named(key);
                gateway.current[device as usize] = Some(id);
                gateway.owners.insert(id, device);
            }
            Told::Replaced(old, new) => {
                self.fates.replaced += 1;
                if let Some(device) = gateway.owners.get(&old)
                    && gateway.current[*device as usize] == Some(old)
                {
                    gateway.current[*device as usize] = Some(new);
                }
            }
            Told::Closed(id) => {
                if let Some(device) = gateway.owners.remove(&id)
                    && gateway.current[device as usize] == Some(id)
                {
                    self.gateway.current[device as usize] = self.newest(device, End::Gateway);
                }
            }
            Told::Received(id, data) => self.gateway_receives(id, &data),
            Told::Handles(change) => {
                gateway.write(now);
                gateway.behind.push_back((now, change));
            }
            Told::Held(id, handle) => {
                if let Some(device) = gateway.owners.get(&id) {
                    gateway.held[*device as usize] = Some(handle);
                }
            }
            Told::NotResumed => self.fates.not_resumed += 1,
            Told::Failed(..) => self.fates.failed += 1,
            Told::Deferred => self.fates.deferred += 1,
        }
    }

    /// Answers a request, where it came from or where its sender is now.
    fn gateway_receives(&mut self, id: AssociationId, data: &[u8]) {
        let Some((&REQUEST, count)) = data.split_first() else {
            return;
        };
        let Some(device) = self.gateway.owners.get(&id).copied() else {
            return;
        };
        let count = u32::from_be_bytes(count.try_into().expect("a request"));
        if !self.gateway_sends(id, &message(ANSWER, count))
            && let Some(newest) = self.gateway.current[device as usize]
        {
            self.gateway_sends(newest, &message(ANSWER, count));
        }
        if self.rng.below(5) == 0 {
            self.gateway_notes(device);
        }
    }

    fn gateway_sends(&mut self, id: AssociationId, data: &[u8]) -> bool {
        let sent = self.with(GATEWAY, |endpoint, now, _, out| {
            endpoint.send(now, id, data, out).is_ok()
        });
        sent == Some(true)
    }

    /// The gateway tells a device something that needs no answer.
    pub fn gateway_notes(&mut self, device: u32) {
        self.gateway.notes += 1;
        let note = message(NOTE, self.gateway.notes);
        if let Some(id) = self.gateway.current[device as usize] {
            self.gateway_sends(id, &note);
        }
    }

    /// The gateway makes an association with a node that it may initiate to.
    pub fn gateway_calls(&mut self, device: u32) {
        let known = self.devices[device as usize].known;
        let to = self.hosts[device as usize + 1].address;
        let Some(credential) = self.gateway.credentials.get(&(device, known)).copied() else {
            return;
        };
        self.fates.calls += 1;
        self.with(GATEWAY, |endpoint, now, rng, out| {
            let label = SessionLabel::default();
            let _ = endpoint.connect(now, rng, to, credential, label, out);
        });
    }

    /// Adds up what the end point has counted.
    pub fn count_gateway(&mut self) {
        if let Some(endpoint) = &self.hosts[0].endpoint {
            let counted = endpoint.statistics();
            self.fates.full += counted.answered;
            self.fates.resumed += counted.resumed;
            self.fates.refused += counted.refused;
        }
    }
}
