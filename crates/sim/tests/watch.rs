//! A watch counts what must never happen, each kind of it, and nothing else.

use core::time::Duration;

use refpoint_sim::{Claim, Findings, Place, Rules, Violation, Watch};

const DEVICE: Place = Place(1);
const GATEWAY: Place = Place(0);
const PRINT: [u8; 16] = [7; 16];
const BITS: u8 = 16;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A watch, and an association that lives for 1 000 s.
struct Scene {
    watch: Watch,
    made: u128,
}

impl Scene {
    fn new() -> Self {
        let rules = Rules {
            reorder: at(5),
            patience: at(60),
            horizon: at(3600),
            ahead: 64,
        };
        let mut scene = Self {
            watch: Watch::new(rules),
            made: 0,
        };
        scene.claim(DEVICE, PRINT);
        scene.claim(GATEWAY, PRINT);
        scene
    }

    fn claim(&mut self, place: Place, fingerprint: [u8; 16]) {
        let initiates = place == DEVICE;
        let claim = Claim {
            fingerprint,
            peer: if initiates { GATEWAY } else { DEVICE },
            initiates,
            peer_index: if initiates { (4, 0x0102_0304) } else { (1, 9) },
            epoch_bits: BITS,
            seals_until: at(1_000),
            opens_until: at(1_100),
        };
        self.watch.claimed(at(0), place, &claim);
    }

    /// A record of the device's, or of the gateway's, with these low bits of its sequence.
    fn record(&mut self, from: Place, sequence: u32) -> Vec<u8> {
        self.made += 1;
        let mut packet = match from {
            DEVICE => vec![0xf0, 1, 2, 3, 4],
            _ => vec![0xc0, 9],
        };
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&self.made.to_be_bytes());
        packet
    }

    fn send(&mut self, seconds: u64, from: Place, sequence: u32) -> Vec<u8> {
        let packet = self.record(from, sequence);
        let to = if from == DEVICE { GATEWAY } else { DEVICE };
        self.watch.sent(at(seconds), from, to, &packet);
        packet
    }

    /// It arrives, is taken in, and the receiver is in this epoch then.
    fn arrive(&mut self, seconds: u64, place: Place, packet: &[u8], epoch: u64) {
        let of = self.watch.arrived(place, packet).expect("as it was sent");
        self.watch.epochs(at(seconds), place, of, epoch);
    }

    fn deliver(&mut self, seconds: u64, place: Place, packet: &[u8]) {
        self.watch.delivered(at(seconds), place, packet);
    }

    fn finish(self) -> Findings {
        self.watch.finish(at(2_000))
    }

    /// Nothing but this has happened, once.
    fn convict(self, violation: Violation) {
        let findings = self.finish();
        for one in Violation::ALL {
            let expected = u64::from(one == violation);
            assert_eq!(findings.count(one), expected, "{one}: {findings}");
        }
    }
}

#[test]
fn a_blameless_conversation_is_counted_and_nothing_else() {
    let mut scene = Scene::new();
    for sequence in [0, 1, 2, 1 << BITS, (1 << BITS) + 1] {
        let second = 10 + u64::from(sequence & 0xff);
        scene.watch.wants(at(second), DEVICE);
        let request = scene.send(second, DEVICE, sequence);
        scene.deliver(second, GATEWAY, &request);
        scene.arrive(second, GATEWAY, &request, u64::from(sequence >> BITS));
        let answer = scene.send(second, GATEWAY, sequence);
        scene.arrive(second, DEVICE, &answer, u64::from(sequence >> BITS));
        scene.watch.heard(at(second), DEVICE);
    }
    let findings = scene.finish();
    assert_eq!(findings.violations(), 0, "{findings}");
    assert_eq!((findings.records, findings.ratchets), (10, 2));
    assert_eq!((findings.wishes, findings.heard), (5, 5));
    assert_eq!(findings.unclaimed, 0);
    assert_eq!(findings.margin, Some(at(988)));
}

#[test]
fn a_sequence_that_leaves_again_is_a_nonce_used_twice() {
    let mut scene = Scene::new();
    for sequence in [0, 1, 1] {
        scene.send(1, DEVICE, sequence);
    }
    scene.convict(Violation::NonceTwice);
}

#[test]
fn two_associations_under_one_index_are_told_apart_by_what_follows_in_them() {
    // The device has rebooted and chosen its index again; the gateway still uses the older one.
    for (fifth, violations) in [(2, 0), (1, 1)] {
        let mut scene = Scene::new();
        for sequence in [0, 1, 2] {
            scene.send(1, GATEWAY, sequence);
        }
        scene.watch.rebooted(DEVICE);
        scene.claim(DEVICE, [8; 16]);
        scene.claim(GATEWAY, [8; 16]);
        for sequence in [0, 3, 1, 4, fifth, 1 << BITS] {
            scene.send(2, GATEWAY, sequence);
        }
        let findings = scene.finish();
        assert_eq!(
            findings.count(Violation::NonceTwice),
            violations,
            "{findings}"
        );
    }
}

#[test]
fn the_same_sequence_both_ways_is_none() {
    let mut scene = Scene::new();
    scene.send(1, DEVICE, 0);
    scene.send(1, GATEWAY, 0);
    assert_eq!(scene.finish().violations(), 0);
}

#[test]
fn keys_that_come_back_after_a_reboot_are_a_nonce_used_twice() {
    let mut scene = Scene::new();
    scene.watch.rebooted(DEVICE);
    scene.claim(DEVICE, PRINT);
    scene.convict(Violation::NonceTwice);
}

#[test]
fn keys_that_come_back_when_they_were_over_are_a_nonce_used_twice() {
    let mut scene = Scene::new();
    let other = Claim {
        fingerprint: [8; 16],
        peer: GATEWAY,
        initiates: true,
        peer_index: (4, 1),
        epoch_bits: BITS,
        seals_until: at(9_000),
        opens_until: at(9_000),
    };
    scene.watch.claimed(at(6_000), DEVICE, &other);
    let again = Claim {
        fingerprint: PRINT,
        ..other
    };
    scene.watch.claimed(at(6_001), DEVICE, &again);
    scene.convict(Violation::NonceTwice);
}

#[test]
fn one_ephemeral_in_two_handshake_messages_is_a_nonce_used_twice() {
    let initiate = |index: u8, ephemeral: u8| {
        let mut packet = vec![0x09, 1, 0x29, 2, index, 0xaa, 0xbb];
        packet.extend_from_slice(&[ephemeral; 32]);
        packet.extend_from_slice(&[index; 24]);
        packet
    };
    let mut scene = Scene::new();
    for (index, ephemeral) in [(1, 1), (1, 1), (2, 2), (3, 1)] {
        let packet = initiate(index, ephemeral);
        scene.watch.sent(at(1), DEVICE, GATEWAY, &packet);
    }
    scene.convict(Violation::NonceTwice);
}

#[test]
fn one_nonce_with_one_handle_in_two_resumes_is_a_nonce_used_twice() {
    let resume = |index: u8, handle: u8, nonce: u8| {
        let mut packet = vec![0x21, 1, 0xa9, 12, index];
        packet.extend_from_slice(&[handle; 12]);
        packet.extend_from_slice(&[nonce; 8]);
        packet.extend_from_slice(&[index; 16]);
        packet
    };
    let mut scene = Scene::new();
    for (index, handle, nonce) in [(1, 1, 1), (1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 1, 1)] {
        let packet = resume(index, handle, nonce);
        scene.watch.sent(at(1), DEVICE, GATEWAY, &packet);
    }
    scene.convict(Violation::NonceTwice);
}

#[test]
fn what_leaves_after_the_end_of_its_keys_is_expired() {
    let mut scene = Scene::new();
    scene.send(1_000, DEVICE, 0);
    scene.send(1_001, DEVICE, 1);
    scene.convict(Violation::Expired);
}

#[test]
fn what_is_delivered_after_the_end_of_its_keys_is_expired() {
    let mut scene = Scene::new();
    let [in_time, late] = [0, 1].map(|sequence| scene.send(999, DEVICE, sequence));
    scene.deliver(1_100, GATEWAY, &in_time);
    scene.deliver(1_101, GATEWAY, &late);
    scene.convict(Violation::Expired);
}

#[test]
fn a_receiver_that_stays_behind_is_in_another_epoch_for_too_long() {
    let mut scene = Scene::new();
    for (second, sequence) in [
        (10, 1 << BITS),
        (14, (1 << BITS) + 1),
        (16, (1 << BITS) + 2),
    ] {
        let packet = scene.send(second, DEVICE, sequence);
        scene.arrive(second, GATEWAY, &packet, 0);
    }
    scene.convict(Violation::Epochs);
}

#[test]
fn a_receiver_that_catches_up_in_time_is_blameless() {
    let mut scene = Scene::new();
    for (second, sequence, epoch) in [(10, 1 << BITS, 0), (14, (1 << BITS) + 1, 1)] {
        let packet = scene.send(second, DEVICE, sequence);
        scene.arrive(second, GATEWAY, &packet, epoch);
    }
    let findings = scene.finish();
    assert_eq!(findings.violations(), 0, "{findings}");
    assert_eq!(findings.apart, at(4));
}

#[test]
fn who_is_further_behind_than_a_receiver_reaches_needs_another_association() {
    for (epoch, violations) in [(64, 1), (65, 0)] {
        let mut scene = Scene::new();
        for (second, sequence) in [(10, epoch << BITS), (16, (epoch << BITS) + 1)] {
            let packet = scene.send(second, DEVICE, sequence);
            scene.arrive(second, GATEWAY, &packet, 0);
        }
        let findings = scene.finish();
        assert_eq!(findings.violations(), violations, "{findings}");
        assert_eq!(findings.beyond, 2 * (1 - violations));
    }
}

#[test]
fn a_receiver_that_is_gone_is_blameless() {
    let mut scene = Scene::new();
    let first = scene.send(10, DEVICE, 1 << BITS);
    let of = scene
        .watch
        .arrived(GATEWAY, &first)
        .expect("as it was sent");
    scene.watch.ended(GATEWAY, of);
    let second = scene.send(20, DEVICE, (1 << BITS) + 1);
    assert_eq!(scene.watch.arrived(GATEWAY, &second), None);
    assert_eq!(scene.finish().violations(), 0);
}

#[test]
fn an_epoch_that_was_left_opens_for_the_reorder_time_only() {
    let mut scene = Scene::new();
    let [early, late] = [0, 1].map(|sequence| scene.send(9, DEVICE, sequence));
    let next = scene.send(10, DEVICE, 1 << BITS);
    scene.arrive(10, GATEWAY, &next, 1);
    scene.deliver(15, GATEWAY, &early);
    scene.deliver(16, GATEWAY, &late);
    scene.convict(Violation::Epochs);
}

#[test]
fn an_epoch_that_nobody_has_begun_is_another_one() {
    let mut scene = Scene::new();
    let packet = scene.send(1, DEVICE, 0);
    scene.arrive(1, GATEWAY, &packet, 1);
    scene.convict(Violation::Epochs);
}

#[test]
fn what_is_delivered_again_is_delivered_twice() {
    let mut scene = Scene::new();
    let packet = scene.send(1, DEVICE, 0);
    scene.deliver(1, GATEWAY, &packet);
    scene.deliver(2, GATEWAY, &packet);
    scene.convict(Violation::Delivered);
}

#[test]
fn what_was_altered_on_its_way_was_not_sent() {
    let mut scene = Scene::new();
    let mut packet = scene.send(1, DEVICE, 0);
    packet[9] ^= 1;
    assert_eq!(scene.watch.arrived(GATEWAY, &packet), None);
    scene.deliver(1, GATEWAY, &packet);
    scene.convict(Violation::Delivered);
}

#[test]
fn a_record_of_no_association_is_seen() {
    let mut scene = Scene::new();
    scene.watch.rebooted(DEVICE);
    scene.send(1, DEVICE, 0);
    let findings = scene.finish();
    assert_eq!((findings.violations(), findings.unclaimed), (0, 1));
}

#[test]
fn who_can_be_reached_and_is_not_heard_is_stranded() {
    let mut scene = Scene::new();
    scene.watch.wants(at(10), DEVICE);
    scene.watch.hindered(at(20), DEVICE, true);
    scene.watch.hindered(at(500), DEVICE, false);
    scene.watch.heard(at(560), DEVICE);
    scene.watch.wants(at(600), DEVICE);
    scene.watch.heard(at(661), DEVICE);
    scene.convict(Violation::Stranded);
}

#[test]
fn who_is_never_heard_is_stranded_once() {
    let mut scene = Scene::new();
    scene.watch.wants(at(10), DEVICE);
    scene.convict(Violation::Stranded);
}

#[test]
fn who_cannot_be_reached_is_not_stranded() {
    let mut scene = Scene::new();
    scene.watch.hindered(at(5), DEVICE, true);
    scene.watch.wants(at(10), DEVICE);
    let findings = scene.finish();
    assert_eq!(findings.violations(), 0, "{findings}");
}

#[test]
fn what_two_watches_saw_adds_up() {
    let mut sum = Findings::default();
    for _ in 0..2 {
        let mut scene = Scene::new();
        scene.send(1_001, DEVICE, 0);
        scene.watch.wants(at(1_990), DEVICE);
        scene.watch.heard(at(1_999), DEVICE);
        sum.add(scene.finish());
    }
    assert_eq!(sum.count(Violation::Expired), 2);
    assert_eq!((sum.records, sum.heard), (2, 2));
    assert_eq!(sum.longest_wait, at(9));
    assert_eq!(sum.wait(1000), at(9));
    assert_eq!(sum.words().len(), 2);
}
