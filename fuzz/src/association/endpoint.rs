//! Two end points and everything an attacker on the path can do to their packets.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use refpoint_association::{
    AssociationId, CloseReason, Config, CredentialId, Endpoint, Error, Event, Outbox, SessionLabel,
};
use refpoint_keys::EntityId;
use refpoint_sim::Entropy;

use super::party::{BACKEND, Party, now_at, parties};
use crate::Input;

const DEVICE: usize = 0;
const GATEWAY: usize = 1;

/// What is delivered was sent by the peer, and is delivered once; timers always move on; and when
/// the attack is over, a new association carries data.
///
/// A byte that chooses profile and suite, then operations of a byte each with their arguments.
pub fn association_endpoint(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    let mut connects = 0;
    while !input.is_empty() {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        match operation & 0x7f {
            0 if connects < 4 => {
                connects += 1;
                world.connect(side);
            }
            1 | 2 => world.send(side, usize::from(input.byte()) * 4),
            3..=5 => world.deliver(0),
            6 => world.deliver(input.byte().into()),
            7 => world.copy(input.byte().into()),
            8 => drop(world.take(input.byte().into())),
            9 => {
                let (which, at, change) = (input.byte(), input.byte(), input.byte());
                world.change(which.into(), at.into(), change);
            }
            10 => world.redirect(input.byte().into()),
            11 => world.inject(side, input.counted().to_vec()),
            12 => world.move_source(input.byte().into(), input.byte()),
            13 => world.advance(u64::from(input.byte()) * 50),
            14 => world.close(side),
            _ => {}
        }
    }
    world.recovers();
}

/// A datagram under way.
#[derive(Clone)]
struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

struct World {
    hosts: [Host; 2],
    flights: VecDeque<Flight>,
    millis: u64,
    sent: u64,
}

struct Host {
    endpoint: Endpoint,
    credential: CredentialId,
    rng: Entropy,
    seen: Seen,
}

/// What one end point put out and told.
struct Seen {
    own: SocketAddr,
    peer: EntityId,
    /// Numbers of the payloads that the other end has sent and that have not come yet.
    expected: BTreeSet<u64>,
    delivered: u64,
    usable: Vec<AssociationId>,
    packets: Vec<Flight>,
}

impl Outbox for Seen {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        assert!(packet.len() <= 1200, "a datagram beyond the limit");
        self.packets.push(Flight {
            from: self.own,
            to,
            data: packet.to_vec(),
        });
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, peer, .. } => {
                assert_eq!(*peer.entity(), self.peer, "another peer");
                assert!(!self.usable.contains(&id), "established twice");
                self.usable.push(id);
            }
            Event::Received { id: _, data } => {
                let number = data.first_chunk().map(|number| u64::from_be_bytes(*number));
                let expected = number.is_some_and(|number| self.expected.remove(&number));
                assert!(expected, "what was not sent, or was delivered before");
                self.delivered += 1;
            }
            Event::Replaced { old, .. } => self.usable.retain(|id| *id != old),
            Event::Closed { id, .. } => self.usable.retain(|usable| *usable != id),
            _ => {}
        }
    }
}

impl World {
    fn new(choice: u8) -> Self {
        let (device, gateway) = parties(choice);
        let config = Config::device().with_backend(BACKEND);
        let ids = [
            device.local.entity().clone(),
            gateway.local.entity().clone(),
        ];
        let [device_id, gateway_id] = ids;
        let device = Host::new(config, device, address(1), gateway_id);
        let config = Config::default().with_backend(BACKEND);
        let gateway = Host::new(config, gateway, address(2), device_id);
        Self {
            hosts: [device, gateway],
            flights: VecDeque::new(),
            millis: 0,
            sent: 0,
        }
    }

    fn connect(&mut self, side: usize) {
        let to = self.hosts[1 - side].seen.own;
        let now = now_at(self.millis);
        let host = &mut self.hosts[side];
        let label = SessionLabel::default();
        let Host {
            endpoint,
            rng,
            seen,
            credential,
        } = host;
        let attempt = endpoint.connect(now, rng, to, *credential, label, seen);
        assert!(
            matches!(attempt, Ok(_) | Err(Error::Full(_))),
            "{attempt:?}"
        );
        self.collect(side);
    }

    fn send(&mut self, side: usize, length: usize) {
        let now = now_at(self.millis);
        let Host { endpoint, seen, .. } = &mut self.hosts[side];
        let Some(&id) = seen.usable.last() else {
            return;
        };
        let mut data = self.sent.to_be_bytes().to_vec();
        data.resize(8 + length, 0);
        if endpoint.send(now, id, &data, seen).is_ok() {
            self.hosts[1 - side].seen.expected.insert(self.sent);
            self.sent += 1;
        }
        self.collect(side);
    }

    fn close(&mut self, side: usize) {
        let now = now_at(self.millis);
        let Host { endpoint, seen, .. } = &mut self.hosts[side];
        let Some(id) = seen.usable.pop() else { return };
        let closed = endpoint.close(now, id, CloseReason::Done, seen);
        assert_eq!(closed, Ok(()), "an association that was said to be usable");
        self.collect(side);
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
        let side = self
            .hosts
            .iter()
            .position(|host| host.seen.own == flight.to);
        let Some(side) = side else { return };
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

    fn move_source(&mut self, which: usize, last: u8) {
        if let Some(flight) = self.at(which) {
            flight.from = address(last);
        }
    }

    fn inject(&mut self, side: usize, data: Vec<u8>) {
        let [a, b] = [side, 1 - side].map(|side| self.hosts[side].seen.own);
        self.flights.push_front(Flight {
            from: b,
            to: a,
            data,
        });
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
            assert!(
                moved,
                "the timer stays at {next:?}, and it is {} ms",
                self.millis
            );
            self.collect(side);
        }
    }

    fn collect(&mut self, side: usize) {
        self.flights.extend(self.hosts[side].seen.packets.drain(..));
        // What an attacker makes of one packet is bounded, or this grows for ever.
        assert!(self.flights.len() < 10_000, "packets breed");
    }

    /// The attack is over. The attacker's packets are gone, and the path is what it should be.
    fn recovers(&mut self) {
        self.flights.clear();
        self.advance(10_000);
        self.connect(DEVICE);
        for _ in 0..100 {
            for _ in 0..self.flights.len() {
                self.deliver(0);
            }
            self.advance(100);
        }
        let before = self.hosts[GATEWAY].seen.delivered;
        self.send(DEVICE, 0);
        for _ in 0..100 {
            for _ in 0..self.flights.len() {
                self.deliver(0);
            }
            self.advance(100);
        }
        let delivered = self.hosts[GATEWAY].seen.delivered;
        assert!(
            delivered > before,
            "the attack is over, and nothing comes through"
        );
    }
}

impl Host {
    fn new(config: Config, party: Party, own: SocketAddr, peer: EntityId) -> Self {
        let mut rng = Entropy::new(3, party.local.entity().as_str());
        let credential = party.credential.0;
        let endpoint = Endpoint::new(config, party.local, party.credentials, &mut rng);
        let seen = Seen {
            own,
            peer,
            expected: BTreeSet::new(),
            delivered: 0,
            usable: Vec::new(),
            packets: Vec::new(),
        };
        Self {
            endpoint,
            credential,
            rng,
            seen,
        }
    }
}

const fn address(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 7000)
}
