//! The bodies of the fuzz targets.
//!
//! A body takes arbitrary bytes, drives one entry point with them and asserts what must hold. It
//! starts from fresh state and needs no clock and no randomness, so that an input means the same
//! every time. As functions here, stable compiles the bodies and `cargo test` replays every seed
//! and every past crash through them; `cargo +nightly fuzz run TARGET` explores further.
//!
//! To add the target `keys_ids`: its body here and in [`TARGETS`], three lines in
//! `fuzz_targets/keys_ids.rs`, a `[[bin]]` in `Cargo.toml`, and seeds in `seeds/keys_ids/`. The
//! tests say what is missing.

#![allow(clippy::missing_panics_doc, reason = "a panic is a finding")]

mod input;
mod keys;
mod mutation;

pub use input::Input;
pub use keys::{keys_derivation, keys_ids, keys_key_ids, keys_validity};
pub use mutation::mutations;

use std::{env, fs, io};

/// What drives one entry point with arbitrary bytes.
pub type Body = fn(&[u8]);

/// Every target and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("keys_derivation", keys_derivation),
    ("keys_ids", keys_ids),
    ("keys_key_ids", keys_key_ids),
    ("keys_validity", keys_validity),
];

/// Feeds each file named on the command line to `body`: how a crash is looked at on stable.
///
/// # Errors
///
/// When a file cannot be read.
pub fn replay_arguments(body: Body) -> io::Result<()> {
    env::args_os().skip(1).try_for_each(|file| {
        body(&fs::read(file)?);
        Ok(())
    })
}
