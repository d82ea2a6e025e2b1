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
use refpoint_sim::{Chance, Entropy, Injector, Link, Packet, Verdict};
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
    for modes in [Modes::BOTH, Modes::FRESH] {
        let policy = Policy::default().with_resumption(modes, Duration::from_secs(600));
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
        assert_eq!(full, 2, "{modes:?}: one each 600 s, of 1 500");
        // The device knows when its handles end: none was tried in vain.
        assert_eq!(world.log("device").not_resumed, [], "{modes:?}");
    }
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

/// Nobody hears a Resume.
fn deaf(_: Duration, packet: &Packet, _: &mut Injector) -> Verdict {
    if kind(&packet.data) == RESUME {
        Verdict::Drop
    } else {
        Verdict::Pass
    }
}

/// Nobody hears anything.
fn nobody(_: Duration, _: &Packet, _: &mut Injector) -> Verdict {
    Verdict::Drop
}

/// The other device hears nothing.
fn half_open(_: Duration, packet: &Packet, _: &mut Injector) -> Verdict {
    if packet.to == address(3) {
        Verdict::Drop
    } else {
        Verdict::Pass
    }
}

fn sent_by_device(world: &World, of_kind: u8) -> usize {
    let sent = world.net.captured().iter();
    let of_device = sent.filter(|(_, packet)| packet.from == address(1));
    of_device
        .filter(|(_, packet)| kind(&packet.data) == of_kind)
        .count()
}

#[test]
fn whoever_comes_back_from_an_outage_finds_a_resume_to_answer() {
    for modes in [Modes::BOTH, Modes::FRESH] {
        let (mut resumed, mut answered) = (0, 0);
        for seed in 0..60 {
            let delay = Duration::from_millis(10);
            let setting = setting(modes);
            let mut world = World::new(seed, Link::perfect().with_delay(delay), &setting);
            world.associate("device", "gateway");
            world.run_for(Duration::from_secs(20));
            let (now, away) = (world.net.now(), Duration::from_millis(2_000 + 80 * seed));
            let link = Link::perfect().with_delay(delay);
            world
                .net
                .set_default_link(link.with_blackout(now..now + away));
            world.associate("device", "gateway");
            talk(&mut world);
            let statistics = world.host("gateway").endpoint.statistics();
            resumed += statistics.resumed;
            answered += statistics.answered - 1;
            assert_eq!(world.host("gateway").endpoint.issued(), 1);
        }
        assert!(
            resumed >= 48,
            "{modes:?}: {resumed} resumed, {answered} not"
        );
        assert!(resumed + answered >= 60);
    }
}

#[test]
fn who_gets_no_answer_to_a_resume_gets_one_to_an_initiate_in_three_seconds() {
    for modes in [Modes::BOTH, Modes::FRESH] {
        let mut world = World::perfect(&setting(modes));
        world.associate("device", "gateway");
        world.net.set_adversary(deaf);
        let begun = world.net.now();
        world.associate("device", "gateway");
        let took = world.net.now() - begun;
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(world.log("device").not_resumed, [Error::NoAnswer]);
        talk(&mut world);
    }
}

#[test]
fn while_nobody_answers_resumes_and_initiates_take_turns_and_are_few() {
    let mut world = World::perfect(&setting(Modes::BOTH));
    world.associate("device", "gateway");
    world.hosts.remove("gateway");
    world.net.start_capture();
    world.connect_with("device", address(2), SessionLabel::default());
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.log("device").failed.len(), 1);
    assert_eq!(world.log("device").not_resumed, [Error::NoAnswer]);
    let (resumes, initiates) = (
        sent_by_device(&world, RESUME),
        sent_by_device(&world, INITIATE),
    );
    assert!(initiates >= 3, "{initiates}");
    assert!(resumes > initiates, "{resumes}, {initiates}");
    assert!(resumes + initiates <= 24, "{resumes}, {initiates}");
    let left = world.host("device").endpoint.len();
    assert_eq!(left, 1, "the association of before");
}

/// The gateway, restarted on its store, asks everybody who is not served at once for a cookie.
fn restart_busy_gateway(world: &mut World) {
    let issued = world.log("gateway").issued.iter();
    let stored: Vec<_> = issued
        .map(|stored| stored.expose_bytes().to_vec())
        .collect();
    let (local, credential) = setting(Modes::BOTH).responder();
    let mut credentials = Credentials::new();
    credentials.insert(credential).expect("the first one");
    let host = world.host("gateway");
    let keys = host.endpoint.responder_keys();
    let (config, rng) = (Config::default(), &mut Entropy::new(78, "restart"));
    let config = config.with_handshakes_per_second(0);
    host.endpoint = Endpoint::new(config, local, credentials, rng).with_responder_keys(&keys);
    world.with("gateway", |endpoint, now, _, _| {
        for bytes in &stored {
            let stored = StoredHandle::from_bytes(bytes).expect("its own bytes");
            endpoint.restore_issued(now, &stored).expect("restored");
        }
    });
}

#[test]
fn a_busy_responder_that_asks_an_initiate_for_a_cookie_serves_the_resume_beside_it() {
    let mut world = World::perfect(&setting(Modes::BOTH));
    world.associate("device", "gateway");
    restart_busy_gateway(&mut world);
    world.net.set_adversary(deaf);
    world.connect("device", "gateway");
    world.run_until(Duration::from_secs(10), |world| {
        world.hosts["gateway"].endpoint.statistics().retried > 0
    });
    world.net.remove_adversary();
    world.run_for(Duration::from_secs(1));
    let statistics = world.host("gateway").endpoint.statistics();
    assert_eq!((statistics.resumed, statistics.answered), (1, 0));
    talk(&mut world);
}

#[test]
fn a_responder_that_gives_a_resume_a_slot_gets_it_again_and_no_initiate() {
    let mut resumed = 0;
    for seed in 0..20 {
        let link = Link::perfect().with_delay(Duration::from_millis(10));
        let mut world = World::new(seed, link, &setting(Modes::FRESH));
        let slow = Config::default().with_handshakes_per_second(1);
        world.add("gateway", 2, slow, setting(Modes::FRESH).responder());
        world.associate("device", "gateway");
        world.run_for(Duration::from_secs(20));
        world.add(
            "other",
            3,
            Config::default(),
            setting(Modes::FRESH).initiator(),
        );
        world.net.set_adversary(nobody);
        let attempt = world.connect("device", "gateway");
        world.run_until(Duration::from_secs(10), |world| {
            !world.log("device").not_resumed.is_empty()
        });
        // Others come first, and never confirm.
        world.net.set_adversary(half_open);
        for label in 0..3 {
            let label = SessionLabel::new(&[label]).expect("short");
            world.connect_with("other", address(2), label);
        }
        world.run_for(Duration::from_secs(60));
        let established = world.log("device").established.iter();
        let made = established.filter(|(_, by, _)| *by == Some(attempt));
        assert_eq!(made.count(), 1, "seed {seed}");
        resumed += world.host("gateway").endpoint.statistics().resumed;
    }
    // The rest comes so late that its slot is past.
    assert!(resumed >= 13, "{resumed}");
}
