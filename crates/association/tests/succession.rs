//! Rules H5, H7, H8: lost state, reboots, both ends initiating at once.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{CloseReason, Error, SessionLabel};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_sim::{Adversary, Chance, Injector, Link, Packet, Verdict};
use support::Setting;

const LOW: &str = "//sp.example.com/id-aa";
const HIGH: &str = "//sp.example.com/id-zz";

/// Two nodes on Y: the 'device' has the lower id, or the higher one.
fn nodes(initiator: &'static str, responder: &'static str) -> Setting {
    Setting {
        initiator,
        responder,
        point: ReferencePoint::Y,
        ..Setting::default()
    }
}

/// Drops every packet.
struct Drops;

impl Adversary for Drops {
    fn intercept(&mut self, _: Duration, _: &Packet, _: &mut Injector) -> Verdict {
        Verdict::Drop
    }
}

#[test]
fn a_new_association_replaces_the_old_one_of_the_same_direction() {
    let mut world = World::perfect(&Setting::default());
    let (first, _) = world.associate("device", "gateway");
    let (second, gateway) = world.associate("device", "gateway");
    assert_eq!(world.log("device").replaced, [(first, second)]);
    assert!(
        world.send("device", first, b"x").is_err(),
        "the old one only receives"
    );
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.host("device").endpoint.len(), 1);
    assert_eq!(world.host("gateway").endpoint.len(), 1);
    world
        .send("gateway", gateway, b"x")
        .expect("the new one lives");
}

#[test]
fn a_confirmation_that_comes_after_that_of_a_newer_association_strands_nothing() {
    let mut world = World::perfect(&Setting::default());
    world.connect("device", "gateway");
    world.run_until(Duration::from_secs(1), |world| {
        !world.log("device").established.is_empty()
    });
    let old = world.log("device").newest();
    // The confirmation is delayed beyond a second handshake.
    let late = world.net.drain();
    let (newer, at_gateway) = world.associate("device", "gateway");
    assert_eq!(world.log("device").replaced, [(old, newer)]);
    // And the device's Close is lost, like all that it sends from now on.
    world.net.set_adversary(Drops);
    for (_, mut packet) in late {
        world.with("gateway", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, packet.from, &mut packet.data, out);
        });
    }
    assert_eq!(world.log("gateway").established.len(), 2, "it is genuine");
    let confirmed = world.log("gateway").newest();
    assert_eq!(world.log("gateway").replaced, [(confirmed, at_gateway)]);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.host("gateway").endpoint.len(), 1);
    world
        .send("gateway", at_gateway, b"x")
        .expect("the newer one lives");
}

#[test]
fn of_several_handshakes_at_once_the_first_that_is_answered_makes_the_association() {
    let mut world = World::perfect(&Setting::default());
    let outrun = world.connect("device", "gateway");
    world.run_until(Duration::from_secs(1), |world| {
        world.hosts["gateway"].endpoint.len() == 1
    });
    // Its answer is delayed beyond a second handshake, which the gateway takes for the newer one.
    let late = world.net.drain();
    let (device, gateway) = world.associate("device", "gateway");
    let replaced = Error::Closed(CloseReason::Replaced);
    assert_eq!(world.log("device").failed, [(outrun, replaced)]);
    for (_, mut packet) in late {
        world.with("device", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, packet.from, &mut packet.data, out);
        });
    }
    world.run_for(Duration::from_secs(20));
    for (name, id) in [("device", device), ("gateway", gateway)] {
        assert_eq!(world.log(name).established.len(), 1, "{name}");
        assert_eq!(world.host(name).endpoint.len(), 1, "{name}");
        world.send(name, id, b"x").expect("it lives");
    }
}

#[test]
fn session_labels_keep_associations_apart() {
    let mut world = World::perfect(&Setting::default());
    world.associate("device", "gateway");
    let label = SessionLabel::new(b"bulk").expect("short");
    let target = world.host("gateway").address;
    world.connect_with("device", target, label);
    world.run_for(Duration::from_secs(20));
    assert!(world.log("device").replaced.is_empty());
    assert_eq!(world.host("gateway").endpoint.len(), 2);
}

#[test]
fn a_gateway_that_lost_its_state_is_found_out_in_one_round_trip() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    world.reboot("gateway", &setting);
    let start = world.net.now();
    world.send("device", device, b"lost").expect("may send");
    world.run_until(Duration::from_secs(10), |world| {
        world.log("device").established.len() == 2
    });
    let again = world.log("device").newest();
    world.send("device", again, b"again").expect("may send");
    world.run_until(Duration::from_secs(10), |world| {
        !world.log("gateway").received.is_empty()
    });
    // A round trip takes 20 ms: one for the refusal, one for the handshake, half for the request.
    assert!(
        world.net.now() - start <= Duration::from_millis(51),
        "{:?}",
        world.net.now() - start
    );
}

#[test]
fn a_device_that_lost_its_state_just_connects_again() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    world.reboot("device", &setting);
    world.associate("device", "gateway");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.host("gateway").endpoint.len(), 1);
}

#[test]
fn an_unauthenticated_refusal_ends_nothing() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    world.net.start_capture();
    world.send("device", device, b"a").expect("may send");
    world.run_for(Duration::from_secs(1));
    let record = world.net.captured()[0].1.clone();
    // The index of the gateway, from the record, in a forged refusal, many times.
    let forged = [&[7 << 3 | 4, 1], &record.data[1..5]].concat();
    let from = world.host("gateway").address;
    for _ in 0..100 {
        let mut forged = forged.clone();
        world.with("device", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, from, &mut forged, out);
        });
        world.send("device", device, b"b").ok();
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_secs(1));
    let delivered = world.log("gateway").received.len();
    assert!(world.log("device").closed.is_empty());
    assert!(
        delivered >= 2,
        "the old association carried {delivered} records"
    );
    let started = world.log("device").established.len() - 1;
    assert!(
        started <= 20,
        "{started} handshakes were provoked in two seconds"
    );
    let _ = gateway;
}

#[test]
fn both_ends_initiating_at_once_end_with_one_association() {
    for (seed, (a, b)) in [(LOW, HIGH), (HIGH, LOW)]
        .into_iter()
        .cycle()
        .take(60)
        .enumerate()
    {
        for profile in [Profile::Psk, Profile::Known] {
            let setting = Setting {
                profile,
                ..nodes(a, b)
            };
            let link = Link::perfect()
                .with_delay(Duration::from_millis(10))
                .with_jitter(Duration::from_millis(15))
                .with_loss(Chance::percent(if seed % 3 == 0 { 20 } else { 0 }));
            let mut world = World::new(seed as u64, link, &setting);
            world.connect("device", "gateway");
            world.run_for(Duration::from_millis((seed as u64 % 5) * 7));
            world.connect("gateway", "device");
            world.run_for(Duration::from_secs(30));
            let left = world.host("device").endpoint.len();
            assert_eq!(left, world.host("gateway").endpoint.len(), "seed {seed}");
            assert_eq!(left, 1, "seed {seed}: {profile:?} {a} {b}");
        }
    }
}
