//! What is left in memory of handles on streams and of the associations that they have made: no
//! secret, on either backend, once a handle is redeemed.

#[path = "support/memory.rs"]
mod memory;
#[path = "support/resuming.rs"]
mod resuming;
#[path = "support/support.rs"]
mod support;

use memory::{Alone, Injected, Needle, file, found, masked, setting};
use refpoint_association::{Backend, Modes};
use resuming::{Device, Gateway, WEEK, connect};
use serde_json::Value;
use support::{BACKENDS, Setting};

/// The secrets of one handle.
fn handle(name: &str, value: &Value) -> Vec<Needle> {
    let secrets = ["resumption", "mac_key", "light_key", "fresh_psk"];
    let needle = |secret| Needle::new(format!("{name} {secret}"), &value[secret]);
    secrets.map(needle).into()
}

/// Those of the association that it has made.
fn association(name: &str, value: &Value) -> Vec<Needle> {
    let secrets = ["k1", "k2", "master", "exporter", "grant_key"];
    let there = secrets.iter().filter(|secret| !value[secret].is_null());
    there
        .map(|secret| Needle::new(format!("{name} {secret}"), &value[secret]))
        .collect()
}

/// A device of a case that redeems by these modes.
fn device(case: &Value, backend: Backend, modes: Modes, ephemeral: &Value) -> Device {
    let base = setting(case, backend);
    let policy = base.policy.clone().with_resumption(modes, WEEK);
    let setting = Setting {
        policy: policy.with_epoch_bits(20).expect("valid"),
        ..base
    };
    Device::with_rng(&setting, injected(ephemeral))
}

fn gateway(case: &Value, backend: Backend, ephemeral: &Value) -> Gateway {
    let base = setting(case, backend);
    let policy = refpoint_association::Policy::default().with_resumption(Modes::BOTH, WEEK);
    let setting = Setting {
        policy: policy.with_epoch_bits(16).expect("valid"),
        ..base
    };
    Gateway::with_rng(&setting, injected(ephemeral))
}

fn injected(value: &Value) -> Injected {
    Injected(masked(value.as_str().expect("a text")))
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_handle_are_gone_when_it_is_redeemed_and_all_when_both_ends_are_dropped() {
    let _alone = Alone::new();
    let file = file(include_str!("vectors/stream_resumption.json"));
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let needles: Vec<_> = [
                handle("first", &case["handle"]),
                association("light", &case["light"]),
                handle("second", &case["light"]["next_handle"]),
                association("fresh", &case["fresh"]),
                handle("third", &case["fresh"]["next_handle"]),
            ]
            .into_iter()
            .flatten()
            .collect();
            let assert_gone = |which: &[&str]| {
                let left = found(&needles);
                let is_gone = |name: &String| which.iter().all(|gone| !name.starts_with(gone));
                assert!(left.iter().all(is_gone), "{what}: {left:?} of {which:?}");
                left
            };
            let has = |left: &[String], name: &str| left.iter().any(|found| found == name);

            let mut gateway = gateway(case, backend, &file["responder_ephemeral"]);
            let mut redeems = device(case, backend, Modes::BOTH, &file["initiator_ephemeral"]);
            drop(connect(0, &mut redeems, &mut gateway));
            gateway.issued.clear();
            assert!(
                has(&found(&needles), "first resumption"),
                "{what}: the scan finds what is there"
            );

            gateway.rng = Box::new(injected(&file["later_responder_ephemeral"]));
            redeems.rng = Box::new(injected(&file["later_initiator_ephemeral"]));
            let made = connect(10, &mut redeems, &mut gateway);
            gateway.issued.clear();
            let left = assert_gone(&["first", "light master", "light grant_key"]);
            assert!(
                has(&left, "light exporter") && has(&left, "second resumption"),
                "{what}: {left:?}"
            );
            drop(made);
            assert_gone(&["light"]);

            let held = redeems.held.take();
            redeems = device(
                case,
                backend,
                Modes::FRESH,
                &file["later_initiator_ephemeral"],
            );
            redeems.held = held;
            let made = connect(20, &mut redeems, &mut gateway);
            gateway.issued.clear();
            let left = assert_gone(&["second", "fresh k1", "fresh k2", "fresh master"]);
            assert!(has(&left, "third resumption"), "{what}: {left:?}");
            drop((made, redeems, gateway));
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive both ends");
        }
    }
}
