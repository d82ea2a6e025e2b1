//! Records: seal and open against the raw AEAD, and what they allocate.

use anyhow::anyhow;
use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use refpoint_association::{Opened, StreamSession, Suite};
use refpoint_keys::Profile;

use crate::{
    machine,
    measure::{Contestant, Sides, Stopwatch, compare},
    pair::{Pair, now},
    row::{Row, Target},
};

const ROUNDS: usize = 200;
/// Payload bytes of a record, records of a batch (all of which fit into a core's cache), and how
/// many times the raw AEAD's time it may take.
const SIZES: [(usize, usize, f64); 3] = [(64, 512, 1.25), (1024, 256, 1.10), (16 * 1024, 32, 1.03)];

const HEADER: usize = 3;
const TAG: usize = 16;

pub(crate) fn run() -> anyhow::Result<()> {
    let suites = [
        (Suite::ChaChaPoly, "ChaChaPoly", &CHACHA20_POLY1305),
        (Suite::AesGcm, "AES-GCM", &AES_256_GCM),
    ];
    for (suite, name, algorithm) in suites {
        for (size, batch, most) in SIZES {
            let mut stream = Stream::new(suite, size, batch)?;
            let mut raw = Raw::new(algorithm, size, batch)?;
            let contestants = vec![
                Contestant::new("refpoint", || stream.batch()),
                Contestant::new("aws-lc-rs, the AEAD alone", || raw.batch()),
            ];
            let measured = compare(ROUNDS, contestants);
            let allocations = stream.allocations;
            for (side, verb) in [(0, "seal"), (1, "open")] {
                let row = Row::new(
                    format!("{verb} {size} B, {name}, stream"),
                    measured[0].sides[side],
                    "ns",
                );
                row.beside(measured[1].name, measured[1].sides[side])
                    .to_reach(Some(Target::Ratio(most)))
                    .print();
            }
            let name = format!("allocations a record of {size} B, {name}, stream");
            let each = allocations as f64 / (2 * batch) as f64;
            Row::new(name, each, "")
                .to_reach(Some(Target::AtMost(0.0)))
                .print();
        }
    }
    Ok(())
}

/// Records of an association on a stream.
struct Stream {
    device: StreamSession,
    gateway: StreamSession,
    payload: Vec<u8>,
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
            payload: vec![0x5a; size],
            frames: vec![Vec::with_capacity(HEADER + size + TAG); batch],
            nothing: Vec::new(),
            allocations: 0,
        })
    }

    fn batch(&mut self) -> Sides {
        let mut watch = Stopwatch::default();
        self.frames.iter_mut().for_each(|frame| {
            frame.clear();
            frame.reserve(HEADER + self.payload.len() + TAG);
        });
        let before = machine::allocations();
        watch.first(|| {
            for frame in &mut self.frames {
                self.device
                    .send(now(), &self.payload, frame)
                    .expect("within all limits");
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
