//! Nodes that keep and forward what they cannot read, in virtual time over links that lose and reorder.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};

use refpoint_sim::Net;

/// How often what is not acknowledged is sent again, in seconds.
pub const RETRY: u64 = 1_800;

const PARCEL: u8 = 0;
const TAKEN: u8 = 1;

pub fn address(place: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, place as u8], 4_000))
}

/// One hop's queue: durable, in order, kept until the next node has acknowledged.
#[derive(Debug, Default)]
pub struct Mailbox {
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
}

impl Mailbox {
    /// Keeps `packet` and sends it on; again at every retry.
    pub fn post(&mut self, net: &mut Net, from: usize, to: usize, packet: Vec<u8>) {
        let id = self.next;
        self.next += 1;
        net.send(address(from), address(to), &parcel(id, &packet));
        self.waiting.insert(id, packet);
    }

    pub fn retry(&self, net: &mut Net, from: usize, to: usize) {
        for (id, packet) in &self.waiting {
            net.send(address(from), address(to), &parcel(*id, packet));
        }
    }

    pub fn taken(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn parcel(id: u64, packet: &[u8]) -> Vec<u8> {
    [&[PARCEL][..], &id.to_be_bytes(), packet].concat()
}

/// Tells the node before that a parcel is kept here now.
pub fn take(net: &mut Net, from: usize, to: usize, id: u64) {
    net.send(
        address(from),
        address(to),
        &[&[TAKEN][..], &id.to_be_bytes()].concat(),
    );
}

/// What came over a hop.
pub enum Came<'a> {
    Parcel(u64, &'a [u8]),
    Taken(u64),
}

pub fn came(data: &[u8]) -> Came<'_> {
    let (id, packet) = data[1..].split_at(8);
    let id = u64::from_be_bytes(id.try_into().expect("8 bytes"));
    if data[0] == PARCEL {
        Came::Parcel(id, packet)
    } else {
        Came::Taken(id)
    }
}

/// A gateway: its mailboxes survive a restart, what it remembers of parcels seen does not.
#[derive(Debug, Default)]
pub struct Gateway {
    /// Towards the lower and the higher place.
    pub mailboxes: [Mailbox; 2],
    seen: BTreeSet<(usize, u64)>,
    /// All that ever passed through it, for who looks for something.
    pub passed: Vec<Vec<u8>>,
}

impl Gateway {
    pub fn receive(&mut self, net: &mut Net, here: usize, from: usize, data: &[u8]) {
        let upwards = usize::from(from < here);
        match came(data) {
            Came::Parcel(id, packet) => {
                if self.seen.insert((from, id)) {
                    self.passed.push(packet.to_vec());
                    let to = if upwards == 1 { here + 1 } else { here - 1 };
                    self.mailboxes[upwards].post(net, here, to, packet.to_vec());
                }
                take(net, here, from, id);
            }
            Came::Taken(id) => self.mailboxes[1 - upwards].taken(id),
        }
    }

    pub fn restart(&mut self) {
        self.seen.clear();
    }

    pub fn retry(&self, net: &mut Net, here: usize) {
        self.mailboxes[0].retry(net, here, here - 1);
        self.mailboxes[1].retry(net, here, here + 1);
    }
}
