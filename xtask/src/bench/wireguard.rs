//! Against WireGuard, which makes handshakes of the same family (IKpsk2).

use refpoint_association::Suite;
use refpoint_keys::Profile;

use crate::{
    handshake::{self, BATCH, ROUNDS},
    machine,
    measure::{Contestant, compare},
    memory,
    pair::Pair,
    peer::{
        noise::Noise,
        tunnel::{self, Tunnel},
    },
    row::Row,
};

pub(crate) fn run() -> anyhow::Result<()> {
    let pair = Pair::new(Profile::Known, Suite::ChaChaPoly)?;
    let snow = Noise::new("Noise_IKpsk2_25519_ChaChaPoly_SHA256")?;
    let mut tunnels: Vec<_> = (0..BATCH as u32).map(Tunnel::new).collect();
    let contestants = vec![
        Contestant::new("refpoint", || handshake::own(&pair, true)),
        Contestant::new("boringtun", || tunnel::batch(&mut tunnels)),
        Contestant::new(
            "snow, default resolver, tables of curve25519-dalek on",
            || snow.batch(BATCH),
        ),
    ];
    let measured = compare(ROUNDS, contestants);
    for (side, name) in [(1, "responder"), (0, "initiator")] {
        for peer in &measured[1..] {
            let name = format!("handshake known, {name}, confirmed");
            Row::new(name, measured[0].sides[side] / 1e3, "µs")
                .beside(peer.name, peer.sides[side] / 1e3)
                .print();
        }
    }
    memory::beside("boringtun, 2000 of them", tunnel_bytes()?)?;
    Ok(())
}

/// Ends whose memory is measured.
const PEERS: u32 = 2_000;

/// Live bytes of a responding end after its handshake.
fn tunnel_bytes() -> anyhow::Result<f64> {
    let before = machine::heap();
    let mut held = Vec::with_capacity(PEERS as usize);
    for index in 0..PEERS {
        held.push(Tunnel::new(index).established()?);
    }
    Ok((machine::heap() - before) as f64 / f64::from(PEERS))
}
