//! Measures refpoint and its peers side by side; `cargo xtask bench` builds and runs it.
//!
//! What is compared runs in turns on one pinned thread, a batch each (A, B, A, B ..), and is given
//! as the median of its batches, in CPU time of that thread: so neither a neighbour on the machine
//! nor a change of its clock falls on one side only. A row is a line of JSON.

mod costs;
mod e2e;
mod flood;
mod grpc;
mod handshake;
mod hosts;
mod live;
mod machine;
mod measure;
mod memory;
mod pair;
mod peer;
mod record;
mod resumption;
mod row;
mod storm;
#[cfg(feature = "wireguard")]
mod wireguard;

use std::env;

use anyhow::{Context as _, bail};

#[global_allocator]
static ALLOCATOR: machine::Counting = machine::Counting;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first() {
        match &**first {
            live::CORE_COMMAND => return live::run(rest),
            live::SHIPPED_COMMAND => return live::run_shipped(rest),
            storm::SERVER_COMMAND => return storm::serve(rest),
            _ => {}
        }
    }
    let mut devices = storm::DEVICES;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--devices" => devices = arguments.next().context("a number of devices")?.parse()?,
            "storm" => storm::run(devices)?,
            "flood" => flood::run()?,
            section => pinned(section)?,
        }
    }
    Ok(())
}

/// What is measured on one processor: the last, since the thread stays there.
fn pinned(section: &str) -> anyhow::Result<()> {
    machine::pin();
    match section {
        "handshake" => handshake::run(),
        "record" => record::run(),
        "resumption" => resumption::run(),
        "costs" => costs::run(),
        "memory" => memory::run(),
        "e2e" => e2e::run(),
        "grpc" => grpc::run(),
        #[cfg(feature = "wireguard")]
        "wireguard" => wireguard::run(),
        _ => bail!("no section {section}: `cargo xtask bench` names the right ones"),
    }
}
