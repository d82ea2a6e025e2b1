//! What is in this process's memory: secrets to look for, and where they come from.
//!
//! The secrets are those of the transcripts in `tests/vectors/`, so that a test knows every stage of
//! the key schedule. It keeps them masked, reads its own writable memory (Linux only) and looks for
//! them there: anywhere but on the stack of the thread that made them, which only the steps of a
//! handshake overwrite.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::{convert::Infallible, time::Duration};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand_core::{TryCryptoRng, TryRng};
use refpoint_association::{Backend, Modes, Policy, Suite};
use refpoint_keys::{Profile, ReferencePoint};
use serde_json::Value;

use super::support::Setting;

pub const MASK: u8 = 0xa5;

/// One test at a time: the secrets of another would be found, and those on the stack of one that
/// is over, whose memory the next thread gets. So each leaves its own as zeros.
pub struct Alone {
    _guard: MutexGuard<'static, ()>,
}

impl Alone {
    pub fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        Self {
            _guard: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Drop for Alone {
    #[inline(never)]
    fn drop(&mut self) {
        core::hint::black_box(&mut [0_u8; 512 * 1024]);
    }
}

/// A secret to look for: its second half, since a freed block's first bytes are the allocator's.
pub struct Needle {
    pub name: String,
    pub masked: Vec<u8>,
}

pub fn masked(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) ^ MASK)
        .collect()
}

impl Needle {
    pub fn new(name: impl Into<String>, value: &Value) -> Self {
        let masked = masked(value.as_str().expect("a text"));
        Self {
            name: name.into(),
            masked: masked[masked.len() - 16..].to_vec(),
        }
    }
}

/// Every secret of a case's key schedule.
pub fn schedule(case: &Value) -> Vec<Needle> {
    let stages = ["psk", "k1", "k2", "master", "exporter"];
    let mut needles: Vec<_> = stages
        .into_iter()
        .map(|stage| Needle::new(stage, &case[stage]))
        .collect();
    for epoch in case["epochs"].as_array().expect("a list") {
        let direction = epoch["direction"].as_str().expect("a text");
        for part in ["traffic", "key"] {
            let name = format!("{part} {direction} {}", epoch["epoch"]);
            needles.push(Needle::new(name, &epoch[part]));
        }
    }
    needles
}

/// Which needles are in this process's writable memory, but for this thread's stack.
pub fn found(needles: &[Needle]) -> Vec<String> {
    let here = core::hint::black_box(0_u8);
    let stack = core::ptr::from_ref(&here) as usize;
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut memory = File::open("/proc/self/mem").expect("Linux");
    let mut chunk = vec![0; 1 << 16];
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().expect("a range");
        let (start, end) = range.split_once('-').expect("two addresses");
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).expect("hex"));
        if (start..end).contains(&stack) || line.ends_with("[stack]") {
            continue;
        }
        let mut at = start;
        while at < end {
            let len = chunk.len().min(end - at);
            let read = memory
                .seek(SeekFrom::Start(at as u64))
                .and_then(|_| memory.read_exact(&mut chunk[..len]));
            if read.is_err() {
                break;
            }
            for needle in needles {
                if contains(&chunk[..len], &needle.masked) {
                    found.push(needle.name.clone());
                }
            }
            chunk.fill(0);
            // The chunks overlap, so that nothing hides on their borders.
            at += if at + len < end { len - 16 } else { len };
        }
    }
    found.sort();
    found.dedup();
    found
}

fn contains(chunk: &[u8], masked: &[u8]) -> bool {
    let first = masked[0] ^ MASK;
    let mut at = 0;
    while let Some(place) = chunk[at..].iter().position(|byte| *byte == first) {
        at += place;
        let window = chunk.get(at..at + masked.len());
        if window.is_some_and(|window| window.iter().zip(masked).all(|(a, b)| a ^ MASK == *b)) {
            return true;
        }
        at += 1;
    }
    false
}

/// Hands out a vector's ephemeral key without keeping it in clear.
pub struct Injected(pub Vec<u8>);

impl TryRng for Injected {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x1111_1111)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x1111_1111_1111_1111)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if out.len() == self.0.len() {
            for (byte, masked) in out.iter_mut().zip(&self.0) {
                *byte = masked ^ MASK;
            }
        } else {
            out.fill(0x11);
        }
        Ok(())
    }
}

impl TryCryptoRng for Injected {}

pub fn file(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

pub fn setting(case: &Value, backend: Backend) -> Setting {
    let code = |name: &str| case[name].as_u64().expect("a number") as u8;
    Setting {
        backend,
        profile: Profile::try_from(code("profile")).expect("a profile"),
        suite: Suite::try_from(code("suite")).expect("a suite"),
        point: ReferencePoint::X,
        // The lifetime and the epoch length of the transcripts.
        policy: Policy::default()
            .with_resumption(Modes::NONE, Duration::ZERO)
            .with_lifetime(Duration::from_secs(81_920))
            .and_then(|policy| policy.with_epoch_bits(16))
            .expect("valid"),
        ..Setting::default()
    }
}

/// Offers as in the transcripts: the initiator its lifetime, the responder its epoch length.
pub fn policies() -> [Policy; 2] {
    let shorter = Policy::default()
        .with_resumption(Modes::NONE, Duration::ZERO)
        .with_lifetime(Duration::from_secs(81_920));
    let smaller = Policy::default()
        .with_resumption(Modes::NONE, Duration::ZERO)
        .with_epoch_bits(16);
    [shorter.expect("valid"), smaller.expect("valid")]
}
