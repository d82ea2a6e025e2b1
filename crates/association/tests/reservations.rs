//! More handshakes than can be made: slots, their tokens and their hints (rules T1 to T3).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use refpoint_association::{Config, Credentials, Endpoint, Error, Modes, Policy, ReservedSlot};
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

#[test]
fn a_device_that_loses_its_power_while_it_waits_comes_in_its_slot_and_in_no_other() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let setting = setting(profile);
        let mut world = busy(&setting);
        let slot = deferred(&mut world);
        let kept = world.log("device").reserved.last().expect("a slot").clone();
        world.reboot("device", &setting);
        let before = world.host("gateway").endpoint.statistics();
        world.net.start_capture();
        let session = world.with("device", |endpoint, now, _, _| {
            let kept = ReservedSlot::from_bytes(&kept).expect("its own bytes");
            assert_eq!(kept.to_bytes().len(), 33);
            endpoint
                .restore_slot(now, kept.clone())
                .expect("its key is there");
            kept.session()
        });
        world.connect_with("device", address(2), session);
        let wait = slot - world.net.now();
        world.run_for(wait - Duration::from_millis(1));
        assert!(world.net.captured().is_empty(), "{profile:?}: it waits");
        // The date is known to a second.
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.log("device").established.len(), 1, "{profile:?}");
        let after = world.host("gateway").endpoint.statistics();
        assert_eq!(
            after.retried, before.retried,
            "{profile:?}: not another slot"
        );
        // It is good once.
        let label = refpoint_association::SessionLabel::new(b"later").expect("short");
        world.net.start_capture();
        world.connect_with("device", address(2), label);
        world.run_for(Duration::from_millis(1));
        assert!(!world.net.captured().is_empty(), "{profile:?}");
    }
}

#[test]
fn a_slot_that_is_past_or_of_another_key_is_not_taken_in() {
    let setting = setting(Profile::Psk);
    let mut world = busy(&setting);
    deferred(&mut world);
    let kept = world.log("device").reserved.last().expect("a slot").clone();
    let kept = ReservedSlot::from_bytes(&kept).expect("its own bytes");
    for len in 0..kept.to_bytes().len() {
        assert!(ReservedSlot::from_bytes(&kept.to_bytes()[..len]).is_err());
    }
    let other = Setting {
        key_id: b"k002",
        ..setting.clone()
    };
    world.reboot("device", &other);
    let restored = world.with("device", |endpoint, now, _, _| {
        endpoint.restore_slot(now, kept.clone())
    });
    assert_eq!(restored, Err(Error::NoCredential));
    world.reboot("device", &setting);
    world.run_for(Duration::from_secs(300));
    let restored = world.with("device", |endpoint, now, _, _| {
        endpoint.restore_slot(now, kept)
    });
    assert_eq!(restored, Err(Error::Expired));
}

/// From how many milliseconds on the device has sent, counted from the first of these packets.
fn sent_at(world: &World, from: Duration) -> Vec<u128> {
    let captured = world.net.captured().iter();
    let sent: Vec<_> = captured
        .filter(|(at, packet)| packet.from == address(1) && *at >= from)
        .map(|(at, _)| at.as_millis())
        .collect();
    let first = sent.first().copied().unwrap_or_default();
    sent.into_iter().map(|at| at - first).collect()
}

#[test]
fn who_is_in_its_slot_repeats_at_once_and_who_comes_after_an_outage_does_not_press() {
    let drop_all = |_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop;
    let gaps =
        |sent: Vec<u128>| -> Vec<u128> { sent.windows(2).map(|pair| pair[1] - pair[0]).collect() };
    // A peer that was there is asked again soon.
    let setting = setting(Profile::Psk);
    let mut world = busy(&setting);
    world.net.set_adversary(drop_all);
    world.net.start_capture();
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(9));
    let first = gaps(sent_at(&world, Duration::ZERO));
    assert!((100..=600).contains(&first[0]), "{first:?}");
    // One that was away is given the time that it may need to answer everybody.
    assert_eq!(world.log("device").failed.len(), 1);
    world.net.start_capture();
    let from = world.net.now();
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(9));
    let second = gaps(sent_at(&world, from));
    assert!(second.iter().all(|gap| *gap >= 2_000), "{second:?}");
    assert!((2_000..=2_500).contains(&second[0]), "{second:?}");
    assert!(second.len() < first.len());
    // And when it has answered once, it is a peer that was there.
    let pass = |_: Duration, _: &Packet, _: &mut Injector| Verdict::Pass;
    world.net.set_adversary(pass);
    world.associate("device", "gateway");
    world.net.set_adversary(drop_all);
    world.net.start_capture();
    let from = world.net.now();
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(2));
    let third = gaps(sent_at(&world, from));
    assert!((100..=600).contains(&third[0]), "{third:?}");
    // In its slot it is expected, by a peer that is busy.
    let mut world = busy(&setting);
    let slot = deferred(&mut world);
    world.net.set_adversary(drop_all);
    world.net.start_capture();
    let wait = slot - world.net.now();
    world.run_for(wait + Duration::from_secs(5));
    let fourth = gaps(sent_at(&world, slot));
    assert!((300..=800).contains(&fourth[0]), "{fourth:?}");
    assert!(fourth.iter().all(|gap| *gap >= 300), "{fourth:?}");
}
