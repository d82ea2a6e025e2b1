//! Rules R1, R2, R4: sequences, epochs, replays and outages on datagrams.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{CloseReason, Error, Policy};
use refpoint_sim::{Adversary, Injector, Link, Packet, Verdict};
use support::Setting;

/// Drops everything while its switch is on.
struct Dead(std::rc::Rc<core::cell::Cell<bool>>);

impl Adversary for Dead {
    fn intercept(&mut self, _: Duration, _: &Packet, _: &mut Injector) -> Verdict {
        if self.0.get() {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }
}

fn setting(policy: Policy) -> Setting {
    Setting {
        policy,
        ..Setting::default()
    }
}

#[test]
fn a_replayed_record_is_dropped() {
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    world.net.start_capture();
    world.send("device", device, b"once").expect("may send");
    world.run_for(Duration::from_secs(1));
    let record = world.net.captured()[0].1.clone();
    for _ in 0..3 {
        let mut bytes = record.data.clone();
        world.with("gateway", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, record.from, &mut bytes, out);
        });
    }
    assert_eq!(world.log("gateway").payloads(), [b"once"]);
    assert_eq!(world.host("gateway").endpoint.statistics().replayed, 3);
}

#[test]
fn an_outage_of_a_hundred_thousand_records_is_over_within_thirty_two() {
    let mut world = World::new(1, Link::perfect(), &Setting::default());
    let (device, _) = world.associate("device", "gateway");
    let dead = std::rc::Rc::new(core::cell::Cell::new(true));
    world.net.set_adversary(Dead(dead.clone()));
    for _ in 0..100_000 {
        world.send("device", device, b"lost").expect("may send");
    }
    world.run_for(Duration::from_millis(1));
    dead.set(false);
    for number in 0..32_u8 {
        world.send("device", device, &[number]).expect("may send");
    }
    world.run_for(Duration::from_millis(10));
    let received = world.log("gateway").received.len();
    assert!(received >= 1, "none of the 32 records was understood");
}

#[test]
fn the_first_record_after_an_outage_is_understood_however_often_the_sender_has_ratcheted() {
    let policy = Policy::default().with_ratchet(Some(Duration::from_secs(200)));
    let mut world = World::perfect(&setting(policy.expect("valid")));
    let dead = std::rc::Rc::new(core::cell::Cell::new(true));
    let (device, gateway) = world.associate("device", "gateway");
    world.net.set_adversary(Dead(dead.clone()));
    // Neither silent for five seconds nor among the first 32 of an epoch nor about to skip.
    for _ in 0..450 {
        world.send("device", device, b"lost").expect("may send");
        world.run_for(Duration::from_secs(2));
    }
    dead.set(false);
    world.send("device", device, b"back").expect("may send");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").payloads(), [b"back"]);
    let mut epochs = |end, id| world.host(end).endpoint.epochs(id).expect("lives");
    let (sent, received) = (epochs("device", device).0, epochs("gateway", gateway).1);
    assert_eq!((sent, received), (4, 4));
}

#[test]
fn keys_are_ratcheted_by_records_without_a_message() {
    let policy = Policy::default().with_epoch_bits(16).expect("valid");
    let policy = policy.with_ratchet(None).expect("valid");
    let mut world = World::new(1, Link::perfect(), &setting(policy));
    let (device, gateway) = world.associate("device", "gateway");
    for _ in 0..(1 << 16) + 40 {
        world.send("device", device, b"x").expect("may send");
        world.run_for(Duration::ZERO);
    }
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.log("gateway").received.len(), (1 << 16) + 40);
    assert_eq!(
        world
            .host("gateway")
            .endpoint
            .epochs(gateway)
            .expect("lives")
            .1,
        1
    );
}

#[test]
fn keys_are_ratcheted_by_time_one_epoch_however_long_the_silence() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    world.run_for(Duration::from_secs(1_000));
    for step in 1..=3 {
        world.send("device", device, b"x").expect("may send");
        world.run_for(Duration::from_secs(130));
        assert_eq!(world.log("gateway").received.len(), step);
        let epoch = world
            .host("gateway")
            .endpoint
            .epochs(gateway)
            .expect("lives")
            .1;
        assert_eq!(epoch, step as u64);
    }
}

#[test]
fn late_records_of_the_previous_epoch_are_still_opened_for_a_while() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    world.run_for(Duration::from_millis(118_950));
    // Before the skip, held back by the network.
    let slow = Link::perfect().with_delay(Duration::from_secs(2));
    let (a, b) = (world.host("device").address, world.host("gateway").address);
    world.net.set_link(a, b, slow);
    world.send("device", device, b"before").expect("may send");
    world.net.set_link(a, b, Link::perfect());
    world.run_for(Duration::from_millis(1_500));
    world.send("device", device, b"after").expect("may send");
    world.run_for(Duration::from_secs(3));
    assert_eq!(world.log("gateway").payloads(), [&b"after"[..], b"before"]);
    assert_eq!(
        world
            .host("gateway")
            .endpoint
            .epochs(gateway)
            .expect("lives")
            .1,
        1
    );
}

#[test]
fn the_hard_limit_closes_both_ends() {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(100))
        .expect("valid");
    let policy = policy.with_minimum_lifetime(Duration::from_secs(1));
    let mut world = World::perfect(&setting(policy));
    let (device, _) = world.associate("device", "gateway");
    // Nobody answers a refresh any more.
    world
        .net
        .set_adversary(Dead(std::rc::Rc::new(core::cell::Cell::new(true))));
    world.run_for(Duration::from_secs(200));
    assert_eq!(
        world.log("device").closed.last().expect("closed").1,
        Error::Limit("time")
    );
    assert_eq!(
        world.log("gateway").closed.last().expect("closed").1,
        Error::Limit("time")
    );
    assert_eq!(
        world.send("device", device, b"late"),
        Err(Error::NoAssociation)
    );
    assert_eq!(world.host("device").endpoint.next_timeout(), None);
}

#[test]
fn a_used_up_association_is_succeeded_before_its_limit() {
    let policy = Policy::default().with_messages(96).expect("valid");
    let mut world = World::perfect(&setting(policy));
    world.associate("device", "gateway");
    for _ in 0..500 {
        let id = world.log("device").newest();
        world
            .send("device", id, b"x")
            .expect("there is always one to send on");
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").received.len(), 500);
    assert!(world.log("device").replaced.len() >= 5);
    assert!(world.log("device").closed.is_empty());
}

#[test]
fn at_the_message_limit_both_ends_close() {
    let policy = Policy::default().with_messages(96).expect("valid");
    let mut world = World::perfect(&setting(policy));
    let (device, gateway) = world.associate("device", "gateway");
    let sent = (0..200)
        .take_while(|_| world.send("device", device, b"x").is_ok())
        .count();
    assert!((80..=88).contains(&sent), "{sent} were sent");
    let refused = world.send("device", device, b"x");
    assert_eq!(refused, Err(Error::Limit("message")));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").received.len(), sent);
    assert_eq!(
        world.log("device").closed,
        [(device, Error::Limit("message"))]
    );
    let reason = refpoint_association::CloseReason::Limit;
    assert_eq!(
        world.log("gateway").closed,
        [(gateway, Error::Closed(reason))]
    );
}

#[test]
fn a_message_that_does_not_fit_says_so() {
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    let limit = world
        .host("device")
        .endpoint
        .max_payload(device)
        .expect("lives");
    world.send("device", device, &vec![0; limit]).expect("fits");
    let refused = world.send("device", device, &vec![0; limit + 1]);
    assert_eq!(
        refused,
        Err(Error::TooLarge {
            size: limit + 1,
            limit
        })
    );
    assert!(
        refused
            .expect_err("too large")
            .to_string()
            .contains("use a stream")
    );
}

#[test]
fn a_close_reaches_the_peer_with_its_reason() {
    for reason in [CloseReason::Done, CloseReason::Policy, CloseReason::Revoked] {
        let mut world = World::perfect(&Setting::default());
        let (device, gateway) = world.associate("device", "gateway");
        world.with("device", |endpoint, now, _, out| {
            endpoint.close(now, device, reason, out).expect("lives")
        });
        world.run_for(Duration::from_secs(1));
        assert_eq!(
            world.log("gateway").closed,
            [(gateway, Error::Closed(reason))]
        );
        assert_eq!(world.host("gateway").endpoint.len(), 0);
    }
}

#[test]
fn a_keepalive_fills_silence_and_nothing_else_does() {
    let policy = Policy::default()
        .with_keepalive(Some(Duration::from_secs(25)))
        .expect("valid");
    for (policy, expected) in [(policy, 7..=9), (Policy::default(), 0..=0)] {
        let mut world = World::perfect(&setting(policy));
        world.associate("device", "gateway");
        world.net.start_capture();
        world.run_for(Duration::from_secs(100));
        let packets = world.net.captured().len();
        assert!(expected.contains(&packets), "{packets} packets in 100 s");
    }
}

#[test]
fn records_cost_twenty_one_bytes_on_average_with_an_index_of_two() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    let config = refpoint_association::Config::device()
        .with_associations(200)
        .expect("valid");
    world.add("gateway", 2, config, setting.responder());
    let (device, _) = world.associate("device", "gateway");
    // The first records of an epoch state more of their sequence.
    for _ in 0..32 {
        world.send("device", device, b"x").expect("may send");
    }
    world.net.start_capture();
    for _ in 0..320 {
        world.send("device", device, b"x").expect("may send");
    }
    let captured = world.net.captured();
    let overhead: usize = captured
        .iter()
        .map(|(_, packet)| packet.data.len() - 1)
        .sum();
    assert_eq!(overhead, 320 * 21 + 10 * 2, "21.0625 bytes a record");
}
