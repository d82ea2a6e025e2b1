//! Refreshes inside streams (rules L1, L2, R7): both directions move to new keys, and what they
//! carry does not notice.

#[path = "support/support.rs"]
mod support;
#[path = "support/talk.rs"]
mod talk;

use core::time::Duration;

use refpoint_association::{Due, Error, Now, Policy};
use refpoint_keys::{Profile, Role};
use support::{BACKENDS, SUITES, Setting};
use talk::{INITIATOR, RESPONDER, Talk};

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];

fn with_policy(policy: Policy) -> Setting {
    Setting {
        policy,
        ..Setting::default()
    }
}

/// Lives for a little more than 17 minutes.
fn short() -> Setting {
    let policy = Policy::default().with_lifetime(Duration::from_secs(1024));
    with_policy(policy.expect("valid"))
}

#[test]
fn every_profile_suite_and_backend_refreshes_with_new_keys() {
    for backend in BACKENDS {
        for profile in PROFILES {
            for suite in SUITES {
                let mut talk = Talk::new(&Setting {
                    backend,
                    profile,
                    suite,
                    ..Setting::default()
                });
                let export = |talk: &Talk, end: usize| {
                    let mut out = [0; 32];
                    let session = &talk.ends[end].session;
                    session.export(b"label", b"", &mut out).expect("alive");
                    out
                };
                let mut seen = vec![export(&talk, INITIATOR)];
                for _ in 0..3 {
                    talk.refresh();
                    talk.send(INITIATOR, b"up");
                    talk.send(RESPONDER, b"down");
                    talk.settle().expect("opens");
                    let new = export(&talk, INITIATOR);
                    assert_eq!(new, export(&talk, RESPONDER));
                    assert!(!seen.contains(&new), "the same keys again");
                    seen.push(new);
                }
                talk.assert_whole();
                for (end, peer) in [(INITIATOR, support::RESPONDER), (1, support::INITIATOR)] {
                    assert_eq!(talk.ends[end].session.peer().entity().as_str(), peer);
                }
                assert_eq!(talk.ends[INITIATOR].session.role(), Role::Initiator);
            }
        }
    }
}

#[test]
fn traffic_flows_both_ways_through_many_refreshes_whatever_the_order_of_delivery() {
    let seed = 11_u64;
    println!("seed {seed}");
    let mut chance = seed;
    let mut draw = |below: u64| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut talk = Talk::new(&Setting::default());
    let mut number = 0_u32;
    for step in 0..20_000_u64 {
        talk.at(step / 100);
        match draw(8) {
            0..=2 => {
                number += 1;
                let end = draw(2) as usize;
                talk.send(end, &number.to_be_bytes());
            }
            3 if draw(20) == 0 => {
                let end = draw(2) as usize;
                let _ = talk.ends[end].refresh(talk.now);
            }
            // In bursts: each direction falls behind the other.
            _ => {
                let end = draw(2) as usize;
                for _ in 0..draw(4) {
                    talk.deliver(end).expect("nobody attacks");
                }
            }
        }
    }
    talk.settle().expect("nobody attacks");
    talk.assert_whole();
    let (initiator, responder) = talk.refreshes();
    assert_eq!(initiator, responder);
    assert!(initiator > 100, "only {initiator} refreshes");
    assert!(talk.ends.iter().all(|end| end.refused.is_empty()));
}

#[test]
fn a_refresh_comes_by_itself_between_a_quarter_and_half_of_the_life() {
    let mut instants = Vec::new();
    for seed in 0..20 {
        let mut talk = Talk::between(&short(), &short(), seed);
        let due = talk.ends[INITIATOR].session.next_timeout();
        assert!((256..512).contains(&due.as_secs()), "due at {due:?}");
        instants.push(due);
        talk.now.monotonic = due;
        assert_eq!(talk.ends[INITIATOR].tick(talk.now), Due::Refresh);
        talk.settle().expect("opens");
        assert_eq!(talk.refreshes(), (1, 1));
        // From then on the new life counts.
        let next = talk.ends[INITIATOR].session.next_timeout();
        assert!(
            next >= due + Duration::from_secs(256),
            "{next:?} after {due:?}"
        );
        let asks = talk.ends[RESPONDER].session.next_timeout();
        assert_eq!(asks, due + Duration::from_secs(512));
    }
    instants.sort();
    instants.dedup();
    assert!(instants.len() > 15, "drawn, not fixed");
}

#[test]
fn a_stream_lives_on_far_beyond_one_lifetime() {
    let mut talk = Talk::new(&short());
    let mut records = 0_u32;
    for seconds in (0..20_000).step_by(7) {
        talk.at(seconds);
        for end in [INITIATOR, RESPONDER] {
            let due = talk.ends[end].tick(talk.now);
            assert!(!matches!(due, Due::Ended(_)), "{due:?} at {seconds}");
            records += 1;
            talk.send(end, &records.to_be_bytes());
        }
        talk.settle().expect("opens");
    }
    talk.assert_whole();
    assert!(talk.refreshes().0 >= 39, "{:?}", talk.refreshes());
}

#[test]
fn a_responder_asks_at_half_way_and_never_begins() {
    let mut talk = Talk::new(&short());
    talk.at(512);
    assert_eq!(talk.ends[RESPONDER].tick(talk.now), Due::Refresh);
    assert_eq!(talk.ends[RESPONDER].frames.len(), 1, "asks");
    talk.settle().expect("opens");
    assert_eq!(talk.refreshes(), (1, 1));
    assert_eq!(talk.ends[RESPONDER].session.role(), Role::Responder);
    // While one is under way, another demand changes nothing.
    talk.begin_refresh();
    talk.ends[RESPONDER].refresh(talk.now).expect("may ask");
    talk.settle().expect("opens");
    assert_eq!(talk.refreshes(), (2, 2));
}

#[test]
fn limits_of_messages_and_bytes_hold_data_back_until_the_refresh_and_lose_none() {
    let messages = Policy::default().with_messages(64).expect("valid");
    let bytes = Policy::default().with_bytes(1 << 16).expect("valid");
    for (policy, size) in [(messages, 4), (bytes, 4_000)] {
        for from in [INITIATOR, RESPONDER] {
            let mut talk = Talk::new(&with_policy(policy.clone()));
            let mut held = 0;
            for number in 0..1_000_u32 {
                talk.at(u64::from(number) / 10);
                let mut data = vec![0; size];
                data[..4].copy_from_slice(&number.to_be_bytes());
                if talk.ends[from].send(talk.now, &data).is_err() {
                    // It is held, and the refresh that is due lets it go on.
                    assert!(talk.ends[from].session.is_held());
                    held += 1;
                    for end in [INITIATOR, RESPONDER] {
                        talk.ends[end].tick(talk.now);
                    }
                    talk.settle().expect("opens");
                    assert!(!talk.ends[from].session.is_held());
                    talk.send(from, &data);
                }
            }
            talk.settle().expect("opens");
            talk.assert_whole();
            assert!(held > 10 && talk.refreshes().0 >= held, "{held}");
        }
    }
}

#[test]
fn an_end_with_its_timers_kept_is_never_held() {
    // Three quarters are used: the refresh is due at once, and there is room for what is under way.
    let policy = Policy::default().with_messages(64).expect("valid");
    let mut talk = Talk::new(&with_policy(policy));
    for number in 0..2_000_u32 {
        talk.send(INITIATOR, &number.to_be_bytes());
        if talk.ends[INITIATOR].session.next_timeout() <= talk.now.monotonic {
            talk.ends[INITIATOR].tick(talk.now);
        }
        talk.settle().expect("opens");
    }
    talk.assert_whole();
    assert!(talk.refreshes().0 >= 30, "{:?}", talk.refreshes());
}

#[test]
fn data_that_no_refresh_lets_go_on_end_the_association_after_half_a_minute() {
    let policy = Policy::default().with_messages(64).expect("valid");
    let mut talk = Talk::new(&with_policy(policy));
    while talk.ends[INITIATOR].send(talk.now, b"x").is_ok() {}
    // The peer never answers.
    let mut ended = None;
    for seconds in 0..60 {
        talk.at(seconds);
        if let Due::Ended(error) = talk.ends[INITIATOR].tick(talk.now) {
            ended = Some((seconds, error));
            break;
        }
    }
    assert_eq!(ended, Some((30, Error::Limit("message"))));
}

#[test]
fn a_rotated_key_comes_into_use_and_a_removed_one_is_not_needed_any_more() {
    for profile in PROFILES {
        let old = Setting {
            profile,
            ..Setting::default()
        };
        let new = Setting {
            key: [9; 32],
            key_id: b"k002",
            ..old.clone()
        };
        let mut talk = Talk::new(&old);
        let before = talk.ends[INITIATOR].session.peer().credential_id();
        for (end, (_, credential)) in [new.initiator(), new.responder()].into_iter().enumerate() {
            let table = &mut talk.ends[end].credentials;
            table.insert(credential).expect("another key id");
            talk.ends[end].sent.clear();
            talk.ends[end].delivered.clear();
        }
        talk.refresh();
        for end in &talk.ends {
            assert_eq!(end.session.peer().key_id().as_bytes(), b"k002");
        }
        for end in &mut talk.ends {
            end.credentials.remove(before).expect("is there");
        }
        talk.refresh();
        talk.send(INITIATOR, b"on");
        talk.settle().expect("opens");
        talk.assert_whole();
    }
}

#[test]
fn a_refresh_by_a_key_that_the_peer_does_not_hold_leaves_the_association_as_it_is() {
    for profile in PROFILES {
        let old = Setting { profile, ..short() };
        let new = Setting {
            key: [9; 32],
            key_id: b"k002",
            ..old.clone()
        };
        let mut talk = Talk::new(&old);
        let (_, credential) = new.initiator();
        let added = talk.ends[INITIATOR].credentials.insert(credential);
        talk.begin_refresh();
        talk.settle().expect("opens");
        assert_eq!(talk.refreshes(), (0, 0));
        assert_eq!(talk.ends[RESPONDER].refused, [Error::Authentication]);
        talk.send(INITIATOR, b"on");
        talk.send(RESPONDER, b"and on");
        talk.settle().expect("opens");
        talk.assert_whole();
        // It is tried again by itself, and succeeds once the keys fit.
        let added = added.expect("another key id");
        talk.ends[INITIATOR].credentials.remove(added);
        talk.at(600);
        talk.ends[INITIATOR].tick(talk.now);
        talk.settle().expect("opens");
        assert_eq!(talk.refreshes(), (1, 1));
    }
}

#[test]
fn without_a_credential_no_refresh_begins_and_it_is_tried_again() {
    let mut talk = Talk::new(&short());
    let id = talk.ends[INITIATOR].session.peer().credential_id();
    let removed = talk.ends[INITIATOR].credentials.remove(id).expect("there");
    talk.at(511);
    assert_eq!(talk.ends[INITIATOR].tick(talk.now), Due::Refresh);
    assert_eq!(talk.ends[INITIATOR].refused, [Error::NoCredential]);
    let again = talk.ends[INITIATOR].session.next_timeout();
    assert!(again < Duration::from_secs(600) && again > talk.now.monotonic);
    let credential = removed.as_ref().clone();
    let inserted = talk.ends[INITIATOR].credentials.insert(credential);
    inserted.expect("its place is free");
    talk.now = Now {
        monotonic: again,
        ..talk.now
    };
    assert_eq!(talk.ends[INITIATOR].tick(talk.now), Due::Refresh);
    talk.settle().expect("opens");
    assert_eq!(talk.refreshes(), (1, 1));
}

#[test]
fn an_answer_that_comes_late_is_not_taken_for_that_to_a_later_offer() {
    let mut talk = Talk::new(&short());
    talk.begin_refresh();
    talk.deliver(INITIATOR).expect("opens");
    // The answer lies in the queue for longer than the initiator waits.
    talk.at(31);
    talk.begin_refresh();
    talk.send(RESPONDER, b"meanwhile");
    talk.settle().expect("opens");
    assert_eq!(talk.ends[INITIATOR].refused, [Error::Authentication]);
    assert_eq!(talk.refreshes(), (1, 1));
    talk.assert_whole();
}

#[test]
fn an_end_that_closes_during_a_refresh_has_closed() {
    // At each step of the refresh, either end closes.
    for closes in [INITIATOR, RESPONDER] {
        for steps in 0..6 {
            let mut talk = Talk::new(&Setting::default());
            talk.begin_refresh();
            for _ in 0..steps {
                let _ = talk.deliver(INITIATOR).expect("opens")
                    || talk.deliver(RESPONDER).expect("opens");
            }
            talk.send(closes, b"the last");
            talk.ends[closes].close(talk.now);
            talk.settle().expect("opens");
            assert!(talk.ends[closes].closed.is_some(), "{closes} after {steps}");
            assert_eq!(talk.ends[closes].delivered, talk.ends[closes].sent);
            assert!(talk.ends[1 - closes].session.end().is_ok());
        }
    }
}

#[test]
fn an_end_without_a_clock_is_granted_its_time_anew() {
    // The responder has no clock: each refresh's confirmation grants the time that is left.
    let setting = Setting {
        expires: 1_800_000_000 + 100_000,
        ..Setting::default()
    };
    let mut talk = Talk::new(&setting);
    talk.at(50_000);
    let mut clockless = talk.now;
    clockless.utc = None;
    talk.begin_refresh();
    while let Some(mut frame) = talk.ends[INITIATOR].frames.pop_front() {
        let mut out = Vec::new();
        let end = &mut talk.ends[RESPONDER];
        let opened = end.session.receive(clockless, &mut frame, &mut out);
        let opened = opened.expect("opens");
        if opened == refpoint_association::Opened::Refresh {
            let (local, credentials) = (&end.local, &end.credentials);
            let session = &mut end.session;
            session
                .refresh(clockless, &mut end.rng, local, credentials, &mut out)
                .expect("answers");
        }
        let mut rest = &out[..];
        while let Some(prefix) = rest.first_chunk::<2>() {
            let (frame, more) = rest.split_at(2 + usize::from(u16::from_be_bytes(*prefix)));
            talk.deliver_frame(RESPONDER, frame.to_vec())
                .expect("opens");
            rest = more;
        }
    }
    assert_eq!(talk.refreshes(), (1, 1));
    // The key holds for 50 000 s more, not for the 65 536 of the default.
    let asks = talk.ends[RESPONDER].session.next_timeout();
    assert_eq!(asks, Duration::from_secs(75_000));
}
