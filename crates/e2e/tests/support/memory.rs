//! What is in this process's memory: secrets to look for, and where they come from. As in the tests of
//! `refpoint-association`: they are kept masked, and this process's writable memory (Linux only) is read for
//! them, but for the stack of the thread that made them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::convert::Infallible;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand_core::{TryCryptoRng, TryRng};

pub const MASK: u8 = 0xa5;

/// One test at a time, and each leaves its stack as zeros: its memory is the next thread's.
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
    masked: Vec<u8>,
}

impl Needle {
    pub fn masked(name: impl Into<String>, masked: &[u8]) -> Self {
        Self {
            name: name.into(),
            masked: masked[masked.len() - 16..].to_vec(),
        }
    }

    /// Of a secret that lies on the stack.
    pub fn of(name: impl Into<String>, secret: &[u8; 32]) -> Self {
        let mut masked = *secret;
        masked.iter_mut().for_each(|byte| *byte ^= MASK);
        Self::masked(name, &masked)
    }
}

/// A secret of the test's own, masked; each `salt` has another.
pub fn hidden(salt: u8) -> [u8; 32] {
    core::array::from_fn(|n| {
        let n = n as u8;
        n.wrapping_mul(73).wrapping_add(salt.wrapping_mul(29)) ^ n.rotate_left(3) ^ MASK
    })
}

/// The same in clear, for the stack.
pub fn bare(masked: [u8; 32]) -> [u8; 32] {
    masked.map(|byte| byte ^ MASK)
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

/// Hands out these secrets, 32 bytes each, one after the other, without keeping them in clear.
pub struct Injected {
    masked: VecDeque<[u8; 32]>,
    number: u32,
}

impl Injected {
    pub fn new(masked: &[[u8; 32]]) -> Self {
        Self {
            masked: masked.iter().copied().collect(),
            number: 0x1111_1111,
        }
    }

    /// The number that it draws.
    pub const fn with_number(mut self, number: u32) -> Self {
        self.number = number;
        self
    }
}

impl TryRng for Injected {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.number)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number.into())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        match self.masked.pop_front() {
            Some(masked) if out.len() == masked.len() => {
                for (byte, masked) in out.iter_mut().zip(masked) {
                    *byte = masked ^ MASK;
                }
            }
            _ => out.fill(0x11),
        }
        Ok(())
    }
}

impl TryCryptoRng for Injected {}
