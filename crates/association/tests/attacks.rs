//! An attacker on the path of datagrams: flips, cuts, repeats, swaps, reflects, holds back.
//!
//! One exchange is the victim each time: handshake, confirm, data both ways, a refresh, more data,
//! a close. Beside the genuine packets nothing that the attacker sends may show; instead of them it
//! may cost what was replaced, and no more.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;
use std::collections::BTreeSet;

use net::{World, address};
use refpoint_association::{CloseReason, Config, Error};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_sim::{Injector, Link, Packet, Verdict};
use support::Setting;

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];
const ENDS: [(&str, &str); 2] = [("device", "gateway"), ("gateway", "device")];

fn of_profile(profile: Profile) -> Setting {
    Setting {
        profile,
        ..Setting::default()
    }
}

/// Sends what can be sent, and says how much that was: `sent` numbers the payloads of all ends.
fn talk(world: &mut World, sent: &mut Vec<(&'static str, Vec<u8>)>) {
    for _ in 0..2 {
        for (from, to) in ENDS {
            let Some((id, ..)) = world.log(from).established.last() else {
                continue;
            };
            let payload = format!("number {} to {to}", sent.len()).into_bytes();
            let id = *id;
            if world.send(from, id, &payload).is_ok() {
                sent.push((to, payload));
            }
        }
        world.run_for(Duration::from_millis(40));
    }
}

/// The whole exchange; gives the payloads that were sent, with their receivers.
fn exchange(world: &mut World) -> Vec<(&'static str, Vec<u8>)> {
    let mut sent = Vec::new();
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(7));
    talk(world, &mut sent);
    if let Some((id, ..)) = world.log("device").established.last() {
        let id = *id;
        world.with("device", |endpoint, now, rng, out| {
            // It fails where the attack has closed the association.
            let _ = endpoint.renew(now, rng, id, out);
        });
    }
    world.run_for(Duration::from_secs(7));
    talk(world, &mut sent);
    if let Some((id, ..)) = world.log("device").established.last() {
        let id = *id;
        world.with("device", |endpoint, now, _, out| {
            let _ = endpoint.close(now, id, CloseReason::Done, out);
        });
    }
    world.run_for(Duration::from_secs(1));
    sent
}

/// Nothing is delivered that was not sent to this end, and nothing twice.
fn assert_sound(world: &World, sent: &[(&'static str, Vec<u8>)], what: &str) {
    for (from, to) in ENDS {
        let mut left: Vec<_> = sent.iter().filter(|(end, _)| *end == to).collect();
        for (_, data) in &world.log(to).received {
            let place = left.iter().position(|(_, payload)| payload == data);
            let place = place.unwrap_or_else(|| panic!("{what}: {to} got foreign or old data"));
            left.remove(place);
        }
        let honest = world.hosts[from].endpoint.credentials().iter().next();
        let peer = honest.expect("one credential").1.peer().to_string();
        for (_, _, entity) in &world.log(from).established {
            assert_eq!(*entity, peer, "{what}");
        }
    }
}

/// Everything went as if nobody had attacked.
fn assert_untouched(world: &World, sent: &[(&'static str, Vec<u8>)], what: &str) {
    assert_sound(world, sent, what);
    assert_eq!(sent.len(), 8, "{what}: both ends could send throughout");
    let received = world.log("device").received.len() + world.log("gateway").received.len();
    assert_eq!(received, 8, "{what}: and all of it came");
    for end in ["device", "gateway"] {
        assert_eq!(world.log(end).established.len(), 2, "{what}: {end}");
        assert!(world.log(end).failed.is_empty(), "{what}: {end}");
    }
    let closed = &world.log("gateway").closed;
    assert!(
        matches!(closed[..], [(_, Error::Closed(_))]),
        "{what}: {closed:?}"
    );
}

/// What an eavesdropper has of one exchange.
fn overhear(setting: &Setting, seed: u64) -> Vec<Packet> {
    let delay = Link::perfect().with_delay(Duration::from_millis(10));
    let mut world = World::new(seed, delay, setting);
    world.net.start_capture();
    let sent = exchange(&mut world);
    assert_untouched(&world, &sent, "nobody attacks");
    let captured = world.net.captured().iter();
    captured.map(|(_, packet)| packet.clone()).collect()
}

/// Copies of a packet with one byte changed, or cut.
fn damaged(packet: &Packet) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for at in 0..packet.data.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut data = packet.data.clone();
            data[at] ^= change;
            all.push(data);
        }
        all.push(packet.data[..at].to_vec());
    }
    all.push([&packet.data[..], &[0]].concat());
    all
}

/// Runs an exchange beside what `attack` injects for each packet; what its own packets provoke
/// (refusals, answers repeated) provokes nothing more.
fn beside(
    setting: &Setting,
    mut attack: impl FnMut(&Packet, &mut Injector) + 'static,
    what: &str,
) -> World {
    let mut world = World::perfect(setting);
    let mut seen = BTreeSet::new();
    let each_once = move |_, packet: &Packet, injector: &mut Injector| {
        let refusal = packet.data[0] >> 3 == 7;
        if !refusal && seen.insert(packet.clone()) {
            attack(packet, injector);
        }
        Verdict::Pass
    };
    world.net.set_adversary(each_once);
    let sent = exchange(&mut world);
    assert_untouched(&world, &sent, what);
    world
}

#[test]
fn damaged_copies_before_and_after_the_genuine_packet_change_nothing() {
    for profile in PROFILES {
        let attack = |packet: &Packet, injector: &mut Injector| {
            for data in damaged(packet) {
                injector.inject(Duration::ZERO, packet.from, packet.to, data.clone());
                injector.inject(Duration::from_millis(15), packet.from, packet.to, data);
            }
        };
        let what = format!("{profile:?}");
        let world = beside(&of_profile(profile), attack, &what);
        let statistics = world.hosts["gateway"].endpoint.statistics();
        assert!(statistics.unopened > 1_000, "the attack took place");
    }
}

#[test]
fn repeated_packets_change_nothing() {
    for profile in PROFILES {
        let mut all: Vec<Packet> = Vec::new();
        let attack = move |packet: &Packet, injector: &mut Injector| {
            all.push(packet.clone());
            // All that ever was, again and again, the newest too.
            for earlier in &all {
                injector.replay(Duration::from_millis(5), earlier);
                injector.replay(Duration::from_millis(12), earlier);
            }
        };
        beside(&of_profile(profile), attack, &format!("{profile:?}"));
    }
}

#[test]
fn reflected_packets_change_nothing() {
    for profile in PROFILES {
        let setting = Setting {
            point: ReferencePoint::Y,
            ..of_profile(profile)
        };
        let attack = |packet: &Packet, injector: &mut Injector| {
            for delay in [Duration::ZERO, Duration::from_millis(12)] {
                injector.inject(delay, packet.to, packet.from, packet.data.clone());
                // As if from somewhere else, too.
                injector.inject(delay, address(66), packet.from, packet.data.clone());
            }
        };
        beside(&setting, attack, &format!("{profile:?}"));
    }
}

#[test]
fn packets_of_an_earlier_association_change_nothing() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let earlier = overhear(&setting, 77);
        let attack = move |_: &Packet, injector: &mut Injector| {
            for packet in &earlier {
                injector.replay(Duration::from_millis(1), packet);
                injector.replay(Duration::from_millis(11), packet);
            }
        };
        let mut world = beside(&setting, attack, &format!("{profile:?}"));
        // The replayed Initiates were answered, and nothing came of them.
        world.net.remove_adversary();
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.host("gateway").endpoint.len(), 0, "{profile:?}");
    }
}

#[test]
fn packets_of_other_reference_points_and_entities_change_nothing() {
    // The same secret, key id and addresses: only the reference point or one id differs.
    for profile in PROFILES {
        let home = of_profile(profile);
        let points = [
            ReferencePoint::Y,
            ReferencePoint::Z,
            ReferencePoint::EndToEnd,
        ];
        let mut foreign: Vec<Packet> = Vec::new();
        for point in points {
            let setting = Setting {
                point,
                ..home.clone()
            };
            foreign.extend(overhear(&setting, 1));
        }
        let other_entity = Setting {
            initiator: support::STRANGER,
            ..home.clone()
        };
        foreign.extend(overhear(&other_entity, 1));
        let attack = move |genuine: &Packet, injector: &mut Injector| {
            for packet in &foreign {
                injector.replay(Duration::ZERO, packet);
                injector.replay(Duration::from_millis(11), packet);
                // Behind the genuine header, so that it reaches the association.
                let mut data = packet.data.clone();
                let len = 8.min(data.len()).min(genuine.data.len());
                data[..len].copy_from_slice(&genuine.data[..len]);
                injector.inject(Duration::ZERO, genuine.from, genuine.to, data);
            }
        };
        beside(&home, attack, &format!("{profile:?}"));
    }
}

#[test]
fn packets_swapped_between_two_associations_change_nothing() {
    // Two devices at one gateway: what one sends arrives as the other's as well.
    for profile in PROFILES {
        let setting = of_profile(profile);
        let second = Setting {
            initiator: support::STRANGER,
            key: [66; 32],
            key_id: b"k002",
            static_keys: ([66; 32], [2; 32]),
            ..setting.clone()
        };
        let mut world = World::perfect(&setting);
        world.add("other", 3, Config::device(), second.initiator());
        let (_, credential) = second.responder();
        world
            .host("gateway")
            .endpoint
            .insert_credential(credential)
            .expect("another entity");
        let swap = |_, packet: &Packet, injector: &mut Injector| {
            let swapped = |end| match end {
                end if end == address(1) => address(3),
                end if end == address(3) => address(1),
                end => end,
            };
            let (from, to) = (swapped(packet.from), swapped(packet.to));
            injector.inject(Duration::ZERO, from, to, packet.data.clone());
            injector.inject(Duration::from_millis(11), from, to, packet.data.clone());
            Verdict::Pass
        };
        world.net.set_adversary(swap);
        world.associate("other", "gateway");
        let gateways = world.log("gateway").newest();
        let others = world.log("other").newest();
        world.host("gateway").log.established.clear();
        for number in 0..20_u8 {
            world.send("other", others, &[number]).expect("may send");
            world
                .send("gateway", gateways, &[number])
                .expect("may send");
        }
        world.run_for(Duration::from_millis(50));
        assert_eq!(world.log("other").received.len(), 20, "{profile:?}");
        assert_eq!(world.log("gateway").received.len(), 20, "{profile:?}");
        world.host("gateway").log.received.clear();
        let sent = exchange(&mut world);
        // A copy that is faster than the genuine record moves its sender's address for a while
        // (rule R6), so refusals come, and resumptions beside, also of the other device; nothing is
        // lost by that.
        let established = &mut world.host("gateway").log.established;
        established.retain(|(_, _, entity)| entity != support::STRANGER);
        assert_sound(&world, &sent, &format!("{profile:?}"));
        assert_eq!(
            sent.len(),
            8,
            "{profile:?}: both ends could send throughout"
        );
        // The gateway's newest association may be with the other device, which then gets what the
        // gateway sends.
        let lens = ["device", "gateway", "other"].map(|name| world.log(name).received.len());
        assert_eq!(
            lens.iter().sum::<usize>(),
            28,
            "{profile:?}: and all of it came"
        );
    }
}

#[test]
fn packets_held_back_are_delivered_late_or_not_at_all() {
    for profile in PROFILES {
        for every in 2..5 {
            for held in [11, 100, 1_000, 6_000] {
                let mut count = 0;
                let mut world = World::perfect(&of_profile(profile));
                let hold = move |_, packet: &Packet, injector: &mut Injector| {
                    count += 1;
                    if count % every == 0 {
                        injector.replay(Duration::from_millis(held), packet);
                        return Verdict::Drop;
                    }
                    Verdict::Pass
                };
                world.net.set_adversary(hold);
                let sent = exchange(&mut world);
                let what = format!("{profile:?}, every {every}th held for {held} ms");
                assert_sound(&world, &sent, &what);
                assert!(sent.len() >= 4, "{what}: {} were sent", sent.len());
            }
        }
    }
}

/// Replaces the `nth` packet of an exchange by each of its damaged copies in turn.
fn replace(profile: Profile, nth: usize, copies: impl Fn(&Packet) -> Vec<Vec<u8>>) {
    let setting = of_profile(profile);
    let genuine = overhear(&setting, 1);
    let Some(packet) = genuine.get(nth) else {
        return;
    };
    for (number, data) in copies(packet).into_iter().enumerate() {
        let mut world = World::perfect(&setting);
        let mut count = 0;
        world
            .net
            .set_adversary(move |_, _: &Packet, _: &mut Injector| {
                count += 1;
                if count - 1 == nth {
                    Verdict::Replace(data.clone())
                } else {
                    Verdict::Pass
                }
            });
        let sent = exchange(&mut world);
        let what = format!("{profile:?}, packet {nth}, damage {number}");
        assert_sound(&world, &sent, &what);
        let received = world.log("device").received.len() + world.log("gateway").received.len();
        let lost = sent.len() - received;
        assert!(lost <= 1, "{what}: only what was replaced is lost");
        assert_eq!(sent.len(), 8, "{what}: the exchange went on");
        assert_eq!(world.log("gateway").established.len(), 2, "{what}");
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.log("device").failed, [], "{what}");
    }
}

/// One flip a byte, and every fourth cut.
fn flipped_and_cut(packet: &Packet) -> Vec<Vec<u8>> {
    let flips = (0..packet.data.len()).map(|at| {
        let mut data = packet.data.clone();
        data[at] ^= 1 << (at % 8);
        data
    });
    let cuts = (0..packet.data.len()).step_by(4);
    flips
        .chain(cuts.map(|at| packet.data[..at].to_vec()))
        .collect()
}

#[test]
fn a_replaced_packet_of_psk_costs_that_packet_and_no_more() {
    (0..24).for_each(|nth| replace(Profile::Psk, nth, flipped_and_cut));
}

#[test]
fn a_replaced_packet_of_pinned_costs_that_packet_and_no_more() {
    (0..24).for_each(|nth| replace(Profile::Pinned, nth, flipped_and_cut));
}

#[test]
fn a_replaced_packet_of_known_costs_that_packet_and_no_more() {
    (0..24).for_each(|nth| replace(Profile::Known, nth, flipped_and_cut));
}

#[test]
fn replacing_every_packet_ends_in_a_timeout_with_a_clear_error() {
    for profile in PROFILES {
        // From the nth packet on, everything is replaced by a flipped copy.
        for from in 0..12 {
            let mut world = World::perfect(&of_profile(profile));
            let mut count = 0;
            let flip = move |_, packet: &Packet, _: &mut Injector| {
                count += 1;
                if count <= from {
                    return Verdict::Pass;
                }
                let mut data = packet.data.clone();
                let last = data.len() - 1;
                data[last] ^= 0x10;
                Verdict::Replace(data)
            };
            world.net.set_adversary(flip);
            let sent = exchange(&mut world);
            world.run_for(Duration::from_secs(20));
            let what = format!("{profile:?}, from packet {from}");
            assert_sound(&world, &sent, &what);
            if from < 2 {
                let failed = &world.log("device").failed;
                assert!(matches!(failed[..], [(_, Error::NoAnswer)]), "{what}");
            }
            assert!(world.host("device").endpoint.len() <= 2, "{what}");
            // The attack is over: the next try succeeds.
            world.net.remove_adversary();
            let (device, _) = world.associate("device", "gateway");
            world.send("device", device, b"over").expect("may send");
            world.run_for(Duration::from_secs(1));
            assert!(
                world.log("gateway").payloads().contains(&&b"over"[..]),
                "{what}"
            );
        }
    }
}
