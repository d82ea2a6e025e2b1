//! Measures refpoint and its peers side by side; `cargo xtask bench` builds and runs it.
//!
//! What is compared runs in turns on one pinned thread, a batch each (A, B, A, B ..), and is given
//! as the median of its batches, in CPU time of that thread: so neither a neighbour on the machine
//! nor a change of its clock falls on one side only. A row is a line of JSON.

mod e2e;
mod grpc;
mod handshake;
mod hosts;
mod machine;
mod measure;
mod memory;
mod pair;
mod peer;
mod record;
mod resumption;
mod row;
#[cfg(feature = "wireguard")]
mod wireguard;

use std::env;

use anyhow::bail;

#[global_allocator]
static ALLOCATOR: machine::Counting = machine::Counting;

fn main() -> anyhow::Result<()> {
    machine::pin();
    for section in env::args().skip(1) {
        match &*section {
            "handshake" => handshake::run()?,
            "record" => record::run()?,
            "resumption" => resumption::run()?,
            "memory" => memory::run()?,
            "e2e" => e2e::run()?,
            "grpc" => grpc::run()?,
            #[cfg(feature = "wireguard")]
            "wireguard" => wireguard::run()?,
            _ => bail!("no section {section}: `cargo xtask bench` names the right ones"),
        }
    }
    Ok(())
}
