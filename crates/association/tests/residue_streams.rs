//! What is left in memory of associations on streams that are refreshed, fail or end: no key, on
//! either backend.

#[path = "support/memory.rs"]
mod memory;
#[path = "support/support.rs"]
mod support;
#[path = "support/talk.rs"]
mod talk;

use memory::{Alone, Injected, MASK, Needle, file, found, masked, policies, schedule, setting};
use refpoint_association::Backend;
use serde_json::Value;
use support::{BACKENDS, now};
use talk::{INITIATOR, RESPONDER, Talk};

const STREAMS: &str = include_str!("vectors/streams.json");

/// The two ends of a transcript.
fn talk(file: &Value, case: &Value, backend: Backend) -> Talk {
    let setting = setting(case, backend);
    let parties = [setting.initiator(), setting.responder()];
    let mut parties = parties.into_iter().zip(policies());
    let mut party = || {
        let ((local, credential), policy) = parties.next().expect("two");
        (local, credential.with_policy(policy))
    };
    let (initiator, responder) = (party(), party());
    let rng = |name: &str| Injected(masked(file[name].as_str().expect("a text")));
    let rngs: [&mut dyn rand_core::CryptoRng; 2] = [
        &mut rng("initiator_ephemeral"),
        &mut rng("responder_ephemeral"),
    ];
    Talk::made_by([initiator, responder], backend, rngs, 1)
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_stream_association_are_gone_when_it_is_dropped() {
    let _alone = Alone::new();
    let file = file(STREAMS);
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let needles = schedule(case);
            let mut talk = talk(&file, case, backend);
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let alive = found(&needles);
            let has = |name: &str| alive.iter().any(|found| found == name);
            assert!(has("exporter"), "{what}: the scan finds what is there");
            for at in [1, 122] {
                talk.at(at);
                for end in [INITIATOR, RESPONDER] {
                    talk.send(end, b"payload");
                }
                talk.settle().expect("opens");
            }
            for name in found(&needles) {
                assert!(!name.ends_with(" 0"), "{what}: {name} outlives its epoch");
            }
            drop(talk);
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the association");
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn each_directions_secrets_are_gone_when_it_has_switched_and_the_rest_with_the_second() {
    let _alone = Alone::new();
    let file = file(STREAMS);
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let mut needles = schedule(case);
            let mut talk = talk(&file, case, backend);
            let mut binding = [0; 32];
            let session = &talk.ends[INITIATOR].session;
            session
                .export(b"refpoint/1 refresh", b"", &mut binding)
                .expect("alive");
            needles.push(Needle {
                name: "binding".to_owned(),
                masked: binding[16..].iter().map(|byte| byte ^ MASK).collect(),
            });
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let has = |name: &str| found(&needles).iter().any(|found| found == name);
            assert!(has("traffic i2r 0") && has("traffic r2i 0"), "{what}");
            talk.begin_refresh();
            assert!(!has("binding"), "{what}: it outlives the offer");
            for from in [INITIATOR, RESPONDER] {
                talk.deliver(from).expect("opens");
            }
            assert!(!has("binding"), "{what}: it outlives the answer");
            // The initiator's last record is read; the responder's is not even sent.
            assert!(
                has("traffic i2r 0"),
                "{what}: the responder still opens by it"
            );
            talk.deliver(INITIATOR).expect("opens");
            let left = found(&needles);
            assert!(
                left.iter().all(|name| !name.contains("i2r")),
                "{what}: {left:?}"
            );
            assert!(left.iter().any(|name| name == "traffic r2i 0"), "{what}");
            talk.settle().expect("opens");
            assert_eq!(talk.refreshes(), (1, 1));
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the refresh");
            talk.send(INITIATOR, b"still alive");
            talk.settle().expect("opens");
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn nothing_is_left_of_an_association_that_has_failed_though_its_session_lives() {
    let _alone = Alone::new();
    let file = file(STREAMS);
    let case = &file["cases"][0];
    for backend in BACKENDS {
        let needles = schedule(case);
        let [initiator, mut responder] = talk(&file, case, backend).ends;
        drop(initiator);
        assert!(!found(&needles).is_empty(), "the scan finds what is there");
        let mut forged = [
            0, 20, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1,
        ];
        let failed = responder
            .session
            .receive(now(1), &mut forged, &mut Vec::new());
        assert!(failed.is_err());
        let left = found(&needles);
        assert!(left.is_empty(), "{backend:?}: {left:?} outlive the failure");
        assert!(responder.session.end().is_err());
    }
}
