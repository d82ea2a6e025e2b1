//! Rules H1, H3, H4, K1: who may be taken for whom.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{Backend, Config, Credential, Error, SessionLabel};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_sim::Link;
use support::Setting;

/// A world whose ends disagree in one thing.
fn mismatched(device: &Setting, gateway: &Setting) -> World {
    let mut world = World::new(1, Link::perfect(), device);
    world.add("gateway", 2, Config::default(), gateway.responder());
    world
}

fn fails(what: &str, mut world: World) {
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(20));
    assert!(
        world.log("device").established.is_empty(),
        "{what}: the device took it"
    );
    assert!(
        world.log("gateway").established.is_empty(),
        "{what}: the gateway took it"
    );
    assert_eq!(world.log("device").failed[0].1, Error::NoAnswer, "{what}");
    assert_eq!(
        world.host("gateway").endpoint.len(),
        0,
        "{what}: something is left"
    );
}

#[test]
fn whatever_differs_between_the_ends_no_association_comes_about() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let base = Setting {
            profile,
            ..Setting::default()
        };
        let other_key = base.static_keys.1;
        let cases = [
            (
                "key",
                Setting {
                    key: [8; 32],
                    ..base.clone()
                },
            ),
            (
                "initiator",
                Setting {
                    initiator: support::STRANGER,
                    ..base.clone()
                },
            ),
            (
                "responder",
                Setting {
                    responder: "//sp.example.com/id-in",
                    ..base.clone()
                },
            ),
            (
                "reference point",
                Setting {
                    point: ReferencePoint::Y,
                    ..base.clone()
                },
            ),
            (
                "key id",
                Setting {
                    key_id: b"k002",
                    ..base.clone()
                },
            ),
            (
                "expiry",
                Setting {
                    expires: 1_700_000_000,
                    ..base.clone()
                },
            ),
        ];
        for (what, gateway) in cases {
            fails(&format!("{profile:?}, {what}"), mismatched(&base, &gateway));
        }
        if profile != Profile::Psk {
            let gateway = Setting {
                static_keys: ([3; 32], other_key),
                ..base.clone()
            };
            fails(
                &format!("{profile:?}, initiator's static key"),
                mismatched(&base, &gateway),
            );
            let gateway = Setting {
                static_keys: ([1; 32], [3; 32]),
                ..base.clone()
            };
            fails(
                &format!("{profile:?}, responder's static key"),
                mismatched(&base, &gateway),
            );
        }
    }
}

#[test]
fn profiles_are_listed_per_credential() {
    for (offered, allowed) in [
        (Profile::Psk, Profile::Pinned),
        (Profile::Known, Profile::Psk),
    ] {
        let device = Setting {
            profile: offered,
            ..Setting::default()
        };
        let gateway = Setting {
            profile: allowed,
            ..Setting::default()
        };
        fails("profile", mismatched(&device, &gateway));
    }
}

#[test]
fn an_echoed_initiate_is_not_taken_for_the_peers_own() {
    let setting = Setting {
        point: ReferencePoint::Y,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    world.net.start_capture();
    world.connect("device", "gateway");
    let initiate = world.net.captured()[0].1.clone();
    world.with("device", |endpoint, now, rng, out| {
        endpoint.receive(now, rng, initiate.to, &mut initiate.data.clone(), out);
    });
    assert_eq!(world.host("device").endpoint.statistics().answered, 0);
}

#[test]
fn a_stolen_key_without_the_static_key_reaches_nobody_and_the_other_way_round() {
    // Rule H3: the static key of one entity with the key id of another.
    let honest = Setting {
        profile: Profile::Known,
        ..Setting::default()
    };
    let mut world = World::perfect(&honest);
    let mallory = Setting {
        initiator: support::STRANGER,
        key: [66; 32],
        key_id: b"mall",
        static_keys: ([66; 32], [2; 32]),
        ..honest.clone()
    };
    let (_, credential) = mallory.responder();
    world
        .host("gateway")
        .endpoint
        .insert_credential(credential)
        .expect("another entity");
    // Mallory has the connection key of the device, but only a static key of its own.
    let thief = Setting {
        static_keys: ([66; 32], [2; 32]),
        ..honest.clone()
    };
    world.add("thief", 3, Config::device(), thief.initiator());
    world.connect("thief", "gateway");
    world.run_for(Duration::from_secs(20));
    assert!(
        world.log("gateway").established.is_empty(),
        "the static key is another's"
    );
    // Mallory has the static key of the device, but only a connection key of its own.
    let thief = Setting {
        static_keys: ([1; 32], [2; 32]),
        ..mallory.clone()
    };
    world.add("thief", 3, Config::device(), thief.initiator());
    world.connect("thief", "gateway");
    world.run_for(Duration::from_secs(20));
    assert!(
        world.log("gateway").established.is_empty(),
        "the connection key is another's"
    );
    // With both of its own it gets in, as itself.
    world.add("thief", 3, Config::device(), mallory.initiator());
    world.associate("thief", "gateway");
    assert_eq!(world.log("gateway").established[0].2, support::STRANGER);
}

#[test]
fn in_known_a_stranger_gets_an_answer_of_the_same_size_that_leads_nowhere() {
    let honest = Setting {
        profile: Profile::Known,
        ..Setting::default()
    };
    let mut sizes = Vec::new();
    for static_key in [[1; 32], [77; 32]] {
        let mut world = World::perfect(&honest);
        let stranger = Setting {
            static_keys: (static_key, [2; 32]),
            ..honest.clone()
        };
        world.add("device", 1, Config::device(), stranger.initiator());
        world.net.start_capture();
        world.connect("device", "gateway");
        world.run_for(Duration::from_millis(30));
        sizes.push(world.net.captured()[1].1.data.len());
    }
    assert_eq!(sizes[0], sizes[1]);
}

#[test]
fn a_credential_by_which_only_the_peer_initiates_does_not_initiate() {
    let setting = Setting::default();
    let (local, credential) = setting.initiator();
    let mut world = World::perfect(&setting);
    world.add(
        "device",
        1,
        Config::device(),
        (local, credential.with_initiators(false, true)),
    );
    let (credential, to) = (
        world.host("device").credential,
        world.host("gateway").address,
    );
    let refused = world.with("device", |endpoint, now, rng, out| {
        endpoint.connect(now, rng, to, credential, Default::default(), out)
    });
    assert_eq!(refused, Err(Error::NotAllowed("direction of initiation")));
}

#[test]
fn removing_a_credential_closes_its_associations() {
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    let credential = world.host("gateway").credential;
    world.with("gateway", |endpoint, now, _, out| {
        endpoint.remove_credential(now, credential, out)
    });
    world.run_for(Duration::from_secs(1));
    let reason = refpoint_association::CloseReason::Revoked;
    assert_eq!(
        world.log("device").closed,
        [(device, Error::Closed(reason))]
    );
}

#[test]
fn a_removed_credential_leaves_its_public_key_to_whom_it_is_given_next() {
    let setting = Setting {
        profile: Profile::Known,
        ..Setting::default()
    };
    let (_, credential) = setting.responder();
    let public = setting.statics().0.public_key();
    let (mut table, first) = support::table(credential);
    let second = Setting {
        key_id: b"k002",
        ..setting.clone()
    };
    let second = table.insert(second.responder().1).expect("the same owner");
    table.remove(first).expect("it was there");
    assert!(table.owner(&public).is_some(), "by the other credential");
    table.remove(second).expect("it was there");
    assert!(table.owner(&public).is_none());
    let other = Setting {
        initiator: support::STRANGER,
        ..setting
    };
    table.insert(other.responder().1).expect("nobody's key");
}

#[test]
fn a_credential_of_no_profile_or_for_first_contact_is_refused() {
    let setting = Setting::default();
    for profiles in [
        &[][..],
        &[Profile::FirstContact],
        &[Profile::Psk, Profile::FirstContact],
    ] {
        let refused = Credential::new(
            &support::id(setting.initiator),
            setting.connection_key(),
            profiles,
        );
        assert!(matches!(refused, Err(Error::Config(_))), "{profiles:?}");
    }
}

#[test]
fn a_static_key_of_one_backend_is_not_used_with_the_other() {
    let of = |backend| Setting {
        backend,
        profile: Profile::Pinned,
        ..Setting::default()
    };
    let mut world = World::perfect(&of(Backend::AwsLc));
    world.add(
        "device",
        1,
        Config::device().with_backend(Backend::AwsLc),
        of(Backend::RustCrypto).initiator(),
    );
    let (credential, to) = (
        world.host("device").credential,
        world.host("gateway").address,
    );
    let refused = world.with("device", |endpoint, now, rng, out| {
        endpoint.connect(now, rng, to, credential, SessionLabel::default(), out)
    });
    assert!(matches!(refused, Err(Error::Backend(_))), "{refused:?}");
}

#[test]
fn a_key_id_or_public_key_has_one_owner() {
    let setting = Setting {
        profile: Profile::Known,
        ..Setting::default()
    };
    let (_, credential) = setting.responder();
    let (mut table, _) = support::table(credential.clone());
    assert!(table.insert(credential).is_err(), "the key id is taken");
    let other = Setting {
        initiator: support::STRANGER,
        key_id: b"k002",
        ..setting
    };
    let (_, credential): (_, Credential) = other.responder();
    assert!(
        table.insert(credential).is_err(),
        "the public key belongs to another entity"
    );
}
