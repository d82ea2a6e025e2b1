//! Attacks on resumption: replays, thieves of handles, forged refusals, reflections (rules S1 to S6).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use refpoint_association::{HeldHandle, Modes, Policy};
use refpoint_sim::{Adversary, Injector, Packet, Verdict};
use support::Setting;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const MODES: [Modes; 2] = [Modes::BOTH, Modes::FRESH];

fn setting(modes: Modes) -> Setting {
    Setting {
        policy: Policy::default().with_resumption(modes, WEEK),
        ..Setting::default()
    }
}

fn kind(packet: &[u8]) -> u8 {
    packet[0] >> 3
}

/// A world with an association, and all packets of one resumption of it.
fn resumed(modes: Modes) -> (World, Vec<Packet>) {
    let mut world = World::perfect(&setting(modes));
    world.associate("device", "gateway");
    world.net.start_capture();
    world.associate("device", "gateway");
    let captured = world.net.captured();
    let packets = captured.iter().map(|(_, packet)| packet.clone()).collect();
    (world, packets)
}

fn give(world: &mut World, to: &str, packet: &Packet) {
    let mut bytes = packet.data.clone();
    world.with(to, |endpoint, now, rng, out| {
        endpoint.receive(now, rng, packet.from, &mut bytes, out);
    });
}

#[test]
fn a_replayed_resume_is_never_confirmed_and_ends_nothing() {
    for modes in MODES {
        let (mut world, packets) = resumed(modes);
        world.run_for(Duration::from_secs(20));
        let established = world.log("gateway").established.len();
        let id = world.log("device").newest();
        for packet in &packets {
            for to in ["device", "gateway"] {
                if world.host(to).address == packet.to {
                    give(&mut world, to, packet);
                }
            }
        }
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.log("gateway").established.len(), established);
        assert_eq!(world.host("gateway").endpoint.len(), 1);
        world.send("device", id, b"still here").expect("may send");
        world.run_for(Duration::from_secs(1));
        assert_eq!(
            world.log("gateway").payloads().last(),
            Some(&&b"still here"[..])
        );
    }
}

#[test]
fn a_resume_that_was_held_back_is_replayed_in_vain_before_its_owner_comes_again() {
    // Nothing was confirmed yet, so the handle is still good: the replays take places, no more.
    for modes in MODES {
        let mut world = World::perfect(&setting(modes));
        world.associate("device", "gateway");
        world.net.start_capture();
        let drop_all = |_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop;
        let mut recorded = Vec::new();
        for _ in 0..6 {
            world.net.set_adversary(drop_all);
            let before = world.net.captured().len();
            world.connect("device", "gateway");
            recorded.push(world.net.captured()[before].1.clone());
            world.run_for(Duration::from_millis(50));
        }
        world
            .net
            .set_adversary(|_: Duration, _: &Packet, _: &mut Injector| Verdict::Pass);
        let before = world.log("gateway").established.len();
        for packet in &recorded {
            assert_eq!(kind(&packet.data), 4);
            give(&mut world, "gateway", packet);
        }
        // Four answers to one handle, beside the association that is there.
        assert_eq!(world.host("gateway").endpoint.len(), 5);
        world.run_for(Duration::from_secs(30));
        world.associate("device", "gateway");
        world.run_for(Duration::from_secs(20));
        assert!(world.log("gateway").established.len() > before);
        assert_eq!(world.host("gateway").endpoint.issued(), 1);
    }
}

#[test]
fn a_handle_is_redeemed_once_however_many_answers_were_given() {
    // The same flash in two devices, at the same time: a clone. One of them wins.
    for modes in MODES {
        let setting = setting(modes);
        let mut world = World::perfect(&setting);
        world.associate("device", "gateway");
        let flash = world.log("device").held.last().expect("a handle").clone();
        world.add(
            "clone",
            3,
            refpoint_association::Config::device(),
            setting.initiator(),
        );
        world.reboot("device", &setting);
        for name in ["device", "clone"] {
            world.with(name, |endpoint, now, _, _| {
                let held = HeldHandle::from_bytes(now, &flash).expect("its own bytes");
                endpoint.restore_held(now, held).expect("fits");
            });
        }
        world.connect("device", "gateway");
        world.connect("clone", "gateway");
        world.run_for(Duration::from_millis(45));
        let resumed = world.log("gateway").established.len() - 1;
        assert_eq!(resumed, 1, "{modes:?}");
        let gone = world.log("gateway").gone.len();
        assert_eq!(gone, 1, "claimed once");
    }
}

#[test]
fn a_stolen_handle_without_its_secret_opens_nothing() {
    for modes in MODES {
        let setting = setting(modes);
        let mut world = World::perfect(&setting);
        world.associate("device", "gateway");
        let mut flash = world.log("device").held.last().expect("a handle").clone();
        // layout(5) ‖ handle(12) ‖ secret(32): the thief saw the handle on the wire.
        for byte in &mut flash[17..49] {
            *byte ^= 0x55;
        }
        world.reboot("device", &setting);
        world.with("device", |endpoint, now, _, _| {
            let held = HeldHandle::from_bytes(now, &flash).expect("well-formed");
            endpoint.restore_held(now, held).expect("fits");
        });
        world.connect("device", "gateway");
        world.run_for(Duration::from_millis(1_500));
        let statistics = world.host("gateway").endpoint.statistics();
        assert_eq!((statistics.resumed, statistics.refused), (0, 0));
        assert!(statistics.unauthenticated > 0);
        assert_eq!(
            world.host("gateway").endpoint.issued(),
            1,
            "still its owner's"
        );
    }
}

#[test]
fn every_flipped_bit_of_a_resume_and_its_answer_is_noticed() {
    for modes in MODES {
        let (_, packets) = resumed(modes);
        for (which, to) in [(0, "gateway"), (1, "device")] {
            for at in 0..packets[which].data.len() {
                let (mut world, packets) = {
                    let mut world = World::perfect(&setting(modes));
                    world.associate("device", "gateway");
                    world.net.start_capture();
                    let count = which;
                    let mut passed = 0;
                    world.net.set_adversary(
                        move |_: Duration, packet: &Packet, _: &mut Injector| {
                            let resumption = matches!(kind(&packet.data), 4 | 5);
                            passed += usize::from(resumption);
                            if resumption && passed == count + 1 {
                                Verdict::Drop
                            } else {
                                Verdict::Pass
                            }
                        },
                    );
                    world.connect("device", "gateway");
                    world.run_for(Duration::from_millis(40));
                    let captured = world.net.captured();
                    let packets: Vec<_> =
                        captured.iter().map(|(_, packet)| packet.clone()).collect();
                    (world, packets)
                };
                let established = world.log(to).established.len();
                let mut flipped = packets[which].clone();
                flipped.data[at] ^= 1;
                give(&mut world, to, &flipped);
                world.run_for(Duration::from_millis(45));
                assert_eq!(
                    world.log(to).established.len(),
                    established,
                    "{modes:?}: byte {at} of what goes to the {to}"
                );
            }
        }
    }
}

#[test]
fn an_issued_handle_is_not_a_held_one_and_a_resume_reflected_to_its_sender_opens_nothing() {
    for modes in MODES {
        let (mut world, packets) = resumed(modes);
        // What the gateway has issued it cannot redeem, in whatever form.
        let stored = world.log("gateway").issued.last().expect("one");
        let bytes = stored.expose_bytes().to_vec();
        world.with("gateway", |_, now, _, _| {
            assert!(HeldHandle::from_bytes(now, &bytes).is_err());
        });
        let mut reflected = packets[0].clone();
        reflected.from = address(2);
        let before = world.host("device").endpoint.statistics();
        give(&mut world, "device", &reflected);
        let after = world.host("device").endpoint.statistics();
        assert_eq!(after.resumed, before.resumed);
        assert_eq!(
            after.refused,
            before.refused + 1,
            "not a handle of this end"
        );
    }
}

/// Answers each Resume by a forged Refuse, before the genuine answer comes.
struct ForgedRefusals;

impl Adversary for ForgedRefusals {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if kind(&packet.data) == 4 {
            use sha2::Digest;
            let echo = sha2::Sha256::digest(&packet.data);
            let forged = [&[7 << 3 | 1, 3, packet.data[4]], &echo[..8]].concat();
            injector.inject(Duration::ZERO, packet.to, packet.from, forged);
        }
        Verdict::Pass
    }
}

#[test]
fn a_forged_refusal_costs_a_handshake_and_spoils_nothing() {
    for modes in MODES {
        let mut world = World::perfect(&setting(modes));
        world.associate("device", "gateway");
        world.net.set_adversary(ForgedRefusals);
        for _ in 0..5 {
            world.associate("device", "gateway");
            world.run_for(Duration::from_secs(20));
            assert!(world.log("device").failed.is_empty());
            assert_eq!(world.host("gateway").endpoint.len(), 1);
        }
        let credential = world.host("device").credential;
        let held = world.with("device", |endpoint, _, _, _| {
            endpoint
                .held(credential, refpoint_association::SessionLabel::default())
                .is_some()
        });
        assert!(held, "it can still resume");
    }
}

#[test]
fn a_resume_for_another_reference_point_or_gateway_is_refused() {
    let (_, packets) = resumed(Modes::BOTH);
    let other = Setting {
        responder: "//sp.example.com/id-in",
        ..setting(Modes::BOTH)
    };
    let mut world = World::perfect(&other);
    world.associate("device", "gateway");
    give(&mut world, "gateway", &packets[0]);
    assert_eq!(world.host("gateway").endpoint.statistics().refused, 1);
    assert_eq!(world.host("gateway").endpoint.statistics().resumed, 0);
}

#[test]
fn strangers_resumes_cost_a_tag_and_are_answered_by_fewer_bytes() {
    let (mut world, packets) = resumed(Modes::BOTH);
    let before = world.host("gateway").endpoint.statistics();
    let len = world.host("gateway").endpoint.len();
    let mut forged = packets[0].clone();
    for number in 0..10_000_u32 {
        forged.from = address(9);
        forged.data[5..9].copy_from_slice(&number.to_be_bytes());
        give(&mut world, "gateway", &forged);
    }
    let after = world.host("gateway").endpoint.statistics();
    assert_eq!(after.resumed, before.resumed);
    assert_eq!(world.host("gateway").endpoint.len(), len);
    let refused = after.refused - before.refused;
    assert!(refused <= 2_000, "{refused} refusals at once");
}
