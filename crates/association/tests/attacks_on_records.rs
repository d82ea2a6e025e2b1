//! Windows, truncated sequences, strays and paths (rules R1, R2, R4, R5, R6), record by record.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::{net::SocketAddr, time::Duration};

use net::{World, address};
use refpoint_association::{AssociationId, Policy};
use support::Setting;

const HOME: u8 = 1;
const GATEWAY: u8 = 2;

/// A record that an end seals now, taken off the network.
fn sealed(world: &mut World, from: &str, id: AssociationId, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    world.with(from, |endpoint, now, _, out| {
        endpoint.send(now, id, data, out).expect("may send");
        packet = out.sent.pop().expect("a record").1;
    });
    packet
}

/// Gives a packet to an end, as if from an address, and takes what it answers off the network.
fn give(
    world: &mut World,
    to: &str,
    from: SocketAddr,
    packet: &[u8],
) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut packet = packet.to_vec();
    world.with(to, |endpoint, now, rng, out| {
        endpoint.receive(now, rng, from, &mut packet, out);
        core::mem::take(&mut out.sent)
    })
}

fn delivered(world: &mut World, packet: &[u8]) -> bool {
    let before = world.log("gateway").received.len();
    give(world, "gateway", address(HOME), packet);
    world.log("gateway").received.len() > before
}

fn ratcheting(seconds: u64) -> Setting {
    let policy = Policy::default()
        .with_ratchet(Some(Duration::from_secs(seconds)))
        .expect("valid");
    Setting {
        policy,
        ..Setting::default()
    }
}

#[test]
fn the_window_takes_what_is_at_most_127_behind_and_takes_it_once() {
    for (behind, taken) in [
        (1, true),
        (64, true),
        (127, true),
        (128, false),
        (500, false),
    ] {
        let mut world = World::perfect(&Setting::default());
        let (device, _) = world.associate("device", "gateway");
        let late = sealed(&mut world, "device", device, b"late");
        for _ in 0..behind {
            let newer = sealed(&mut world, "device", device, b"newer");
            assert!(delivered(&mut world, &newer));
            assert!(!delivered(&mut world, &newer), "a replay");
        }
        assert_eq!(delivered(&mut world, &late), taken, "{behind} behind");
        assert!(!delivered(&mut world, &late), "a replay");
    }
}

#[test]
fn records_of_the_epoch_before_are_taken_once_and_for_five_seconds() {
    let mut world = World::perfect(&ratcheting(10));
    let (device, gateway) = world.associate("device", "gateway");
    let early = sealed(&mut world, "device", device, b"early");
    let late = sealed(&mut world, "device", device, b"late");
    let later = sealed(&mut world, "device", device, b"later");
    assert!(delivered(&mut world, &early));
    world.run_for(Duration::from_secs(11));
    let newest = sealed(&mut world, "device", device, b"newest");
    assert!(delivered(&mut world, &newest));
    let epochs = world.host("gateway").endpoint.epochs(gateway);
    assert_eq!(epochs.expect("lives").1, 1);
    assert!(!delivered(&mut world, &early), "received in its own epoch");
    assert!(delivered(&mut world, &late));
    assert!(
        !delivered(&mut world, &late),
        "a replay in the epoch before"
    );
    // Even where the end point's timer was not handled in time.
    let later_on = world.net.now() + Duration::from_secs(5);
    world.net.advance_to(later_on);
    assert!(!delivered(&mut world, &later), "its epoch is over");
}

#[test]
fn records_of_an_epoch_that_was_skipped_are_not_taken() {
    let mut world = World::perfect(&ratcheting(10));
    let (device, _) = world.associate("device", "gateway");
    let first = sealed(&mut world, "device", device, b"epoch 0");
    world.run_for(Duration::from_secs(11));
    let second = sealed(&mut world, "device", device, b"epoch 1");
    world.run_for(Duration::from_secs(11));
    let third = sealed(&mut world, "device", device, b"epoch 2");
    assert!(delivered(&mut world, &third));
    assert!(!delivered(&mut world, &second));
    assert!(!delivered(&mut world, &first));
}

/// Whether a record states four bytes of its sequence.
fn is_wide(packet: &[u8]) -> bool {
    packet[0] & 0x40 != 0
}

#[test]
fn sequences_are_wide_where_a_receiver_may_have_lost_count_and_narrow_elsewhere() {
    let mut world = World::perfect(&ratcheting(60));
    let (device, gateway) = world.associate("device", "gateway");
    let wide = |world: &mut World| is_wide(&sealed(world, "device", device, b"x"));
    // The first 32 of an epoch; one of them confirmed.
    let start = (0..31).filter(|_| wide(&mut world)).count();
    assert_eq!(start, 31);
    // Then one in 32.
    let later: Vec<_> = (0..96).map(|_| wide(&mut world)).collect();
    assert_eq!(later.iter().filter(|wide| **wide).count(), 3);
    assert!(later[0] && later[32] && later[64]);
    assert!(
        wide(&mut world) && !wide(&mut world),
        "the 128th, and the 129th"
    );
    // After five seconds of silence, not after four.
    world.run_for(Duration::from_secs(4));
    assert!(!wide(&mut world));
    world.run_for(Duration::from_millis(5_100));
    assert!(wide(&mut world) && !wide(&mut world));
    // For one second before the skip, which comes 60 s after the epoch's beginning.
    while world.net.now() < Duration::from_millis(58_500) {
        world.run_for(Duration::from_secs(1));
        wide(&mut world);
    }
    let before = world.net.now();
    assert!(before < Duration::from_millis(59_600), "{before:?}");
    while world.net.now() < Duration::from_millis(59_250) {
        world.run_for(Duration::from_millis(50));
    }
    assert!(wide(&mut world) && wide(&mut world), "the skip is near");
    world.run_for(Duration::from_secs(2));
    // Nobody has answered in this epoch: the peer may not know of it.
    assert!((0..100).all(|_| wide(&mut world)), "a new epoch's");
    let answer = sealed(&mut world, "gateway", gateway, b"heard");
    give(&mut world, "device", address(2), &answer);
    assert!((0..32).all(|_| wide(&mut world)), "a known epoch's first");
    assert!(!wide(&mut world));
}

#[test]
fn sequences_are_wide_after_the_peer_has_moved() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    for _ in 0..40 {
        sealed(&mut world, "gateway", gateway, b"x");
    }
    assert!(!is_wide(&sealed(&mut world, "gateway", gateway, b"x")));
    let moved = sealed(&mut world, "device", device, b"moved");
    let challenge = give(&mut world, "gateway", address(9), &moved);
    assert!(is_wide(&challenge[0].1));
    // What it may send there before the echo is little; it counts all the same.
    world.with("gateway", |endpoint, now, _, out| {
        for _ in 0..31 {
            endpoint.send(now, gateway, b"", out).expect("may send");
        }
        assert!(out.sent.iter().all(|(_, packet)| is_wide(packet)));
        out.sent.clear();
    });
}

#[test]
fn strays_share_a_budget_and_the_peer_does_not() {
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    let genuine = sealed(&mut world, "device", device, b"x");
    let mut forged = genuine.clone();
    *forged.last_mut().expect("a tag") ^= 1;
    for number in 0..2_000_u16 {
        let from = SocketAddr::from(([198, 51, 100, 7], number));
        give(&mut world, "gateway", from, &forged);
    }
    let statistics = world.host("gateway").endpoint.statistics();
    assert!(
        (900..=1_100).contains(&statistics.unopened),
        "{statistics:?}"
    );
    assert!(
        (900..=1_100).contains(&statistics.limited),
        "{statistics:?}"
    );
    // The peer's own address is not charged.
    assert!(delivered(&mut world, &genuine));
    for _ in 0..2_000 {
        give(&mut world, "gateway", address(HOME), &forged);
    }
    let again = world.host("gateway").endpoint.statistics();
    assert_eq!(again.limited, statistics.limited);
}

#[test]
fn small_answers_to_an_unproved_address_add_up_to_three_times_what_came_from_there() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    let stolen = sealed(&mut world, "device", device, &[0; 200]);
    let mut sent = give(&mut world, "gateway", address(66), &stolen);
    for _ in 0..200 {
        world.with("gateway", |endpoint, now, _, out| {
            endpoint.send(now, gateway, b"", out).expect("may send");
            sent.append(&mut out.sent);
        });
    }
    assert!(sent.iter().all(|(to, _)| *to == address(66)));
    let bytes: usize = sent.iter().map(|(_, packet)| packet.len()).sum();
    assert!(bytes <= 3 * stolen.len(), "{bytes} for {}", stolen.len());
    assert!(bytes > 2 * stolen.len(), "{bytes}: it is not cut off early");
}

#[test]
fn an_echo_proves_only_the_address_it_comes_from() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    // A stolen record, sent on from elsewhere; the challenge is let through to the device.
    let stolen = sealed(&mut world, "device", device, b"stolen");
    let challenge = give(&mut world, "gateway", address(66), &stolen);
    assert_eq!(challenge[0].0, address(66));
    let echo = give(&mut world, "device", address(GATEWAY), &challenge[0].1);
    // A newer stolen record keeps the gateway there; the echo comes from the device's home.
    let newer = sealed(&mut world, "device", device, b"newer");
    give(&mut world, "gateway", address(66), &newer);
    give(&mut world, "gateway", address(HOME), &echo[0].1);
    let at = world.host("gateway").endpoint.address(gateway);
    assert_eq!(at, Some(address(66)), "an older record moves nothing");
    world.run_for(Duration::from_secs(6));
    let at = world.host("gateway").endpoint.address(gateway);
    assert_eq!(at, Some(address(HOME)), "and proves nothing");
}

#[test]
fn an_echo_of_an_earlier_challenge_proves_nothing() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    let stolen = sealed(&mut world, "device", device, b"stolen");
    let first = give(&mut world, "gateway", address(66), &stolen);
    let echo = give(&mut world, "device", address(GATEWAY), &first[0].1);
    let newer = sealed(&mut world, "device", device, b"newer");
    let second = give(&mut world, "gateway", address(77), &newer);
    assert_eq!(second[0].0, address(77));
    give(&mut world, "gateway", address(77), &echo[0].1);
    world.run_for(Duration::from_secs(6));
    let at = world.host("gateway").endpoint.address(gateway);
    assert_eq!(at, Some(address(HOME)));
}
