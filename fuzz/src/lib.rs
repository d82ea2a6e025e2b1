//! The bodies of the fuzz targets.
//!
//! A body takes arbitrary bytes, drives one entry point with them and asserts what must hold. It
//! starts from fresh state and needs no clock and no randomness, so that an input means the same
//! every time. As functions here, stable compiles the bodies and `cargo test` replays every seed
//! and every past crash through them; `cargo +nightly fuzz run TARGET` explores further.
//!
//! To add the target `keys_entity_id`: its body here and in [`TARGETS`], three lines in
//! `fuzz_targets/keys_entity_id.rs`, a `[[bin]]` in `Cargo.toml`, and seeds in `seeds/keys_entity_id/`. The
//! tests say what is missing.
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "nobody but the targets uses this crate: its docs are for who reads the source"
)]
#![allow(clippy::missing_panics_doc, reason = "a panic is a finding")]

mod asking;
mod association;
mod e2e;
mod input;
mod keys;
mod mutation;
mod node;
mod primitive;
mod store;
mod transport;
mod wire;
mod x;
mod y;
mod z;

pub use association::{
    association_endpoint, association_handshake, association_record, association_resumption,
    association_stored, association_stream, association_stream_resumption,
};
pub use e2e::{e2e_decode, e2e_object, e2e_session};
pub use input::Input;
pub use keys::{keys_derivation, keys_entity_id, keys_key_id, keys_validity};
pub use mutation::mutations;
pub use node::{node_capture, node_config, node_http, node_key_file};
pub use primitive::{primitive_exchange, primitive_http, primitive_ledger, primitive_message};
pub use store::{store_key_file, store_mailbox};
pub use transport::transport_frames;
pub use wire::{wire_control, wire_frame, wire_packet, wire_payload, wire_record};
pub use x::{x_datagram, x_identity, x_serve};
pub use y::{y_identity, y_serve};
pub use z::{z_exchange, z_keys, z_reports, z_serve};

use std::{env, fs, io};

/// What drives one entry point with arbitrary bytes.
pub type Body = fn(&[u8]);

/// Every target and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("association_endpoint", association_endpoint),
    ("association_handshake", association_handshake),
    ("association_record", association_record),
    ("association_resumption", association_resumption),
    ("association_stored", association_stored),
    ("association_stream", association_stream),
    (
        "association_stream_resumption",
        association_stream_resumption,
    ),
    ("e2e_decode", e2e_decode),
    ("e2e_object", e2e_object),
    ("e2e_session", e2e_session),
    ("keys_derivation", keys_derivation),
    ("keys_entity_id", keys_entity_id),
    ("keys_key_id", keys_key_id),
    ("keys_validity", keys_validity),
    ("node_capture", node_capture),
    ("node_config", node_config),
    ("node_http", node_http),
    ("node_key_file", node_key_file),
    ("primitive_exchange", primitive_exchange),
    ("primitive_http", primitive_http),
    ("primitive_ledger", primitive_ledger),
    ("primitive_message", primitive_message),
    ("store_key_file", store_key_file),
    ("store_mailbox", store_mailbox),
    ("transport_frames", transport_frames),
    ("wire_control", wire_control),
    ("wire_frame", wire_frame),
    ("wire_packet", wire_packet),
    ("wire_payload", wire_payload),
    ("wire_record", wire_record),
    ("x_datagram", x_datagram),
    ("x_identity", x_identity),
    ("x_serve", x_serve),
    ("y_identity", y_identity),
    ("y_serve", y_serve),
    ("z_exchange", z_exchange),
    ("z_keys", z_keys),
    ("z_reports", z_reports),
    ("z_serve", z_serve),
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
