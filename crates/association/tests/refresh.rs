//! Rules L1, L2: a new handshake inside the old association, before it breaks.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::Policy;
use refpoint_keys::Profile;
use refpoint_sim::{Chance, Link};
use support::Setting;

fn setting() -> Setting {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(1024))
        .expect("valid");
    Setting {
        policy,
        ..Setting::default()
    }
}

#[test]
fn an_association_is_refreshed_between_a_quarter_and_half_of_its_life() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let mut world = World::perfect(&Setting {
            profile,
            ..setting()
        });
        world.associate("device", "gateway");
        let start = world.net.now();
        world.run_for(Duration::from_secs(250));
        assert!(world.log("device").replaced.is_empty());
        world.run_until(Duration::from_secs(1024), |world| {
            !world.log("device").replaced.is_empty()
        });
        let after = world.net.now() - start;
        assert!(
            after < Duration::from_secs(515),
            "refreshed after {after:?}"
        );
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.log("gateway").replaced.len(), 1);
    }
}

#[test]
fn associations_live_on_for_ever_by_refreshes_and_nothing_is_lost() {
    let link = Link::perfect()
        .with_delay(Duration::from_millis(20))
        .with_loss(Chance::percent(10));
    let mut world = World::new(5, link, &setting());
    world.associate("device", "gateway");
    for _ in 0..100 {
        world.run_for(Duration::from_secs(100));
        let id = world.log("device").newest();
        world
            .send("device", id, b"alive")
            .expect("there is always one to send on");
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.log("device").replaced.len() >= 10);
    assert!(
        world.log("device").closed.is_empty(),
        "{:?}",
        world.log("device").closed
    );
    assert!(world.log("gateway").received.len() >= 75);
}

#[test]
fn a_responder_asks_for_a_refresh_and_never_initiates_one() {
    let mut world = World::perfect(&setting());
    let (_, gateway) = world.associate("device", "gateway");
    world.with("gateway", |endpoint, now, rng, out| {
        endpoint.renew(now, rng, gateway, out).expect("may ask");
    });
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("device").replaced.len(), 1);
    assert_eq!(world.log("gateway").replaced.len(), 1);
    assert_eq!(
        world
            .log("gateway")
            .established
            .last()
            .expect("established")
            .1,
        None
    );
}

#[test]
fn records_under_way_during_a_refresh_are_delivered() {
    let mut world = World::perfect(&setting());
    let (device, gateway) = world.associate("device", "gateway");
    world.with("device", |endpoint, now, rng, out| {
        endpoint.renew(now, rng, device, out).expect("may");
    });
    for number in 0..20_u8 {
        let up = world.log("device").newest();
        world.send("device", up, &[number]).expect("may send");
        let down = world.log("gateway").newest();
        world.send("gateway", down, &[number]).expect("may send");
        world.run_for(Duration::from_millis(3));
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").received.len(), 20);
    assert_eq!(world.log("device").received.len(), 20);
    assert_eq!(world.log("device").replaced.len(), 1);
    let _ = gateway;
}

#[test]
fn a_refresh_cannot_be_moved_into_another_association() {
    // The Initiate of a refresh is bound to the exporter of the association around it: outside,
    // or inside another one, it does not authenticate.
    let mut world = World::perfect(&setting());
    let (device, _) = world.associate("device", "gateway");
    let other = World::perfect(&Setting {
        key: [9; 32],
        ..setting()
    });
    let mut initiate = None;
    world.with("device", |endpoint, now, rng, out| {
        endpoint.renew(now, rng, device, out).expect("may");
        initiate = out.sent.pop();
    });
    // What travels is one record; its content is not visible, so replaying it to another gateway
    // is all that an attacker has.
    let (_, mut packet) = initiate.expect("something was sent");
    let mut other = other;
    other.associate("device", "gateway");
    let from = other.host("device").address;
    let before = other.host("gateway").endpoint.len();
    other.with("gateway", |endpoint, now, rng, out| {
        endpoint.receive(now, rng, from, &mut packet, out);
    });
    assert_eq!(other.host("gateway").endpoint.len(), before);
}
