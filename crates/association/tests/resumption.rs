//! Resumption (rules S1 to S6): `light`, `fresh`, and how they fall back.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use refpoint_association::{
    Config, Credentials, Endpoint, Error, HeldHandle, Modes, Policy, SessionLabel, StoredHandle,
};
use refpoint_keys::Profile;
use refpoint_sim::{Chance, Entropy, Link};
use support::Setting;

const RESUME: u8 = 4;
const INITIATE: u8 = 1;

fn kind(packet: &[u8]) -> u8 {
    packet[0] >> 3
}

fn setting(modes: Modes) -> Setting {
    let week = Duration::from_secs(7 * 24 * 3600);
    Setting {
        policy: Policy::default().with_resumption(modes, week),
        ..Setting::default()
    }
}

/// What the device sent first since the capture began.
fn first_sent(world: &World) -> Vec<u8> {
    let captured = world.net.captured();
    let from_device = captured
        .iter()
        .find(|(_, packet)| packet.from == address(1));
    from_device.expect("the device sent").1.data.clone()
}

/// Both ends talk over the association that the device has newest.
fn talk(world: &mut World) {
    let id = world.log("device").newest();
    world.send("device", id, b"up").expect("may send");
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.log("gateway").payloads().last(), Some(&&b"up"[..]));
    let id = world.log("gateway").newest();
    world.send("gateway", id, b"down").expect("may send");
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.log("device").payloads().last(), Some(&&b"down"[..]));
}

/// A device that has lost its power: what it kept is in its flash.
fn reboot_device(world: &mut World, setting: &Setting) -> Result<(), Error> {
    let flash = world.log("device").held.last().expect("a handle").clone();
    world.reboot("device", setting);
    world.with("device", |endpoint, now, _, _| {
        let held = HeldHandle::from_bytes(now, &flash)?;
        endpoint.restore_held(now, held).map(|_| ())
    })
}

/// A gateway that was killed: what it had written behind is in its store.
fn restart_gateway(world: &mut World, setting: &Setting) -> usize {
    let log = world.log("gateway");
    let stored: Vec<_> = log.issued.iter().collect();
    let bytes: Vec<_> = stored
        .iter()
        .filter(|stored| !log.gone.contains(&stored.id()))
        .map(|stored| stored.expose_bytes().to_vec())
        .collect();
    let (local, credential) = setting.responder();
    let mut credentials = Credentials::new();
    credentials.insert(credential).expect("the first one");
    let host = world.host("gateway");
    let keys = host.endpoint.responder_keys();
    let mut rng = Entropy::new(77, "restart");
    host.endpoint =
        Endpoint::new(Config::default(), local, credentials, &mut rng).with_responder_keys(&keys);
    world.with("gateway", |endpoint, now, _, _| {
        let restored = bytes.iter().filter(|bytes| {
            let stored = StoredHandle::from_bytes(bytes).expect("its own bytes");
            endpoint.restore_issued(now, &stored).is_ok()
        });
        restored.count()
    })
}

#[test]
fn a_device_that_lost_its_power_comes_back_with_one_light_exchange() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let setting = Setting {
            profile,
            ..setting(Modes::BOTH)
        };
        let mut world = World::perfect(&setting);
        world.associate("device", "gateway");
        assert_eq!(world.host("gateway").endpoint.issued(), 1);
        reboot_device(&mut world, &setting).expect("restored");
        world.net.start_capture();
        world.associate("device", "gateway");
        assert_eq!(kind(&first_sent(&world)), RESUME);
        let statistics = world.host("gateway").endpoint.statistics();
        assert_eq!((statistics.resumed, statistics.answered), (1, 1));
        let peer = world.with("gateway", |endpoint, _, _, log| {
            endpoint.peer(log.newest()).expect("lives").profile()
        });
        assert_eq!(peer, profile, "the profile that had proved it");
        talk(&mut world);
        // The old association drains, the redeemed handle is gone, the next one is there.
        assert_eq!(world.host("gateway").endpoint.issued(), 1);
        assert_eq!(world.log("gateway").replaced.len(), 1);
    }
}

#[test]
fn a_chain_of_resumptions_goes_on_in_both_modes_suites_and_backends() {
    for modes in [Modes::BOTH, Modes::FRESH] {
        for suite in support::SUITES {
            for backend in support::BACKENDS {
                let setting = Setting {
                    suite,
                    backend,
                    ..setting(modes)
                };
                let mut world = World::perfect(&setting);
                world.associate("device", "gateway");
                for round in 1..=5 {
                    world.associate("device", "gateway");
                    talk(&mut world);
                    let statistics = world.host("gateway").endpoint.statistics();
                    assert_eq!((statistics.resumed, statistics.answered), (round, 1));
                }
            }
        }
    }
}

#[test]
fn light_takes_at_most_96_bytes_and_fresh_at_most_150() {
    for (modes, limit) in [(Modes::BOTH, 96), (Modes::FRESH, 150)] {
        let mut world = World::perfect(&setting(modes));
        world.associate("device", "gateway");
        world.net.start_capture();
        world.associate("device", "gateway");
        let sizes: Vec<_> = world.net.captured()[..2]
            .iter()
            .map(|(_, packet)| packet.data.len())
            .collect();
        println!("{modes:?}: {sizes:?}");
        assert!(sizes.iter().sum::<usize>() <= limit, "{sizes:?}");
    }
}

#[test]
fn a_gateway_that_was_killed_resumes_what_its_store_has() {
    let setting = setting(Modes::BOTH);
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    assert_eq!(restart_gateway(&mut world, &setting), 1);
    // The device notices by a refusal of its next record, and resumes beside what it has.
    let id = world.log("device").newest();
    world.net.start_capture();
    world.send("device", id, b"lost").expect("may send");
    world.run_for(Duration::from_millis(200));
    let kinds: Vec<_> = world
        .net
        .captured()
        .iter()
        .map(|(_, packet)| kind(&packet.data))
        .collect();
    assert!(
        kinds.contains(&RESUME) && !kinds.contains(&INITIATE),
        "{kinds:?}"
    );
    talk(&mut world);
}

#[test]
fn a_handle_may_be_redeemed_again_after_a_crash_under_other_keys() {
    let setting = setting(Modes::BOTH);
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    let flash = world.log("device").held.last().expect("a handle").clone();
    let mut exports = Vec::new();
    for _ in 0..2 {
        world.reboot("device", &setting);
        // The claim was not written before the crash: the store still has the first handle.
        world.host("gateway").log.gone.clear();
        world.host("gateway").log.issued.truncate(1);
        assert_eq!(restart_gateway(&mut world, &setting), 1);
        world.with("device", |endpoint, now, _, _| {
            let held = HeldHandle::from_bytes(now, &flash).expect("its own bytes");
            endpoint.restore_held(now, held).expect("fits");
        });
        world.associate("device", "gateway");
        assert_eq!(world.host("gateway").endpoint.statistics().resumed, 1);
        exports.push(world.with("device", |endpoint, _, _, log| {
            let mut out = [0; 32];
            endpoint
                .export(log.newest(), b"test", b"", &mut out)
                .expect("lives");
            out
        }));
    }
    assert_ne!(exports[0], exports[1]);
}

#[test]
fn what_cannot_be_redeemed_falls_back_to_a_full_handshake_with_one_reason() {
    let setting = setting(Modes::BOTH);
    // Unknown: the gateway has lost its store and its keys.
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    world.reboot("gateway", &setting);
    world.associate("device", "gateway");
    assert_eq!(world.log("device").not_resumed, [Error::Handle]);
    assert_eq!(world.host("gateway").endpoint.statistics().refused, 2);
    talk(&mut world);

    // Used: another who had the same flash was first.
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    let flash = world.log("device").held.last().expect("a handle").clone();
    world.associate("device", "gateway");
    world.reboot("device", &setting);
    world.with("device", |endpoint, now, _, _| {
        let held = HeldHandle::from_bytes(now, &flash).expect("its own bytes");
        endpoint.restore_held(now, held).expect("fits");
    });
    world.associate("device", "gateway");
    assert_eq!(world.log("device").not_resumed, [Error::Handle]);
    talk(&mut world);

    // Revoked: the credential's generation was raised.
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    let (local, credential) = setting.responder();
    let mut credentials = Credentials::new();
    credentials
        .insert(credential.with_generation(1))
        .expect("the first one");
    let mut rng = Entropy::new(5, "restart");
    let stored = world.host("gateway").log.issued.last().expect("one");
    let stored = StoredHandle::from_bytes(stored.expose_bytes()).expect("its own");
    let host = world.host("gateway");
    let keys = host.endpoint.responder_keys();
    host.endpoint =
        Endpoint::new(Config::default(), local, credentials, &mut rng).with_responder_keys(&keys);
    world.with("gateway", |endpoint, now, _, _| {
        endpoint.restore_issued(now, &stored).expect("is restored");
    });
    world.associate("device", "gateway");
    assert_eq!(world.log("device").not_resumed, [Error::Handle]);
}

#[test]
fn a_handle_ends_with_its_time_and_its_chain_with_the_age_of_the_last_full_handshake() {
    let policy = Policy::default().with_resumption(Modes::BOTH, Duration::from_secs(600));
    let setting = Setting {
        policy,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    let mut full = 0;
    for _ in 0..30 {
        world.run_for(Duration::from_secs(50));
        let before = world.host("gateway").endpoint.statistics().answered;
        world.associate("device", "gateway");
        full += world.host("gateway").endpoint.statistics().answered - before;
    }
    assert_eq!(full, 2, "one each 600 s, of 1 500");
}

#[test]
fn a_full_handshake_ends_the_older_handles_of_its_entity() {
    let setting = setting(Modes::BOTH);
    let mut world = World::perfect(&setting);
    let label = SessionLabel::new(b"other").expect("short");
    world.associate("device", "gateway");
    world.connect_with("device", address(2), label);
    world.run_for(Duration::from_secs(1));
    assert_eq!(
        world.host("gateway").endpoint.issued(),
        1,
        "the second handshake ended the handle of the first"
    );
    world.associate("device", "gateway");
    assert_eq!(world.log("device").not_resumed, [Error::Handle]);
}

#[test]
fn fresh_only_never_becomes_light() {
    // The gateway allows `fresh` only; the device's policy would prefer `light`.
    let mut world = World::perfect(&setting(Modes::BOTH));
    world.add(
        "gateway",
        2,
        Config::default(),
        setting(Modes::FRESH).responder(),
    );
    world.associate("device", "gateway");
    world.net.start_capture();
    world.associate("device", "gateway");
    let resume = first_sent(&world);
    assert_eq!((kind(&resume), resume[2] >> 5), (RESUME, 6));
    // A forged flash that claims `light`: it is refused, and a full handshake follows.
    let mut flash = world.log("device").held.last().expect("a handle").clone();
    flash[3] = 1;
    world.reboot("device", &setting(Modes::BOTH));
    world.with("device", |endpoint, now, _, _| {
        let held = HeldHandle::from_bytes(now, &flash).expect("well-formed");
        endpoint.restore_held(now, held).expect("fits");
    });
    let before = world.net.captured().len();
    world.associate("device", "gateway");
    let sent = world.net.captured()[before..].iter();
    let first = sent
        .map(|(_, packet)| packet)
        .find(|packet| packet.from == address(1));
    assert_eq!(first.expect("the device sent").data[2] >> 5, 5);
    assert_eq!(world.log("device").not_resumed, [Error::Handle]);
}

#[test]
fn resumption_survives_a_bad_link() {
    for seed in 0..20 {
        let link = Link::perfect()
            .with_delay(Duration::from_millis(20))
            .with_loss(Chance::percent(30))
            .with_duplication(Chance::percent(20))
            .with_jitter(Duration::from_millis(30));
        let setting = setting(if seed % 2 == 0 {
            Modes::BOTH
        } else {
            Modes::FRESH
        });
        let mut world = World::new(seed, link, &setting);
        world.associate("device", "gateway");
        world.run_for(Duration::from_secs(20));
        for _ in 0..5 {
            world.connect("device", "gateway");
            world.run_for(Duration::from_secs(60));
        }
        let issued = world.host("gateway").endpoint.issued();
        assert_eq!(issued, 1, "seed {seed}: one handle is left");
    }
}
