//! What is left in memory once associations are gone: no key, on either backend.

#[path = "support/memory.rs"]
mod memory;
#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use memory::{Alone, Injected, MASK, Needle, file, found, masked, policies, schedule, setting};
use net::{Log, address};
use refpoint_association::{Backend, CloseReason, Config, CredentialId, Endpoint, SessionLabel};
use refpoint_keys::Profile;
use serde_json::Value;
use support::{BACKENDS, Setting, now, table};

struct End {
    endpoint: Endpoint,
    rng: Injected,
    credential: CredentialId,
    log: Log,
}

/// Two end points with the transcript's entropy.
fn ends(file: &Value, case: &Value, backend: Backend) -> [End; 2] {
    let setting = setting(case, backend);
    let [shorter, smaller] = policies();
    let (local, credential) = setting.initiator();
    let device = (
        local,
        credential.with_policy(shorter),
        Config::device(),
        "initiator_ephemeral",
    );
    let (local, credential) = setting.responder();
    let gateway = (
        local,
        credential.with_policy(smaller),
        Config::default(),
        "responder_ephemeral",
    );
    [device, gateway].map(|(local, credential, config, ephemeral)| {
        let mut rng = Injected(masked(file[ephemeral].as_str().expect("a text")));
        let (credentials, credential) = table(credential);
        let config = config.with_backend(backend);
        End {
            endpoint: Endpoint::new(config, local, credentials, &mut rng),
            rng,
            credential,
            log: Log::default(),
        }
    })
}

/// Carries packets between the two until none is left.
fn settle(ends: &mut [End; 2], at: u64) {
    loop {
        let mut quiet = true;
        for side in 0..2 {
            for (_, mut packet) in core::mem::take(&mut ends[side].log.sent) {
                quiet = false;
                let End {
                    endpoint, rng, log, ..
                } = &mut ends[1 - side];
                endpoint.receive(now(at), rng, address(side as u8 + 1), &mut packet, log);
            }
        }
        if quiet {
            return;
        }
    }
}

fn associate(ends: &mut [End; 2]) {
    let End {
        endpoint,
        rng,
        credential,
        log,
    } = &mut ends[0];
    let label = SessionLabel::default();
    endpoint
        .connect(now(0), rng, address(2), *credential, label, log)
        .expect("may initiate");
    settle(ends, 0);
}

fn talk(ends: &mut [End; 2], at: u64) {
    for end in &mut *ends {
        let id = end.log.newest();
        end.endpoint
            .send(now(at), id, b"payload", &mut end.log)
            .expect("may send");
    }
    settle(ends, at);
}

const DATAGRAMS: &str = include_str!("vectors/datagrams.json");

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_datagram_association_are_gone_when_it_is_closed() {
    let _alone = Alone::new();
    let file = file(DATAGRAMS);
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let needles = schedule(case);
            let mut pair = ends(&file, case, backend);
            associate(&mut pair);
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let alive = found(&needles);
            let has = |name: &str| alive.iter().any(|found| found == name);
            assert!(has("exporter"), "{what}: the scan finds what is there");
            assert!(has("traffic i2r 0") && has("traffic r2i 0"), "{what}");
            for name in ["psk", "k1", "k2", "master"] {
                assert!(!has(name), "{what}: {name} outlives the handshake");
            }
            // Into the next epoch: the one before is kept for late records, and then wiped.
            talk(&mut pair, 1);
            talk(&mut pair, 122);
            for end in &mut pair {
                end.endpoint
                    .handle_timeout(now(130), &mut end.rng, &mut end.log);
            }
            let alive = found(&needles);
            for name in &alive {
                assert!(!name.ends_with(" 0"), "{what}: {name} outlives its epoch");
            }
            for end in &mut pair {
                let id = end.log.newest();
                end.endpoint
                    .close(now(131), id, CloseReason::Done, &mut end.log)
                    .expect("lives");
            }
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the association");
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_epochs_derived_ahead_are_gone_when_they_are_left() {
    // Records that are far ahead make a receiver derive epochs; some of them were forged.
    let _alone = Alone::new();
    let file = file(DATAGRAMS);
    let case = &file["cases"][0];
    for backend in BACKENDS {
        let needles = schedule(case);
        let mut pair = ends(&file, case, backend);
        associate(&mut pair);
        let id = pair[0].log.newest();
        let device = &mut pair[0];
        device
            .endpoint
            .send(now(1), id, b"payload", &mut device.log)
            .expect("may send");
        let (_, genuine) = device.log.sent.pop().expect("a record");
        for epoch in [1_u32, 2, 5, 9, 33, 64] {
            // A wide record of that epoch: type, index of four bytes, sequence.
            let mut forged = genuine.clone();
            forged[5..9].copy_from_slice(&(epoch << 16 | 7).to_be_bytes());
            let gateway = &mut pair[1];
            gateway.endpoint.receive(
                now(1),
                &mut gateway.rng,
                address(1),
                &mut forged,
                &mut gateway.log,
            );
        }
        assert_eq!(pair[1].endpoint.statistics().unopened, 6);
        // Two epochs on in one step: none of those that were left is kept, not even for a while.
        for end in &mut pair {
            let id = end.log.newest();
            end.endpoint
                .send(now(122), id, b"lost", &mut end.log)
                .expect("may send");
            end.log.sent.clear();
        }
        talk(&mut pair, 250);
        let mut left = found(&needles);
        left.retain(|name| name != "exporter");
        assert!(
            left.is_empty(),
            "{backend:?}: {left:?} outlive their epochs"
        );
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn what_binds_a_refresh_is_gone_when_the_refresh_is_done() {
    let _alone = Alone::new();
    let file = file(DATAGRAMS);
    let refresh = &file["refresh"];
    for backend in BACKENDS {
        let mut pair = ends(&file, &file["cases"][0], backend);
        associate(&mut pair);
        for (end, name) in pair
            .iter_mut()
            .zip(["later_initiator_ephemeral", "later_responder_ephemeral"])
        {
            end.rng = Injected(masked(file[name].as_str().expect("a text")));
        }
        let End {
            endpoint, rng, log, ..
        } = &mut pair[0];
        let id = log.newest();
        endpoint.renew(now(1), rng, id, log).expect("may refresh");
        settle(&mut pair, 1);
        assert_eq!(pair[0].log.established.len(), 2);
        let needles = [Needle::new("binding", &refresh["binding"])];
        let left = found(&needles);
        assert!(left.is_empty(), "{backend:?}: {left:?}");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn long_term_keys_are_gone_when_end_points_are_dropped() {
    let _alone = Alone::new();
    // The test's own: told apart from everything else in memory by their look.
    let hidden = |salt: u8| -> Vec<u8> {
        let spread = |n: u8| n.wrapping_mul(73).wrapping_add(salt) ^ n.rotate_left(3);
        (0..32).map(|n| spread(n) ^ MASK).collect()
    };
    let bare = |salt| -> [u8; 32] {
        let mut key = [0; 32];
        for (byte, masked) in key.iter_mut().zip(hidden(salt)) {
            *byte = masked ^ MASK;
        }
        key
    };
    let needles: Vec<_> = [(1, "connection key"), (2, "device's"), (3, "gateway's")]
        .into_iter()
        .map(|(salt, name)| Needle {
            name: name.to_owned(),
            masked: hidden(salt)[16..].to_vec(),
        })
        .collect();
    for backend in BACKENDS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            let setting = Setting {
                backend,
                profile,
                key: bare(1),
                static_keys: (bare(2), bare(3)),
                ..Setting::default()
            };
            let mut world = net::World::perfect(&setting);
            world.associate("device", "gateway");
            assert!(!found(&needles).is_empty(), "the scan finds what is there");
            drop(world);
            let left = found(&needles);
            assert!(left.is_empty(), "{backend:?} {profile:?}: {left:?}");
        }
    }
}
