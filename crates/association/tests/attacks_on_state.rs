//! Attacks on what an end point remembers: its timers, its quotas, its hints, its credentials.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use refpoint_association::{CloseReason, Error, Policy};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_sim::{Adversary, Entropy, Injector, Link, Packet, Verdict};
use support::Setting;

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];

fn of_profile(profile: Profile) -> Setting {
    Setting {
        profile,
        ..Setting::default()
    }
}

/// Loses everything before an instant.
struct LosesUntil(Duration);

impl Adversary for LosesUntil {
    fn intercept(&mut self, now: Duration, _: &Packet, _: &mut Injector) -> Verdict {
        if now < self.0 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }
}

fn inject(world: &mut World, to: &str, packet: &Packet) {
    let mut data = packet.data.clone();
    world.with(to, |endpoint, now, rng, out| {
        endpoint.receive(now, rng, packet.from, &mut data, out);
    });
}

#[test]
fn retries_that_answer_nothing_do_not_put_off_the_retransmission() {
    // The first Initiate is lost. Until it is repeated, a stranger sends Retries for every index
    // that a device has; none knows the hash of the Initiate.
    for from in [address(2), address(66)] {
        let mut world = World::perfect(&Setting::default());
        world
            .net
            .set_adversary(LosesUntil(Duration::from_millis(1)));
        world.connect("device", "gateway");
        for step in 0..400_u64 {
            for index in 0..=255_u8 {
                let data = [&[6 << 3 | 1, index][..], &[0x33; 24]].concat();
                let packet = Packet::new(from, address(1), data);
                inject(&mut world, "device", &packet);
            }
            world.run_for(Duration::from_millis(5));
            if !world.log("gateway").established.is_empty() {
                assert!(step > 10, "it was the repeated Initiate");
                break;
            }
        }
        assert_eq!(world.log("gateway").established.len(), 1);
    }
}

#[test]
fn a_quota_full_of_replayed_initiates_asks_for_a_cookie_in_every_profile() {
    // Rule H5: a full quota counts as load. Whoever has recorded a device's earlier Initiates can
    // fill it, and must not keep the device out by that.
    for profile in PROFILES {
        let setting = of_profile(profile);
        let mut world = World::perfect(&setting);
        let recorded: Vec<_> = (0..8)
            .map(|number| {
                let mut device = World::perfect(&setting);
                device.host("device").rng = Entropy::new(number, "recorded");
                device.net.start_capture();
                device.connect("device", "gateway");
                device.net.captured()[0].1.clone()
            })
            .collect();
        for packet in &recorded {
            inject(&mut world, "gateway", packet);
        }
        assert_eq!(world.host("gateway").endpoint.len(), 4, "{profile:?}");
        world.connect("device", "gateway");
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.log("gateway").established.len(), 1, "{profile:?}");
        assert!(world.host("gateway").endpoint.statistics().retried >= 1);
    }
}

#[test]
fn a_removed_credential_makes_no_association_not_even_one_under_way() {
    for profile in PROFILES {
        for (removes, other) in [("device", "gateway"), ("gateway", "device")] {
            let mut world = World::perfect(&of_profile(profile));
            let attempt = world.connect("device", "gateway");
            // The Initiate has arrived, the Respond is under way.
            world.run_for(Duration::from_millis(15));
            let credential = world.host(removes).credential;
            world.with(removes, |endpoint, now, _, out| {
                endpoint.remove_credential(now, credential, out)
            });
            world.run_for(Duration::from_secs(20));
            assert!(world.log(removes).established.is_empty(), "{removes}");
            assert_eq!(world.host(removes).endpoint.len(), 0);
            assert_eq!(world.host(other).endpoint.len(), 0);
            if removes == "device" {
                let failed = [(attempt, Error::NoCredential)];
                assert_eq!(world.log("device").failed, failed, "said once");
            }
        }
    }
}

#[test]
fn a_flood_of_refusals_does_not_keep_a_suspicion_from_being_followed() {
    // A gateway that lost its state; its genuine Refuse is lost in a flood of forged ones. Rule
    // H8: an unanswered request starts a handshake too.
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    world.reboot("gateway", &setting);
    let gateway = world.host("gateway").address;
    for _ in 0..100 {
        let forged = Packet::new(gateway, address(1), [7 << 3 | 1, 1, 0x5a]);
        inject(&mut world, "device", &forged);
    }
    world.with("device", |endpoint, now, rng, out| {
        endpoint.suspect(now, rng, device, out).expect("lives");
    });
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.log("device").established.len(), 2);
    // Suspecting again and again costs one handshake at a time.
    world.net.start_capture();
    let newest = world.log("device").newest();
    for _ in 0..50 {
        world.with("device", |endpoint, now, rng, out| {
            endpoint.suspect(now, rng, newest, out).expect("lives");
        });
    }
    assert_eq!(world.net.captured().len(), 1);
}

#[test]
fn both_ends_initiating_within_the_same_millisecond_end_with_one_association() {
    // On a network without delay, everything happens within one millisecond: the order of events
    // decides, not their time.
    let (low, high) = ("//sp.example.com/id-aa", "//sp.example.com/id-zz");
    for (a, b) in [(low, high), (high, low)] {
        for seed in 0..300 {
            let setting = Setting {
                initiator: a,
                responder: b,
                point: ReferencePoint::Y,
                ..Setting::default()
            };
            let jitter = Link::perfect().with_jitter(Duration::from_micros(300));
            let mut world = World::new(seed, jitter, &setting);
            world.connect("device", "gateway");
            world.run_for(Duration::from_micros(seed % 7 * 100));
            world.connect("gateway", "device");
            world.run_for(Duration::from_secs(20));
            for end in ["device", "gateway"] {
                assert_eq!(world.host(end).endpoint.len(), 1, "seed {seed}, {a} {b}");
            }
            // What is left at one end is left at the other.
            for (from, to) in [("device", "gateway"), ("gateway", "device")] {
                let alive: Vec<_> = world.log(from).established.iter().map(|e| e.0).collect();
                let sent = alive
                    .into_iter()
                    .filter(|id| world.send(from, *id, b"x").is_ok())
                    .count();
                assert_eq!(sent, 1, "seed {seed}: {from} has one to send on");
                world.run_for(Duration::from_millis(5));
                assert_eq!(world.log(to).received.len(), 1, "seed {seed}: {to}");
            }
        }
    }
}

/// Messages and bytes, so few that they run out before the time does.
fn short_of(messages: u64, bytes: u64) -> Setting {
    let policy = Policy::default().with_messages(messages).expect("valid");
    Setting {
        policy: policy.with_bytes(bytes).expect("valid"),
        ..Setting::default()
    }
}

#[test]
fn a_limit_of_messages_or_bytes_brings_a_refresh_before_it_ends_the_association() {
    for (setting, size) in [
        (short_of(64, 1 << 40), 10),
        (short_of(1 << 40, 1 << 16), 1_000),
    ] {
        for talker in ["device", "gateway"] {
            let mut world = World::perfect(&setting);
            world.associate("device", "gateway");
            for _ in 0..300 {
                let id = world.log(talker).newest();
                world
                    .send(talker, id, &vec![0; size])
                    .expect("one to send on");
                world.run_for(Duration::from_millis(100));
            }
            let other = if talker == "device" {
                "gateway"
            } else {
                "device"
            };
            assert_eq!(world.log(other).received.len(), 300, "{talker} talks");
            assert!(world.log("device").replaced.len() >= 3);
            assert!(world.log("device").closed.is_empty());
        }
    }
}

#[test]
fn an_association_that_is_out_of_messages_still_says_good_bye() {
    let mut world = World::perfect(&short_of(64, 1 << 40));
    let (device, gateway) = world.associate("device", "gateway");
    // Faster than any refresh.
    while world.send("device", device, b"x").is_ok() {}
    let refused = world.send("device", device, b"x");
    assert_eq!(refused, Err(Error::Limit("message")));
    world.with("device", |endpoint, now, _, out| {
        endpoint
            .close(now, device, CloseReason::Done, out)
            .expect("lives");
    });
    world.run_for(Duration::from_millis(20));
    let closed: Vec<_> = world.log("gateway").closed.iter().map(|c| c.0).collect();
    assert!(closed.contains(&gateway), "{closed:?}");
}

/// Loses what goes to an index of the gateway's other than this one, until an instant.
struct KnowsOnly(Vec<u8>, Duration);

impl Adversary for KnowsOnly {
    fn intercept(&mut self, now: Duration, packet: &Packet, _: &mut Injector) -> Verdict {
        let record = packet.data[0] & 0x80 != 0 && packet.to == address(2);
        if record && now < self.1 && packet.data[1..5] != self.0[..] {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }
}

#[test]
fn a_successor_that_is_never_confirmed_does_not_end_the_renewals() {
    let setting = Setting {
        policy: Policy::default()
            .with_lifetime(Duration::from_secs(1_000))
            .expect("valid"),
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    world.net.start_capture();
    world.send("device", device, b"x").expect("may send");
    world.run_for(Duration::from_secs(1));
    let index = world.net.captured()[0].1.data[1..5].to_vec();
    // All confirmations of the first successors are lost.
    let until = Duration::from_secs(500);
    world.net.set_adversary(KnowsOnly(index, until));
    world.run_for(Duration::from_secs(499));
    let lost = world.log("device").closed.len();
    assert!(lost >= 1, "successors came to nothing");
    assert!(world.log("device").replaced.is_empty());
    world.run_for(Duration::from_secs(2_000));
    assert!(
        world.log("device").replaced.len() >= 2,
        "then it was renewed"
    );
    let all_by_silence = |error: &Error| *error == Error::NoAnswer;
    let closed = &world.log("device").closed;
    assert!(closed.iter().all(|(_, error)| all_by_silence(error)));
    let newest = world.log("device").newest();
    world.send("device", newest, b"alive").expect("may send");
}

#[test]
fn a_refresh_follows_the_peer_to_where_its_answer_came_from() {
    // The gateway moves while the Initiate of a refresh is under way.
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    world.with("device", |endpoint, now, rng, out| {
        endpoint.renew(now, rng, device, out).expect("may refresh");
    });
    world.run_for(Duration::from_millis(5));
    // It arrives where nobody is any more; the next record says where the gateway is.
    let to = address(9);
    world.host("gateway").address = to;
    let gateway = world.log("gateway").newest();
    world.send("gateway", gateway, b"moved").expect("may send");
    world.run_for(Duration::from_secs(2));
    let newest = world.log("device").newest();
    assert_ne!(newest, device);
    assert_eq!(world.host("device").endpoint.address(newest), Some(to));
    world.send("device", newest, b"found").expect("may send");
    world.run_for(Duration::from_millis(50));
    assert!(world.log("gateway").payloads().contains(&&b"found"[..]));
}
