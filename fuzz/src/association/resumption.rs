//! A device and a gateway that resume, lose their memories, and have an attacker between them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use refpoint_association::{
    AssociationId, Config, CredentialId, Endpoint, Error, Event, HandleChange, HandleId,
    HeldHandle, Outbox, ResponderKeys, SessionLabel, StoredHandle,
};
use refpoint_sim::Entropy;
use refpoint_wire::LightGrant;

use super::party::{BACKEND, Party, now_at, parties};
use crate::Input;

const DEVICE: usize = 0;
const GATEWAY: usize = 1;
/// States of the gateway's store that it may be restarted from.
const SNAPSHOTS: usize = 32;

/// Nothing is delivered that was not sent, and nothing twice; a handle is redeemed once between two
/// restarts; timers move on; and when the attack is over, both associate and talk.
///
/// A byte that chooses profile and suite, then operations of a byte each with their arguments.
pub fn association_resumption(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    let (mut connects, mut restarts) = (0, 0);
    while !input.is_empty() {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        match operation & 0x7f {
            0 if connects < 16 => {
                connects += 1;
                world.connect();
            }
            1 | 2 => world.send(side),
            3..=5 => world.deliver(0),
            6 => world.deliver(input.byte().into()),
            7 => world.copy(input.byte().into()),
            8 => drop(world.take(input.byte().into())),
            9 => {
                let (which, at, change) = (input.byte(), input.byte(), input.byte());
                world.change(which.into(), at.into(), change);
            }
            10 => world.redirect(input.byte().into()),
            11 if restarts < 8 => {
                restarts += 1;
                world.reboot_device(input.byte().into());
            }
            12 if restarts < 8 => {
                restarts += 1;
                world.restart_gateway(input.byte().into());
            }
            13 => world.advance(u64::from(input.byte()) * 50),
            _ => {}
        }
    }
    world.recovers();
}

/// What a device or a gateway reads back decodes to what it encodes to.
///
/// A byte that chooses the form, then its bytes.
pub fn association_stored(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => {
            let bytes = input.rest();
            let Ok(held) = HeldHandle::from_bytes(now_at(0), bytes) else {
                return;
            };
            let again = held.expose_bytes();
            // Ids come out in their canonical form, and the byte of the modes has spare bits.
            assert_eq!((&again[..3], &again[4..57]), (&bytes[..3], &bytes[4..57]));
            assert_eq!(again[3], bytes[3] & 3);
            let once_more = HeldHandle::from_bytes(now_at(0), &again).expect("its own bytes");
            assert_eq!(*once_more.expose_bytes(), *again);
        }
        1 => {
            let bytes = input.rest();
            if let Ok(stored) = StoredHandle::from_bytes(bytes) {
                assert_eq!(stored.expose_bytes(), bytes);
                let mut gateway = Host::gateway(0, 0, None);
                let _ = gateway.endpoint.restore_issued(now_at(0), &stored);
                assert!(gateway.endpoint.issued() <= 1);
            }
        }
        _ => {
            if let Ok(grant) = LightGrant::decode(input.rest()) {
                assert_eq!(LightGrant::decode(&grant.encode()), Ok(grant));
            }
        }
    }
}

/// A datagram under way.
#[derive(Clone)]
struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

struct World {
    choice: u8,
    hosts: [Host; 2],
    flights: VecDeque<Flight>,
    /// What the device has kept, and the states of the gateway's store, the newest last.
    flash: Vec<Vec<u8>>,
    snapshots: Vec<Stored>,
    boots: u64,
    millis: u64,
    sent: u64,
}

type Stored = BTreeMap<HandleId, Vec<u8>>;

struct Host {
    endpoint: Endpoint,
    credential: CredentialId,
    rng: Entropy,
    seen: Seen,
}

/// What one end point put out and told.
#[derive(Default)]
struct Seen {
    /// Numbers of the payloads that the other end has sent and that have not come yet.
    expected: BTreeSet<u64>,
    delivered: u64,
    usable: Vec<AssociationId>,
    packets: Vec<(SocketAddr, Vec<u8>)>,
    held: Vec<Vec<u8>>,
    stored: Stored,
    changed: bool,
}

impl Outbox for Seen {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        assert!(packet.len() <= 1200, "a datagram beyond the limit");
        self.packets.push((to, packet.to_vec()));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, .. } => {
                assert!(!self.usable.contains(&id), "established twice");
                self.usable.push(id);
            }
            Event::Received { data, .. } => {
                let number = data.first_chunk().map(|number| u64::from_be_bytes(*number));
                let expected = number.is_some_and(|number| self.expected.remove(&number));
                assert!(expected, "what was not sent, or was delivered before");
                self.delivered += 1;
            }
            Event::Replaced { old, .. } => self.usable.retain(|id| *id != old),
            Event::Closed { id, .. } => self.usable.retain(|usable| *usable != id),
            Event::Held { handle, .. } => self.held.push(handle.expose_bytes().to_vec()),
            Event::Handles(change) => self.handles(change),
            _ => {}
        }
    }
}

impl Seen {
    fn handles(&mut self, change: HandleChange) {
        self.changed = true;
        match change {
            HandleChange::Issued(stored) => {
                let bytes = stored.expose_bytes().to_vec();
                let twice = self.stored.insert(stored.id(), bytes);
                assert_eq!(twice, None, "a handle was issued twice");
            }
            HandleChange::Gone(id) => {
                let there = self.stored.remove(&id);
                assert!(there.is_some(), "a handle was redeemed twice");
            }
            _ => {}
        }
    }
}

impl Host {
    fn new(config: Config, party: Party, mut rng: Entropy, keys: Option<&ResponderKeys>) -> Self {
        let credential = party.credential.0;
        let config = config.with_backend(BACKEND);
        let mut endpoint = Endpoint::new(config, party.local, party.credentials, &mut rng);
        if let Some(keys) = keys {
            endpoint = endpoint.with_responder_keys(keys);
        }
        Self {
            endpoint,
            credential,
            rng,
            seen: Seen::default(),
        }
    }

    fn device(choice: u8, boots: u64) -> Self {
        let rng = Entropy::new(boots, "device");
        Self::new(Config::device(), parties(choice).0, rng, None)
    }

    fn gateway(choice: u8, boots: u64, keys: Option<&ResponderKeys>) -> Self {
        let rng = Entropy::new(boots, "gateway");
        Self::new(Config::default(), parties(choice).1, rng, keys)
    }
}

impl World {
    fn new(choice: u8) -> Self {
        Self {
            choice,
            hosts: [Host::device(choice, 0), Host::gateway(choice, 0, None)],
            flights: VecDeque::new(),
            flash: Vec::new(),
            snapshots: vec![Stored::new()],
            boots: 0,
            millis: 0,
            sent: 0,
        }
    }

    fn connect(&mut self) {
        let now = now_at(self.millis);
        let Host {
            endpoint,
            credential,
            rng,
            seen,
        } = &mut self.hosts[DEVICE];
        let (to, label) = (address(GATEWAY), SessionLabel::default());
        let attempt = endpoint.connect(now, rng, to, *credential, label, seen);
        assert!(
            matches!(attempt, Ok(_) | Err(Error::Full(_))),
            "{attempt:?}"
        );
        self.collect(DEVICE);
    }

    fn send(&mut self, side: usize) {
        let now = now_at(self.millis);
        let Host { endpoint, seen, .. } = &mut self.hosts[side];
        let Some(&id) = seen.usable.last() else {
            return;
        };
        if endpoint
            .send(now, id, &self.sent.to_be_bytes(), seen)
            .is_ok()
        {
            self.hosts[1 - side].seen.expected.insert(self.sent);
            self.sent += 1;
        }
        self.collect(side);
    }

    /// It loses its power, and comes back with a handle that it had kept, or without.
    fn reboot_device(&mut self, which: usize) {
        self.boots += 1;
        let mut device = Host::device(self.choice, self.boots);
        device.seen.expected = core::mem::take(&mut self.hosts[DEVICE].seen.expected);
        let kept = self.flash.len().checked_sub(1 + which % 4);
        if let Some(bytes) = kept.and_then(|at| self.flash.get(at)) {
            let now = now_at(self.millis);
            let held = HeldHandle::from_bytes(now, bytes).expect("its own bytes");
            assert_eq!(*held.expose_bytes(), *bytes, "it is kept as it was");
            let restored = device.endpoint.restore_held(now, held);
            assert!(
                matches!(restored, Ok(_) | Err(Error::Expired)),
                "{restored:?}"
            );
        }
        self.hosts[DEVICE] = device;
    }

    /// It is killed, and comes back with what its store had at some time before.
    fn restart_gateway(&mut self, which: usize) {
        self.boots += 1;
        let keys = self.hosts[GATEWAY].endpoint.responder_keys();
        let mut gateway = Host::gateway(self.choice, self.boots, Some(&keys));
        gateway.seen.expected = core::mem::take(&mut self.hosts[GATEWAY].seen.expected);
        let at = self.snapshots.len() - 1 - which % self.snapshots.len();
        for (id, bytes) in &self.snapshots[at] {
            let stored = StoredHandle::from_bytes(bytes).expect("its own bytes");
            let now = now_at(self.millis);
            if gateway.endpoint.restore_issued(now, &stored).is_ok() {
                gateway.seen.stored.insert(*id, bytes.clone());
            }
        }
        assert_eq!(gateway.endpoint.issued(), gateway.seen.stored.len());
        self.snapshots.push(gateway.seen.stored.clone());
        self.hosts[GATEWAY] = gateway;
    }

    fn take(&mut self, which: usize) -> Option<Flight> {
        let place = which % self.flights.len().max(1);
        self.flights.remove(place)
    }

    fn at(&mut self, which: usize) -> Option<&mut Flight> {
        let place = which % self.flights.len().max(1);
        self.flights.get_mut(place)
    }

    fn deliver(&mut self, which: usize) {
        let Some(flight) = self.take(which) else {
            return;
        };
        let now = now_at(self.millis);
        let side = usize::from(flight.to == address(GATEWAY));
        let Host {
            endpoint,
            rng,
            seen,
            ..
        } = &mut self.hosts[side];
        let mut packet = flight.data;
        endpoint.receive(now, rng, flight.from, &mut packet, seen);
        self.collect(side);
    }

    fn copy(&mut self, which: usize) {
        let copy = self.at(which).cloned();
        self.flights.extend(copy);
    }

    fn change(&mut self, which: usize, at: usize, change: u8) {
        let Some(flight) = self.at(which) else { return };
        let at = at % flight.data.len().max(1);
        match (change, flight.data.get_mut(at)) {
            (0, _) | (_, None) => flight.data.truncate(at),
            (_, Some(byte)) => *byte ^= change,
        }
    }

    /// Back to its sender, as if from its receiver.
    fn redirect(&mut self, which: usize) {
        if let Some(flight) = self.at(which) {
            (flight.from, flight.to) = (flight.to, flight.from);
        }
    }

    fn advance(&mut self, millis: u64) {
        self.millis += millis;
        let now = now_at(self.millis);
        for side in [DEVICE, GATEWAY] {
            let Host {
                endpoint,
                rng,
                seen,
                ..
            } = &mut self.hosts[side];
            endpoint.handle_timeout(now, rng, seen);
            let next = endpoint.next_timeout();
            let moved = next.is_none_or(|at| at > Duration::from_millis(self.millis));
            assert!(moved, "the timer stays at {next:?} of {} ms", self.millis);
            self.collect(side);
        }
    }

    fn collect(&mut self, side: usize) {
        let seen = &mut self.hosts[side].seen;
        for (to, data) in seen.packets.drain(..) {
            let from = address(side);
            self.flights.push_back(Flight { from, to, data });
        }
        self.flash.append(&mut seen.held);
        if core::mem::take(&mut seen.changed) {
            self.snapshots.push(seen.stored.clone());
            if self.snapshots.len() > SNAPSHOTS {
                self.snapshots.remove(0);
            }
        }
        // What an attacker makes of one packet is bounded, or this grows for ever.
        assert!(self.flights.len() < 10_000, "packets breed");
    }

    /// Ten seconds without an attacker.
    fn quiet(&mut self) {
        for _ in 0..100 {
            for _ in 0..self.flights.len() {
                self.deliver(0);
            }
            self.advance(100);
        }
    }

    /// The attack is over: the device comes back by the handle that it has, or without.
    fn recovers(&mut self) {
        self.flights.clear();
        self.advance(10_000);
        self.connect();
        self.quiet();
        for side in [DEVICE, GATEWAY] {
            let before = self.hosts[1 - side].seen.delivered;
            self.send(side);
            self.quiet();
            let delivered = self.hosts[1 - side].seen.delivered;
            assert_eq!(delivered, before + 1, "side {side} is not heard again");
        }
    }
}

fn address(side: usize) -> SocketAddr {
    let last = if side == DEVICE { 1 } else { 2 };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 7000)
}
