//! What a configuration says when it is right, and what it says about itself when it is not.

use core::time::Duration;
use std::path::Path;

use refpoint_association::Modes;
use refpoint_keys::{EntityId, Profile, ReferencePoint};
use refpoint_node::config::{Carriage, Config, Initiator, LineError, Relation};
use refpoint_node::default_policy;

const MN: &str = include_str!("../examples/mn.toml");
const IN: &str = include_str!("../examples/in.toml");

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

fn refused(text: &str) -> LineError {
    Config::parse(text, Path::new("")).expect_err("the configuration was taken")
}

/// The MN's example with one piece of text replaced.
fn mn_with(old: &str, new: &str) -> String {
    assert!(MN.contains(old), "the example does not contain {old:?}");
    MN.replacen(old, new, 1)
}

#[test]
fn the_examples_of_a_gateway_and_a_core_fit_together() {
    let mn = Config::parse(MN, Path::new("/etc/refpoint")).expect("the MN's example");
    let core = Config::parse(IN, Path::new("/etc/refpoint")).expect("the IN's example");

    let to_core = mn.peer(&core.entity, ReferencePoint::Y).expect("the core");
    let to_mn = core
        .peer(&mn.entity, ReferencePoint::Y)
        .expect("the gateway");
    assert_eq!(to_core.address, Some(core.listen[0].address));
    assert_eq!(
        (to_core.initiator, to_mn.initiator),
        (Initiator::Local, Initiator::Peer)
    );
    assert_eq!(
        (to_core.relation, to_mn.relation),
        (Some(Relation::Registrar), Some(Relation::Registree))
    );
    assert_eq!(to_core.profiles, to_mn.profiles);
    assert_eq!(
        to_core.connection_key,
        Path::new("/etc/refpoint/keys/mn-in.connection")
    );

    let sensor = mn
        .peer(&id("//acme.example.com/id-mn/CSensor1"), ReferencePoint::X)
        .expect("the sensor");
    assert_eq!(
        (sensor.carriage, sensor.profiles.as_slice()),
        (Carriage::Udp, &[Profile::Psk][..])
    );
    assert_eq!(
        mn.ingress(ReferencePoint::X)
            .expect("an ingress")
            .cse
            .as_str(),
        "127.0.0.1:18081"
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = refused(&mn_with(
        "drain = \"10s\"",
        "drain = \"10s\"\ndrian = \"10s\"",
    ));
    assert_eq!((error.line, error.key.as_str()), (17, "drian"));
    assert!(error.problem.contains("unknown field"), "{error}");
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_its_line() {
    for (old, new, key, says) in [
        ("drain = \"10s\"", "drain = \"10\"", "drain", "\"30s\""),
        (
            "drain = \"10s\"",
            "drain = 10",
            "drain",
            "invalid type: integer",
        ),
        ("point = \"x\"", "point = \"mca\"", "point", "\"y-prime\""),
        (
            "profiles = [\"psk\"]",
            "profiles = [\"psk\", \"first-contact\"]",
            "profiles",
            "\"pinned\"",
        ),
        (
            "address = \"127.0.0.1:18100\"",
            "address = \"localhost\"",
            "address",
            "[::1]:7000",
        ),
        (
            "cse = \"http://127.0.0.1:18081\"",
            "cse = \"https://127.0.0.1\"",
            "cse",
            "http://host",
        ),
        (
            "entity = \"//acme.example.com/id-mn\"",
            "entity = \"id-mn\"",
            "entity",
            "entity id",
        ),
    ] {
        let error = refused(&mn_with(old, new));
        assert_eq!(error.key, key, "{error}");
        assert!(error.problem.contains(says), "{error}");
    }
}

#[test]
fn what_does_not_fit_together_is_named_with_its_line() {
    for (old, new, key, says) in [
        (
            "static_key = \"keys/mn.static\"\n",
            "",
            "profiles",
            "static_key",
        ),
        (
            "public_key = \"keys/in.public\"\n",
            "",
            "profiles",
            "public_key",
        ),
        ("relation = \"registrar\"\n", "", "point", "relation"),
        (
            "address = \"127.0.0.1:18100\"\n",
            "",
            "initiator",
            "address",
        ),
        (
            "carriage = \"udp\"\npoints = [\"x\"]",
            "carriage = \"tcp\"\npoints = [\"x\", \"y\"]",
            "points",
            "its own [[listen]]",
        ),
        (
            "carriage = \"udp\"\npoints = [\"x\"]",
            "carriage = \"udp\"\npoints = [\"y\"]",
            "points",
            "tcp",
        ),
        (
            "points = [\"x\", \"y\"]",
            "points = [\"x\", \"x\"]",
            "points",
            "one ingress",
        ),
        (
            "listen = \"127.0.0.1:18092\"",
            "listen = \"127.0.0.1:18090\"",
            "listen",
            "already",
        ),
        (
            "peer = \"//acme.example.com/id-in\"",
            "peer = \"//acme.example.com/id-other\"",
            "peer",
            "no [[peer]]",
        ),
        (
            "lifetime = \"12h\"",
            "lifetime = \"5s\"",
            "policy",
            "too short",
        ),
        (
            "lifetime = \"12h\"",
            "failed_opens = 100",
            "policy",
            "too few",
        ),
        (
            "relation = \"registrar\"",
            "relation = \"registrar\"\nsubtree = [\"//acme.example.com/id-x\"]",
            "subtree",
            "registree",
        ),
        (
            "bucket = \"1h\"",
            "bucket = \"90s\"",
            "bucket",
            "between a minute and a week",
        ),
        (
            "directory = \"state/mn\"",
            "directory = \"state/mn\"\nmissing_keys = \"start-empty\"",
            "missing_keys",
            "without key_directory",
        ),
        (
            "# The CSE's requests",
            "[[listen]]\naddress = \"127.0.0.1:18102\"\ncarriage = \"udp\"\npoints = [\"x\"]\n#",
            "directory",
            "one [[listen]]",
        ),
        (
            "ratchet = \"2min\"",
            "resume_age = \"30s\"",
            "policy",
            "too short",
        ),
        (
            "ratchet = \"2min\"",
            "resume = [\"heavy\"]",
            "policy",
            "\"light\" or \"fresh\"",
        ),
        (
            "initiator = \"peer\"\nprofiles = [\"psk\"]",
            "initiator = \"peer\"\nstate = \"flash\"\nprofiles = [\"psk\"]",
            "state",
            "only who initiates over udp",
        ),
        (
            "relation = \"registrar\"",
            "relation = \"registrar\"\naes = [\"//acme.example.com/SAe\"]",
            "aes",
            "on x",
        ),
    ] {
        let error = refused(&mn_with(old, new));
        assert_eq!(error.key, key, "{error}");
        assert!(error.problem.contains(says), "{error}");
    }
}

#[test]
fn policies_of_a_reference_point_hold_for_its_peers_unless_theirs_say_otherwise() {
    let tables =
        "[policy.x]\nratchet = \"1min\"\nresume = [\"fresh\"]\n[policy.y]\nresume = []\n[[peer]]";
    let mn = Config::parse(&mn_with("[[peer]]", tables), Path::new("")).expect("a configuration");
    let sensor = id("//acme.example.com/id-mn/CSensor1");
    let policy = |entity, point| {
        let peer = mn.peer(entity, point).expect("a peer");
        let policy = default_policy(point).expect("a policy");
        peer.policy.apply(policy).expect("a policy")
    };
    let on_x = policy(&sensor, ReferencePoint::X);
    assert_eq!(on_x.ratchet(), Some(Duration::from_secs(120)), "its own");
    assert_eq!(on_x.resumption(), Modes::FRESH, "its reference point's");
    let core = id("//acme.example.com/id-in");
    assert_eq!(policy(&core, ReferencePoint::Y).resumption(), Modes::NONE);
}

#[test]
fn a_state_file_is_of_one_peer() {
    let device = |cse: &str| {
        format!(
            "[[peer]]\nentity = \"{cse}\"\npoint = \"x\"\ncarriage = \"udp\"\ninitiator = \"self\"\n\
             address = \"127.0.0.1:1\"\nprofiles = [\"psk\"]\nconnection_key = \"k\"\nstate = \"flash\"\n"
        )
    };
    let (one, other) = ("//acme.example.com/id-mn", "//acme.example.com/id-in");
    let node = "[node]\nentity = \"//acme.example.com/SSensor\"\n";
    let config = Config::parse(&format!("{node}{}", device(one)), Path::new("/var"));
    let config = config.expect("a configuration");
    assert_eq!(
        config.peers[0].state.as_deref(),
        Some(Path::new("/var/flash"))
    );
    let error = refused(&format!("{node}{}{}", device(one), device(other)));
    assert_eq!((error.line, error.key.as_str()), (20, "state"), "{error}");
}

#[test]
fn two_gateways_that_claim_the_same_subtree_are_refused() {
    let second = "
[[peer]]
entity = \"//acme.example.com/id-mn2\"
point = \"y\"
initiator = \"peer\"
profiles = [\"psk\"]
connection_key = \"keys/mn2-in.connection\"
relation = \"registree\"
subtree = [\"//acme.example.com/id-mn\"]
";
    let error = refused(&format!("{IN}{second}"));
    assert!(
        error
            .problem
            .contains("held by the peer //acme.example.com/id-mn"),
        "{error}"
    );
    assert_eq!(error.key, "entity");
}

#[test]
fn broken_toml_never_panics_and_names_a_line() {
    for text in [
        "",
        "[",
        "[node",
        "node = 1",
        "[node]\nentity = \"//a.b/c\"\n\u{0}",
        "[[node]]",
        "=",
        "[node]\nentity='''",
    ] {
        let error = refused(text);
        assert!(error.line >= 1, "{error}");
    }
}

#[test]
fn the_example_in_the_documentation_is_a_configuration() {
    let source = include_str!("../src/config.rs");
    let example: String = source
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.strip_prefix("//!").unwrap_or(line)))
        .collect();
    let config = Config::parse(&example, Path::new("")).expect("a configuration");
    assert_eq!(config.limits.in_flight, 64);
}
