//! More handshakes than can be made: slots, their tokens and their hints (rules T1 to T3).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use refpoint_association::{Config, Credentials, Endpoint, Modes, Policy};
use refpoint_keys::Profile;
use refpoint_sim::{Adversary, Entropy, Injector, Packet, Verdict};
use support::Setting;

/// One handshake a second.
fn slow() -> Config {
    Config::default().with_handshakes_per_second(1)
}

fn busy(setting: &Setting) -> World {
    let mut world = World::perfect(setting);
    world.add("device", 1, Config::default(), setting.initiator());
    world.add("gateway", 2, slow(), setting.responder());
    world
}

/// Connects until the gateway has given a slot, and gives the slot.
fn deferred(world: &mut World) -> Duration {
    for label in 0..50_u8 {
        let label = refpoint_association::SessionLabel::new(&[label]).expect("short");
        world.connect_with("device", address(2), label);
        world.run_for(Duration::from_millis(45));
        if let Some(slot) = world.log("device").deferred.last() {
            return *slot;
        }
    }
    panic!("the gateway never was busy");
}

fn setting(profile: Profile) -> Setting {
    Setting {
        profile,
        policy: Policy::default().with_resumption(Modes::NONE, Duration::ZERO),
        ..Setting::default()
    }
}

#[test]
fn who_is_deferred_comes_back_in_its_slot_and_is_served() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let mut world = busy(&setting(profile));
        let slot = deferred(&mut world);
        let (now, established) = (world.net.now(), world.log("device").established.len());
        assert!(slot > now && slot < now + Duration::from_secs(30));
        world.net.start_capture();
        world.run_for(slot - now - Duration::from_millis(1));
        let quiet = world
            .net
            .captured()
            .iter()
            .filter(|(_, packet)| packet.data[0] >> 3 == 1);
        assert_eq!(quiet.count(), 0, "{profile:?}: it waits");
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.log("device").established.len(), established + 1);
        assert!(world.log("device").failed.is_empty());
    }
}

#[test]
fn a_slot_outlives_a_restart_of_the_gateway_with_its_keys() {
    let setting = setting(Profile::Psk);
    let mut world = busy(&setting);
    let slot = deferred(&mut world);
    let established = world.log("device").established.len();
    let (local, credential) = setting.responder();
    let mut credentials = Credentials::new();
    credentials.insert(credential).expect("the first one");
    let host = world.host("gateway");
    let keys = host.endpoint.responder_keys();
    let mut rng = Entropy::new(9, "restart");
    host.endpoint = Endpoint::new(slow(), local, credentials, &mut rng).with_responder_keys(&keys);
    let now = world.net.now();
    world.run_for(slot - now + Duration::from_secs(2));
    assert_eq!(world.log("device").established.len(), established + 1);
}

/// Replays every Initiate many times, from many addresses.
struct Replays;

impl Adversary for Replays {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if packet.data[0] >> 3 == 1 {
            for last in 100..200 {
                injector.inject(
                    Duration::ZERO,
                    address(last),
                    packet.to,
                    packet.data.clone(),
                );
            }
        }
        Verdict::Pass
    }
}

#[test]
fn an_entity_has_one_slot_however_often_its_initiate_is_replayed() {
    let mut world = busy(&setting(Profile::Psk));
    world.net.set_adversary(Replays);
    let slot = deferred(&mut world);
    // A hundred replays of each would be a hundred seconds.
    assert!(slot < world.net.now() + Duration::from_secs(20), "{slot:?}");
    let now = world.net.now();
    world.run_for(slot - now + Duration::from_secs(5));
    assert!(world.log("device").failed.is_empty());
}

/// Forges hints: a slot an hour away for each Initiate and Resume.
struct ForgedHints;

impl Adversary for ForgedHints {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if matches!(packet.data[0] >> 3, 1 | 4) {
            use sha2::Digest;
            let echo = sha2::Sha256::digest(&packet.data);
            let hour = 3_600_000_u32.to_be_bytes();
            let head = [6 << 3 | 1, packet.data[4]];
            let forged = [&head[..], &echo[..8], &[7; 16], &hour, &[9; 8]].concat();
            injector.inject(Duration::ZERO, packet.to, packet.from, forged);
        }
        Verdict::Pass
    }
}

#[test]
fn a_forged_hint_keeps_nobody_away() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let mut world = World::perfect(&Setting {
            profile,
            ..Setting::default()
        });
        world.net.set_adversary(ForgedHints);
        world.associate("device", "gateway");
        world.associate("device", "gateway");
        assert!(world.log("device").deferred.is_empty());
    }
}

#[test]
fn a_replayed_hint_belongs_to_one_request() {
    let mut world = busy(&setting(Profile::Psk));
    world.net.start_capture();
    deferred(&mut world);
    let captured = world.net.captured().iter();
    let retry = captured
        .map(|(_, packet)| packet.clone())
        .rfind(|packet| packet.data[0] >> 3 == 6)
        .expect("one");
    world.run_for(Duration::from_secs(30));
    let before = world.log("device").deferred.len();
    let label = refpoint_association::SessionLabel::new(b"later").expect("short");
    world.connect_with("device", address(2), label);
    let mut bytes = retry.data.clone();
    world.with("device", |endpoint, now, rng, out| {
        endpoint.receive(now, rng, retry.from, &mut bytes, out);
    });
    assert_eq!(world.log("device").deferred.len(), before);
}

#[test]
fn fresh_resumptions_wait_for_their_slot_too_and_light_ones_do_not() {
    for (modes, waits) in [(Modes::FRESH, true), (Modes::BOTH, false)] {
        let week = Duration::from_secs(7 * 24 * 3600);
        let setting = Setting {
            policy: Policy::default().with_resumption(modes, week),
            ..Setting::default()
        };
        let mut world = busy(&setting);
        world.associate("device", "gateway");
        for _ in 0..10 {
            if world.log("device").deferred.is_empty() {
                world.connect("device", "gateway");
                world.run_for(Duration::from_millis(45));
            }
        }
        assert_eq!(!world.log("device").deferred.is_empty(), waits, "{modes:?}");
        world.run_for(Duration::from_secs(30));
        assert!(world.log("device").failed.is_empty());
        assert_eq!(world.host("gateway").endpoint.len(), 1);
    }
}
