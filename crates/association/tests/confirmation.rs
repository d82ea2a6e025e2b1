//! Rule H6: who has confirmed what, and that a lost confirmation strands nobody.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::Error;
use refpoint_keys::Profile;
use refpoint_sim::{Adversary, Chance, Injector, Link, Packet, Verdict};
use support::{BACKENDS, SUITES, Setting};

/// Drops the nth packets, counted from 0.
struct Drops(Vec<usize>, usize);

impl Adversary for Drops {
    fn intercept(&mut self, _: Duration, _: &Packet, _: &mut Injector) -> Verdict {
        let drop = self.0.contains(&self.1);
        self.1 += 1;
        if drop { Verdict::Drop } else { Verdict::Pass }
    }
}

#[test]
fn every_profile_suite_and_backend_associates_and_carries_data() {
    for backend in BACKENDS {
        for suite in SUITES {
            for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
                let setting = Setting {
                    backend,
                    suite,
                    profile,
                    ..Setting::default()
                };
                let mut world = World::perfect(&setting);
                let (device, gateway) = world.associate("device", "gateway");
                world.send("device", device, b"up").expect("may send");
                world.send("gateway", gateway, b"down").expect("may send");
                world.run_for(Duration::from_secs(1));
                assert_eq!(world.log("gateway").payloads(), [b"up"]);
                assert_eq!(world.log("device").payloads(), [b"down"]);
                assert_eq!(world.log("gateway").established[0].2, support::INITIATOR);
            }
        }
    }
}

#[test]
fn the_first_record_carries_data_and_confirms() {
    let mut world = World::perfect(&Setting::default());
    world.connect("device", "gateway");
    world.run_until(Duration::from_secs(1), |world| {
        !world.log("device").established.is_empty()
    });
    let id = world.log("device").newest();
    world
        .send("device", id, b"at once")
        .expect("may send before the answer");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").payloads(), [b"at once"]);
}

#[test]
fn any_lost_packet_of_the_handshake_only_delays_it() {
    for lost in 0..4 {
        let mut world = World::perfect(&Setting::default());
        world.net.set_adversary(Drops(vec![lost], 0));
        let (device, gateway) = world.associate("device", "gateway");
        world.send("device", device, b"up").expect("may send");
        world.send("gateway", gateway, b"down").expect("may send");
        world.run_for(Duration::from_secs(5));
        assert_eq!(
            world.log("gateway").payloads(),
            [b"up"],
            "packet {lost} was lost"
        );
        assert_eq!(
            world.log("device").payloads(),
            [b"down"],
            "packet {lost} was lost"
        );
    }
}

#[test]
fn all_confirmations_lost_ends_both_sides_with_a_clear_error() {
    let mut world = World::perfect(&Setting::default());
    // The handshake passes, everything after it is lost.
    world.net.set_adversary(Drops((2..1000).collect(), 0));
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.log("device").closed.len(), 1);
    assert_eq!(world.log("device").closed[0].1, Error::NoAnswer);
    assert!(
        world.log("gateway").established.is_empty(),
        "nobody has confirmed"
    );
    assert_eq!(
        world.host("gateway").endpoint.len(),
        0,
        "nothing is left half-open"
    );
}

#[test]
fn an_unreachable_peer_fails_the_attempt_in_time() {
    let mut world = World::perfect(&Setting::default());
    world.net.set_adversary(Drops((0..1000).collect(), 0));
    let attempt = world.connect("device", "gateway");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.log("device").failed, [(attempt, Error::NoAnswer)]);
    assert_eq!(world.host("device").endpoint.len(), 0);
    assert_eq!(
        world.host("device").endpoint.next_timeout(),
        None,
        "no timer is left"
    );
}

#[test]
fn a_lossy_link_strands_nobody() {
    for seed in 0..20 {
        let link = Link::perfect()
            .with_delay(Duration::from_millis(20))
            .with_loss(Chance::percent(30))
            .with_duplication(Chance::percent(20))
            .with_reordering(Chance::percent(20), Duration::from_millis(200));
        let mut world = World::new(seed, link, &Setting::default());
        let mut tries = 0;
        while world.log("gateway").established.is_empty() {
            tries += 1;
            assert!(tries < 4, "seed {seed}");
            world.connect("device", "gateway");
            world.run_for(Duration::from_secs(10));
        }
    }
}

#[test]
fn a_repeated_initiate_gets_the_same_answer_and_no_second_association() {
    let mut world = World::perfect(&Setting::default());
    world.net.start_capture();
    world.associate("device", "gateway");
    let initiate = world.net.captured()[0].1.clone();
    let before = world.host("gateway").endpoint.len();
    for _ in 0..10 {
        let from = initiate.from;
        let mut bytes = initiate.data.clone();
        world.with("gateway", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, from, &mut bytes, out);
        });
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.host("gateway").endpoint.len(), before);
    assert_eq!(world.host("gateway").endpoint.statistics().answered, 1);
}

#[test]
fn nothing_can_be_sent_by_a_responder_that_is_not_confirmed() {
    let mut world = World::perfect(&Setting::default());
    world.net.set_adversary(Drops((2..1000).collect(), 0));
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").established.len(), 0);
    assert_eq!(world.host("gateway").endpoint.len(), 1, "it is half-open");
}
