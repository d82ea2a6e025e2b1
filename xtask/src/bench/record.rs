//! Records: seal and open against the raw AEAD, and what they allocate.

use core::net::SocketAddr;

use anyhow::anyhow;
use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use refpoint_association::{
    AssociationId, Event, Opened, Outbox, STREAM_HEADROOM, STREAM_TAILROOM, StreamSession, Suite,
};
use refpoint_keys::Profile;

use crate::{
    hosts::{DEVICE, Hosts},
    machine,
    measure::{Contestant, Sides, Stopwatch, compare},
    pair::{Pair, now, rng},
    row::{Row, Target},
};

const ROUNDS: usize = 200;
/// Payload bytes of a record, records of a batch (all of which fit into a core's cache), and how
/// many times the raw AEAD's time it may take.
const SIZES: [(usize, usize, f64); 3] = [(64, 512, 1.25), (1024, 256, 1.10), (16 * 1024, 32, 1.03)];

const HEADER: usize = STREAM_HEADROOM;
const TAG: usize = STREAM_TAILROOM;

pub(crate) fn run() -> anyhow::Result<()> {
    let suites = [
        (Suite::ChaChaPoly, "ChaChaPoly", &CHACHA20_POLY1305),
        (Suite::AesGcm, "AES-GCM", &AES_256_GCM),
    ];
    for (suite, name, algorithm) in suites {
        for (size, batch, most) in SIZES {
            let mut stream = Stream::new(suite, size, batch)?;
            let mut raw = Raw::new(algorithm, size, batch)?;
            let mut datagrams = None;
            if size <= LARGEST_DATAGRAM {
                datagrams = Some(Datagrams::new(suite, size, batch)?);
            }
            let mut contestants = vec![
                Contestant::new("aws-lc-rs, the AEAD alone", || raw.batch()),
                Contestant::new("stream", || stream.batch()),
            ];
            if let Some(datagrams) = &mut datagrams {
                contestants.push(Contestant::new("datagram", || datagrams.batch()));
            }
            let measured = compare(ROUNDS, contestants);
            let target = Some(Target::Ratio(most));
            for own in &measured[1..] {
                for (side, verb) in [(0, "seal"), (1, "open")] {
                    let name = format!("{verb} {size} B, {name}, {}", own.name);
                    Row::new(name, own.sides[side], "ns")
                        .beside(measured[0].name, measured[0].sides[side])
                        .reaching(target)
                        .print();
                }
            }
            let datagrams = datagrams.map_or(0, |datagrams| datagrams.allocations);
            let each = (stream.allocations + datagrams) as f64 / (2 * batch) as f64;
            let name = format!("allocations a record of {size} B, {name}");
            let target = Some(Target::AtMost(0.0));
            Row::new(name, each, "").reaching(target).print();
        }
    }
    Ok(())
}

/// Records of an association on a stream, sealed and opened where they lie.
struct Stream {
    device: StreamSession,
    gateway: StreamSession,
    frames: Vec<Vec<u8>>,
    nothing: Vec<u8>,
    /// Of the last batch.
    allocations: u64,
}

impl Stream {
    fn new(suite: Suite, size: usize, batch: usize) -> anyhow::Result<Self> {
        let (device, gateway) = Pair::new(Profile::Psk, suite)?.associate()?;
        Ok(Self {
            device,
            gateway,
            frames: vec![vec![0x5a; HEADER + size + TAG]; batch],
            nothing: Vec::new(),
            allocations: 0,
        })
    }

    fn batch(&mut self) -> Sides {
        let mut watch = Stopwatch::default();
        let before = machine::allocations();
        watch.first(|| {
            for frame in &mut self.frames {
                let sealed = self.device.send_in_place(now(), frame);
                assert!(sealed.is_ok(), "within all limits");
            }
        });
        watch.second(|| {
            for frame in &mut self.frames {
                let opened = self.gateway.receive(now(), frame, &mut self.nothing);
                assert!(matches!(opened, Ok(Opened::Data(_))), "it is genuine");
            }
        });
        self.allocations = machine::allocations() - before;
        watch.mean(self.frames.len())
    }
}

/// The largest payload of a datagram that is measured: the default keeps them below 1 200 bytes.
const LARGEST_DATAGRAM: usize = 1024;

/// Records of an association on datagrams: found by index, by the time of day and all.
struct Datagrams {
    hosts: Hosts,
    id: AssociationId,
    payload: Vec<u8>,
    packets: Packets,
    batch: usize,
    /// Of the last batch.
    allocations: u64,
}

/// Takes the first packets, and counts what it is told.
struct Packets {
    held: Vec<Vec<u8>>,
    kept: usize,
    received: usize,
}

impl Outbox for Packets {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        if let Some(place) = self.held.get_mut(self.kept) {
            place.clear();
            place.extend_from_slice(packet);
            self.kept += 1;
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.received += usize::from(matches!(event, Event::Received { .. }));
    }
}

impl Datagrams {
    fn new(suite: Suite, size: usize, batch: usize) -> anyhow::Result<Self> {
        let mut hosts = Hosts::new(Pair::new(Profile::Psk, suite)?)?;
        let (id, ..) = hosts.device.associate(now(), &mut hosts.gateway)?;
        Ok(Self {
            hosts,
            id,
            payload: vec![0x5a; size],
            packets: Packets {
                held: vec![Vec::with_capacity(2048); batch],
                kept: batch,
                received: 0,
            },
            batch,
            allocations: 0,
        })
    }

    fn send(&mut self) {
        let (endpoint, packets) = (&mut self.hosts.device.endpoint, &mut self.packets);
        for _ in 0..self.batch {
            let sent = endpoint.send(now(), self.id, &self.payload, packets);
            assert!(sent.is_ok(), "within all limits");
        }
    }

    fn batch(&mut self) -> Sides {
        let mut watch = Stopwatch::default();
        let before = machine::allocations();
        // Once on the clock, with nobody who takes the packets, and once to have some to open.
        self.packets.kept = self.batch;
        watch.first(|| self.send());
        self.packets.kept = 0;
        self.send();
        self.packets.received = 0;
        let mut held = core::mem::take(&mut self.packets.held);
        watch.second(|| {
            for packet in &mut held {
                let gateway = &mut self.hosts.gateway;
                gateway.receive(now(), &mut rng(), DEVICE, packet, &mut self.packets);
            }
        });
        self.packets.held = held;
        assert_eq!(self.packets.received, self.batch, "all are genuine");
        self.allocations = machine::allocations() - before;
        watch.mean(self.batch)
    }
}

/// The AEAD alone on the same bytes.
struct Raw {
    key: LessSafeKey,
    records: Vec<Vec<u8>>,
    size: usize,
    sequence: u64,
}

impl Raw {
    fn new(algorithm: &'static Algorithm, size: usize, batch: usize) -> anyhow::Result<Self> {
        let key = UnboundKey::new(algorithm, &[7; 32]).map_err(|_| anyhow!("no key"))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            records: vec![vec![0x5a; HEADER + size + TAG]; batch],
            size,
            sequence: 0,
        })
    }

    fn batch(&mut self) -> Sides {
        let mut watch = Stopwatch::default();
        let first = self.sequence;
        watch.first(|| {
            for record in &mut self.records {
                let nonce = nonce(self.sequence);
                self.sequence += 1;
                let (header, sealed) = record.split_at_mut(HEADER);
                let (data, place) = sealed.split_at_mut(self.size);
                let tag = self
                    .key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*header), data);
                place.copy_from_slice(tag.expect("a good length").as_ref());
            }
        });
        watch.second(|| {
            for (record, sequence) in self.records.iter_mut().zip(first..) {
                let (header, sealed) = record.split_at_mut(HEADER);
                let opened = self
                    .key
                    .open_in_place(nonce(sequence), Aad::from(&*header), sealed);
                assert!(opened.is_ok(), "it is genuine");
            }
        });
        watch.mean(self.records.len())
    }
}

fn nonce(sequence: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
