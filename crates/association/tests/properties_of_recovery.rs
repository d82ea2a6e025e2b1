//! How two ends find each other again: after ties with losses, reboots within a refresh, and
//! outages beyond what a receiver derives ahead (rules H7, H8, L1, R2).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{AssociationId, Policy};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_sim::{Chance, Injector, Link, Packet, Verdict};
use support::Setting;

const ENDS: [(&str, &str); 2] = [("device", "gateway"), ("gateway", "device")];

/// The newest association of an end that can be sent on.
fn usable(world: &World, end: &str) -> Option<AssociationId> {
    let log = world.log(end);
    let gone = |id: &AssociationId| {
        log.closed.iter().any(|(closed, _)| closed == id)
            || log.replaced.iter().any(|(old, _)| old == id)
    };
    let mut ids = log.established.iter().map(|(id, ..)| *id);
    ids.rfind(|id| !gone(id))
}

/// Both ends send once a second, on the newest association they have; gives how many came.
fn talk(world: &mut World, seconds: u64) -> u64 {
    let count = |world: &World| -> usize {
        let ends = ENDS.iter().map(|(end, _)| world.log(end).received.len());
        ends.sum()
    };
    let before = count(world);
    for _ in 0..seconds {
        for (end, _) in ENDS {
            if let Some(id) = usable(world, end) {
                let _ = world.send(end, id, b"x");
            }
        }
        world.run_for(Duration::from_secs(1));
    }
    (count(world) - before) as u64
}

#[test]
fn a_tie_whose_closes_are_lost_ends_well_when_traffic_continues() {
    let (low, high) = ("//sp.example.com/id-aa", "//sp.example.com/id-zz");
    for (a, b) in [(low, high), (high, low)] {
        for seed in 0..150 {
            let setting = Setting {
                initiator: a,
                responder: b,
                point: ReferencePoint::Y,
                ..Setting::default()
            };
            let lossy = Link::perfect()
                .with_delay(Duration::from_millis(5))
                .with_jitter(Duration::from_millis(20))
                .with_loss(Chance::percent(45));
            let mut world = World::new(seed, lossy, &setting);
            world.connect("device", "gateway");
            world.run_for(Duration::from_millis(seed % 9 * 3));
            world.connect("gateway", "device");
            world.run_for(Duration::from_secs(17));
            let well = Link::perfect().with_delay(Duration::from_millis(5));
            world.net.set_default_link(well);
            if ENDS.iter().all(|(end, _)| usable(&world, end).is_none()) {
                world.connect("device", "gateway");
            }
            talk(&mut world, 30);
            assert_eq!(talk(&mut world, 10), 20, "seed {seed}: {a} {b}");
        }
    }
}

#[test]
fn a_reboot_in_the_middle_of_a_refresh_is_found_out_by_the_next_request() {
    for profile in [Profile::Psk, Profile::Known] {
        for rebooting in ["device", "gateway"] {
            for after in 0..60 {
                let setting = Setting {
                    profile,
                    ..Setting::default()
                };
                let mut world = World::perfect(&setting);
                let (device, _) = world.associate("device", "gateway");
                world.with("device", |endpoint, now, rng, out| {
                    endpoint.renew(now, rng, device, out).expect("may refresh");
                });
                world.run_for(Duration::from_millis(after));
                world.reboot(rebooting, &setting);
                if rebooting == "device" {
                    world.connect("device", "gateway");
                }
                world.run_for(Duration::from_millis(100));
                let what = format!("{profile:?}, {rebooting} after {after} ms");
                for _ in 0..3 {
                    if let Some(id) = usable(&world, "device") {
                        let _ = world.send("device", id, b"request");
                    }
                    world.run_for(Duration::from_millis(100));
                }
                assert!(!world.log("gateway").received.is_empty(), "{what}");
                world.run_for(Duration::from_secs(20));
                assert_eq!(world.host("gateway").endpoint.len(), 1, "{what}");
                assert_eq!(world.host("device").endpoint.len(), 1, "{what}");
            }
        }
    }
}

/// Ends whose keys are ratcheted every two seconds, and whose network is dead for so many epochs.
fn after_an_outage(epochs: u64) -> (World, AssociationId) {
    let policy = Policy::default()
        .with_ratchet(Some(Duration::from_secs(2)))
        .expect("valid");
    let setting = Setting {
        policy,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    let dead = |_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop;
    world.net.set_adversary(dead);
    for _ in 0..epochs {
        world.run_for(Duration::from_millis(2_200));
        world.send("device", device, b"lost").expect("may send");
    }
    world.net.remove_adversary();
    let sent = world
        .host("device")
        .endpoint
        .epochs(device)
        .expect("lives")
        .0;
    assert_eq!(sent, epochs);
    (world, device)
}

#[test]
fn an_outage_of_sixty_four_epochs_is_over_with_the_next_record() {
    let (mut world, device) = after_an_outage(64);
    world.send("device", device, b"back").expect("may send");
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.log("gateway").payloads(), [b"back"]);
    // The way back is as good as before.
    let gateway = world.log("gateway").newest();
    world
        .send("gateway", gateway, b"welcome")
        .expect("may send");
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.log("device").payloads(), [b"welcome"]);
}

#[test]
fn beyond_sixty_four_epochs_a_suspicion_brings_a_new_association() {
    let (mut world, device) = after_an_outage(65);
    world.send("device", device, b"unheard").expect("may send");
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.log("gateway").received, [], "too far ahead");
    world.with("device", |endpoint, now, rng, out| {
        endpoint.suspect(now, rng, device, out).expect("lives");
    });
    world.run_for(Duration::from_millis(50));
    let newest = world.log("device").newest();
    world.send("device", newest, b"back").expect("may send");
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.log("gateway").payloads(), [b"back"]);
    assert_eq!(
        world.host("gateway").endpoint.len(),
        1,
        "the old one is gone"
    );
}
