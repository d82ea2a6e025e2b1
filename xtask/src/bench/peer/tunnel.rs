//! WireGuard by boringtun's `Tunn`. Its ends are set up once, the agreement of the static keys
//! included, and make handshake after handshake.

use std::sync::Arc;

use anyhow::bail;
use boringtun::{
    noise::{Tunn, TunnResult, rate_limiter::RateLimiter},
    x25519::{PublicKey, StaticSecret},
};

use crate::{
    measure::{Sides, Stopwatch},
    pair,
};

/// The size of an Initiation, the largest packet of a handshake.
const LARGEST: usize = 148;

type Packet = ([u8; LARGEST], usize);

/// One pair of ends.
pub(crate) struct Tunnel {
    initiator: Tunn,
    responder: Tunn,
}

fn secret() -> StaticSecret {
    let mut bytes = [0; 32];
    rand_core::Rng::fill_bytes(&mut pair::rng(), &mut bytes);
    bytes.into()
}

impl Tunnel {
    pub(crate) fn new(index: u32) -> Self {
        let (a, b) = (secret(), secret());
        let (of_a, of_b) = (PublicKey::from(&a), PublicKey::from(&b));
        let end = |own, of_own, peer| {
            // Without a limit: it would answer with cookies instead of handshakes.
            let limiter = Arc::new(RateLimiter::new(of_own, u64::MAX));
            Tunn::new(own, peer, Some([7; 32]), None, index, Some(limiter))
        };
        Self {
            initiator: end(a, &of_a, of_b),
            responder: end(b, &of_b, of_a),
        }
    }
}

impl Tunnel {
    /// The responder after a handshake.
    pub(crate) fn established(self) -> anyhow::Result<Tunn> {
        let mut pair = [self];
        handshakes(&mut pair)?;
        let [pair] = pair;
        Ok(pair.responder)
    }
}

fn sent(result: TunnResult<'_>) -> anyhow::Result<usize> {
    match result {
        TunnResult::WriteToNetwork(packet) => Ok(packet.len()),
        other => bail!("boringtun sent nothing: {other:?}"),
    }
}

fn receive(tunn: &mut Tunn, (packet, length): &Packet) -> anyhow::Result<Packet> {
    let mut answer = [0; LARGEST];
    let length = sent(tunn.decapsulate(None, &packet[..*length], &mut answer))?;
    Ok((answer, length))
}

fn handshakes(pairs: &mut [Tunnel]) -> anyhow::Result<Sides> {
    let mut watch = Stopwatch::default();
    let initiations = watch.first(|| {
        let initiate = |pair: &mut Tunnel| {
            let mut packet = [0; LARGEST];
            let length = sent(
                pair.initiator
                    .format_handshake_initiation(&mut packet, true),
            )?;
            Ok((packet, length))
        };
        pairs
            .iter_mut()
            .map(initiate)
            .collect::<anyhow::Result<Vec<Packet>>>()
    })?;
    let responses = watch.second(|| {
        let packets = pairs.iter_mut().zip(&initiations);
        let answers = packets.map(|(pair, packet)| receive(&mut pair.responder, packet));
        answers.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let keepalives = watch.first(|| {
        let packets = pairs.iter_mut().zip(&responses);
        let answers = packets.map(|(pair, packet)| receive(&mut pair.initiator, packet));
        answers.collect::<anyhow::Result<Vec<_>>>()
    })?;
    watch.second(|| {
        for (pair, (packet, length)) in pairs.iter_mut().zip(&keepalives) {
            let mut none = [0; LARGEST];
            if let TunnResult::Err(error) =
                pair.responder
                    .decapsulate(None, &packet[..*length], &mut none)
            {
                bail!("boringtun: {error:?}");
            }
        }
        Ok(())
    })?;
    Ok(watch.mean(pairs.len()))
}

pub(crate) fn batch(pairs: &mut [Tunnel]) -> Sides {
    handshakes(pairs).expect("both ends agree")
}
