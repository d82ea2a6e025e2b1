//! Handshakes: CPU of each side and bytes on the wire.

use anyhow::Context as _;
use refpoint_association::{StreamInitiator, Suite};
use refpoint_keys::Profile;

use crate::{
    hosts::Hosts,
    measure::{Contestant, Measured, Sides, Stopwatch, compare},
    pair::{Pair, now},
    peer::{
        noise::Noise,
        primitives::Primitives,
        tls::{Flavour, Tls},
    },
    row::{Row, Target},
};

/// Handshakes of a batch, and batches.
pub(crate) const BATCH: usize = 16;
pub(crate) const ROUNDS: usize = 60;

const SNOW: &str = "snow, default resolver";
const PRIMITIVES: &str = "aws-lc-rs, its DHs and key generation alone";
const TLS: &str = "rustls TLS 1.3 mutual, P-256, X25519, no tickets";
const TLS_DEFAULT: &str = "rustls TLS 1.3 mutual, P-256, its defaults (X25519MLKEM768)";

struct Case {
    profile: Profile,
    name: &'static str,
    pattern: &'static str,
    agreements: usize,
}

const CASES: [Case; 3] = [
    Case {
        profile: Profile::Psk,
        name: "psk",
        pattern: "Noise_NNpsk0_25519_ChaChaPoly_SHA256",
        agreements: 1,
    },
    Case {
        profile: Profile::Pinned,
        name: "pinned",
        pattern: "Noise_KKpsk2_25519_ChaChaPoly_SHA256",
        agreements: 4,
    },
    Case {
        profile: Profile::Known,
        name: "known",
        pattern: "Noise_IKpsk2_25519_ChaChaPoly_SHA256",
        agreements: 4,
    },
];

/// Our own two ways to the end of a handshake: keys at both ends, as snow's and the primitives'
/// end; and the initiator confirmed to the responder, as TLS's and WireGuard's.
pub(crate) const KEYS: &str = "keys";
pub(crate) const CONFIRMED: &str = "confirmed";

pub(crate) fn run() -> anyhow::Result<()> {
    for case in CASES {
        let measured = measure(&case)?;
        let of = |name| measured.iter().find(|one| one.name == name);
        for (side, end) in [(1, "responder"), (0, "initiator")] {
            for peer in &measured[2..] {
                let confirms = peer.name.starts_with("rustls");
                let (own, suffix) = if confirms {
                    (of(CONFIRMED), ", confirmed")
                } else {
                    (of(KEYS), "")
                };
                let own = own.context("our own are always measured")?;
                let target = target(case.profile, peer.name).filter(|_| side == 1);
                let name = format!("handshake {}, {end}{suffix}", case.name);
                Row::new(name, own.sides[side] / 1e3, "µs")
                    .beside(peer.name, peer.sides[side] / 1e3)
                    .reaching(target)
                    .print();
            }
        }
    }
    bytes()
}

fn measure(case: &Case) -> anyhow::Result<Vec<Measured>> {
    let pair = Pair::new(case.profile, Suite::ChaChaPoly)?;
    let snow = Noise::new(case.pattern)?;
    let primitives = Primitives::new(case.agreements)?;
    let least = Tls::new(Flavour::Least)?;
    let default = Tls::new(Flavour::Default)?;
    let contestants = vec![
        Contestant::new(KEYS, || own(&pair, false)),
        Contestant::new(CONFIRMED, || own(&pair, true)),
        Contestant::new(SNOW, || snow.batch(BATCH)),
        Contestant::new(PRIMITIVES, || primitives.batch(BATCH)),
        Contestant::new(TLS, || least.batch(BATCH)),
        Contestant::new(TLS_DEFAULT, || default.batch(BATCH)),
    ];
    Ok(compare(ROUNDS, contestants))
}

fn target(profile: Profile, peer: &str) -> Option<Target> {
    let most = match (profile, peer) {
        (Profile::Psk, SNOW) => 0.45,
        (Profile::Known, SNOW) => 0.5,
        (Profile::Known, TLS) => 0.6,
        (Profile::Known, PRIMITIVES) => 1.15,
        _ => return None,
    };
    Some(Target::Ratio(most))
}

/// From nothing to keys at both ends; with `confirm`, the confirming record and its answer, too.
pub(crate) fn own(pair: &Pair, confirm: bool) -> Sides {
    handshakes(pair, confirm).expect("both ends agree")
}

fn handshakes(pair: &Pair, confirm: bool) -> anyhow::Result<Sides> {
    let mut watch = Stopwatch::default();
    let offers = watch.first(|| {
        let offer = |_| {
            let mut forth = Vec::new();
            Ok((pair.initiate(&mut forth)?, forth))
        };
        (0..BATCH).map(offer).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut gateways = watch.second(|| {
        let answer = |(_, forth): &(_, Vec<u8>)| {
            let mut back = Vec::new();
            Ok((pair.respond(forth, &mut back)?, back))
        };
        offers
            .iter()
            .map(answer)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut devices = watch.first(|| {
        let finish = |((offer, _), (_, back)): ((StreamInitiator, _), &(_, Vec<u8>))| {
            let mut confirm = Vec::new();
            Ok((offer.receive(now(), &back[2..], &mut confirm)?, confirm))
        };
        let answered = offers.into_iter().zip(&gateways);
        answered.map(finish).collect::<anyhow::Result<Vec<_>>>()
    })?;
    if !confirm {
        return Ok(watch.mean(BATCH));
    }
    watch.second(|| {
        for ((gateway, answer), (_, confirm)) in gateways.iter_mut().zip(&mut devices) {
            answer.clear();
            gateway.receive(now(), confirm, answer)?;
        }
        anyhow::Ok(())
    })?;
    watch.first(|| {
        for ((_, answer), (device, nothing)) in gateways.iter_mut().zip(&mut devices) {
            device.receive(now(), answer, nothing)?;
        }
        anyhow::Ok(())
    })?;
    Ok(watch.mean(BATCH))
}

/// Bytes of Initiate and Respond; on streams with the two bytes before each packet.
fn bytes() -> anyhow::Result<()> {
    let tls = Tls::new(Flavour::Least)?.bytes()? as f64;
    for case in CASES {
        let pair = Pair::new(case.profile, Suite::ChaChaPoly)?;
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        pair.initiate(&mut forth)?;
        pair.respond(&forth, &mut back)?;
        let stream = forth.len() + back.len();
        let [forth, back] = Hosts::new(pair)?.handshake_packets()?;
        // `known` carries a static key and both ids besides, and has no number to reach.
        let target = (case.profile != Profile::Known).then_some(Target::AtMost(128.0));
        let row = |carriage, bytes: usize| {
            let name = format!("Initiate and Respond {}, {carriage}", case.name);
            Row::new(name, bytes as f64, "B").beside(TLS, tls)
        };
        row("datagrams", forth + back).reaching(target).print();
        row("stream", stream).print();
    }
    Ok(())
}
