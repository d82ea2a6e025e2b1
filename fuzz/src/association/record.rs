//! Only genuine records open, each once.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::BTreeSet;

use refpoint_association::{
    AssociationId, Config, CredentialId, Endpoint, Event, Outbox, SessionLabel,
};
use refpoint_sim::Entropy;

use super::party::{BACKEND, Party, now, parties};
use crate::Input;

/// When the records are sealed, in seconds: four in the first epoch, two in each of the next.
const SEALED_AT: [u64; 8] = [0, 0, 1, 1, 130, 131, 260, 261];

/// Changed, cut, joined or repeated, from anywhere: a record opens if it is, byte for byte, one that
/// the peer has sealed, and then once; what is delivered is what was sealed.
///
/// A byte that chooses profile and suite, then records of a byte each: which one of [`SEALED_AT`], as
/// if from where, with how many changes. A change is a place and a difference; zero cuts there, and
/// 255 goes on from there as another record does.
pub fn association_record(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut device, mut gateway) = associate(input.byte());
    let sealed: Vec<_> = (0..)
        .zip(SEALED_AT)
        .map(|(n, at)| device.seal(n, at))
        .collect();
    let mut opened = BTreeSet::new();
    while !input.is_empty() {
        let which = input.byte();
        let mut packet = sealed[usize::from(which % 8)].clone();
        for _ in 0..(which >> 3) % 8 {
            let at = usize::from(input.byte()) % packet.len().max(1);
            match (input.byte(), packet.get_mut(at)) {
                (0, _) | (_, None) => packet.truncate(at),
                (255, _) => {
                    let other = &sealed[usize::from(input.byte() % 8)];
                    packet.truncate(at);
                    packet.extend_from_slice(other.get(at..).unwrap_or_default());
                }
                (difference, Some(byte)) => *byte ^= difference,
            }
        }
        let from = address(if which & 0x40 == 0 { 1 } else { 66 });
        let before = gateway.endpoint.statistics().opened;
        let delivered = gateway.receive(from, &packet);
        let opens = gateway.endpoint.statistics().opened > before;
        let genuine = sealed.iter().position(|record| *record == packet);
        match genuine {
            Some(number) if opens => {
                assert!(opened.insert(number), "a record that opened before");
                assert_eq!(delivered, Some(payload(number as u8)));
            }
            _ => assert!(!opens && delivered.is_none(), "a record that nobody sealed"),
        }
    }
}

/// What the nth record carries.
fn payload(number: u8) -> Vec<u8> {
    vec![number; 5 * usize::from(number)]
}

struct End {
    endpoint: Endpoint,
    credential: CredentialId,
    rng: Entropy,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    established: Option<AssociationId>,
}

impl Outbox for Seen {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, .. } => self.established = Some(id),
            Event::Received { data, .. } => self.received.push(data.to_vec()),
            _ => {}
        }
    }
}

impl End {
    fn new(config: Config, party: Party) -> Self {
        let mut rng = Entropy::new(4, party.local.entity().as_str());
        let credential = party.credential.0;
        let config = config.with_backend(BACKEND);
        let endpoint = Endpoint::new(config, party.local, party.credentials, &mut rng);
        Self {
            endpoint,
            credential,
            rng,
            seen: Seen::default(),
        }
    }

    /// Takes a packet in when all have been sealed; gives what was delivered.
    fn receive(&mut self, from: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        let mut packet = packet.to_vec();
        let Self {
            endpoint,
            rng,
            seen,
            ..
        } = self;
        endpoint.receive(now(300), rng, from, &mut packet, seen);
        seen.received.pop()
    }

    fn seal(&mut self, number: u8, at: u64) -> Vec<u8> {
        let id = self.seen.established.expect("it was established");
        let sent = self
            .endpoint
            .send(now(at), id, &payload(number), &mut self.seen);
        sent.expect("within its life");
        self.seen.sent.pop().expect("one record")
    }
}

/// Two ends of a confirmed association.
fn associate(choice: u8) -> (End, End) {
    let (device, gateway) = parties(choice);
    let mut ends = [
        End::new(Config::device(), device),
        End::new(Config::default(), gateway),
    ];
    let End {
        endpoint,
        credential,
        rng,
        seen,
    } = &mut ends[0];
    let label = SessionLabel::default();
    endpoint
        .connect(now(0), rng, address(2), *credential, label, seen)
        .expect("its credential allows it");
    // Initiate, Respond, confirm, answer.
    for turn in 0..4_usize {
        let (side, from) = (1 - turn % 2, turn % 2 + 1);
        let mut packet = ends[1 - side].seen.sent.pop().expect("its turn");
        let End {
            endpoint,
            rng,
            seen,
            ..
        } = &mut ends[side];
        endpoint.receive(now(0), rng, address(from as u8), &mut packet, seen);
    }
    let [device, gateway] = ends;
    assert!(gateway.seen.established.is_some());
    (device, gateway)
}

const fn address(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 7000)
}
