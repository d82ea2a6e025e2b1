//! Associations on streams: handshake, records, ratchet, limits, and an end that is authenticated.

#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::{CloseReason, Due, Error, Opened, Policy, StreamSession};
use refpoint_keys::Profile;
use support::{BACKENDS, StreamPair, frames, now};

#[test]
fn every_profile_suite_and_backend_carries_data_both_ways() {
    for backend in BACKENDS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            for suite in support::SUITES {
                let mut pair = StreamPair::new(backend, profile, suite, Policy::default());
                pair.deliver_to_responder(b"up");
                pair.deliver_to_initiator(b"down");
                assert_eq!(pair.responder.peer().entity().as_str(), support::INITIATOR);
                assert_eq!(pair.initiator.peer().entity().as_str(), support::RESPONDER);
            }
        }
    }
}

#[test]
fn both_ends_export_the_same_key_material() {
    let pair = StreamPair::default();
    let (mut a, mut b) = ([0; 48], [0; 48]);
    let export = |session: &StreamSession, context: &[u8], out: &mut [u8]| {
        session.export(b"label", context, out).expect("alive");
    };
    export(&pair.initiator, b"context", &mut a);
    export(&pair.responder, b"context", &mut b);
    assert_eq!(a, b);
    export(&pair.responder, b"other", &mut b);
    assert_ne!(a, b);
}

#[test]
fn a_flipped_bit_poisons_the_stream() {
    let mut pair = StreamPair::default();
    let mut out = Vec::new();
    pair.initiator
        .send(now(1), b"data", &mut out)
        .expect("may send");
    out[5] ^= 1;
    let failed = pair.responder.receive(now(1), &mut out, &mut Vec::new());
    assert_eq!(failed.expect_err("does not open"), Error::Authentication);
}

#[test]
fn after_an_error_nothing_is_opened_sealed_or_exported_any_more() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("a flipped byte", |frame| frame[7] ^= 1),
        ("a cut frame", |frame| frame.truncate(9)),
        ("an empty frame", |frame| frame.truncate(2)),
        ("an unknown kind", |frame| frame[2] |= 3),
        ("another type", |frame| frame[2] = 0x10),
    ];
    for (what, damage) in damages {
        let mut pair = StreamPair::default();
        let mut genuine = Vec::new();
        pair.initiator
            .send(now(1), b"data", &mut genuine)
            .expect("may send");
        let mut damaged = genuine.clone();
        damage(&mut damaged);
        let mut out = Vec::new();
        let responder = &mut pair.responder;
        let failed = responder.receive(now(1), &mut damaged, &mut out);
        let error = failed.expect_err(what);
        // The genuine frame comes too late, as does everything else.
        let again = responder.receive(now(1), &mut genuine, &mut out);
        assert_eq!(again, Err(error), "{what}");
        assert_eq!(responder.send(now(1), b"x", &mut out), Err(error), "{what}");
        assert_eq!(responder.send_in_place(now(1), &mut [0; 32]), Err(error));
        assert_eq!(
            responder.close(now(1), CloseReason::Done, &mut out),
            Err(error)
        );
        assert_eq!(responder.export(b"l", b"c", &mut [0; 8]), Err(error));
        assert_eq!(responder.end(), Err(error));
        assert_eq!(
            responder.handle_timeout(now(2), &mut out),
            Due::Ended(error)
        );
        assert!(!responder.is_confirmed() && !responder.is_held());
        assert!(out.is_empty(), "{what}: something was sealed");
        assert_eq!(responder.peer().entity().as_str(), support::INITIATOR);
    }
}

#[test]
fn a_repeated_or_reordered_record_is_refused() {
    let mut pair = StreamPair::default();
    let mut out = Vec::new();
    pair.initiator
        .send(now(1), b"one", &mut out)
        .expect("may send");
    pair.initiator
        .send(now(1), b"two", &mut out)
        .expect("may send");
    let frames = frames(&out);
    let mut second = frames[1].clone();
    assert!(
        pair.responder
            .receive(now(1), &mut second, &mut Vec::new())
            .is_err()
    );
    let mut pair = StreamPair::default();
    let mut out = Vec::new();
    pair.initiator
        .send(now(1), b"one", &mut out)
        .expect("may send");
    let mut again = out.clone();
    pair.responder
        .receive(now(1), &mut out, &mut Vec::new())
        .expect("opens");
    assert!(
        pair.responder
            .receive(now(1), &mut again, &mut Vec::new())
            .is_err()
    );
}

#[test]
fn keys_are_ratcheted_by_time_without_a_message() {
    let policy = Policy::default()
        .with_ratchet(Some(Duration::from_secs(10)))
        .expect("valid");
    let mut pair = StreamPair::with_policy(policy);
    pair.deliver_to_responder(b"epoch 0");
    pair.at(11);
    pair.deliver_to_responder(b"epoch 1");
    pair.deliver_to_responder(b"still 1");
    pair.at(1000);
    pair.deliver_to_responder(b"epoch 2");
    assert_eq!(pair.initiator.epochs().0, 2);
    assert_eq!(pair.responder.epochs().1, 2);
}

#[test]
fn keys_are_ratcheted_by_records() {
    let policy = Policy::default()
        .with_epoch_bits(16)
        .expect("valid")
        .with_ratchet(None);
    let mut pair = StreamPair::with_policy(policy.expect("valid"));
    for _ in 0..(1 << 16) + 10 {
        pair.deliver_to_responder(b"");
    }
    assert_eq!(pair.responder.epochs().1, 1);
}

#[test]
fn nothing_is_sealed_or_opened_after_the_hard_limit() {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(100))
        .expect("valid");
    let mut pair = StreamPair::with_policy(policy);
    let mut out = Vec::new();
    pair.initiator
        .send(now(1), b"early", &mut out)
        .expect("may send");
    assert_eq!(
        pair.initiator.send(now(96), b"late", &mut Vec::new()),
        Err(Error::Limit("time"))
    );
    let late = pair.responder.receive(now(101), &mut out, &mut Vec::new());
    assert_eq!(late.expect_err("too late"), Error::Limit("time"));
}

#[test]
fn the_timeout_closes_before_the_hard_limit_and_says_why() {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(100))
        .expect("valid");
    let mut pair = StreamPair::with_policy(policy);
    let mut out = Vec::new();
    // Nobody brings what a refresh needs, so that none comes about.
    let mut asked = 0;
    let due = loop {
        let due = refpoint_association::Now {
            monotonic: pair.initiator.next_timeout(),
            ..now(0)
        };
        match pair.initiator.handle_timeout(due, &mut out) {
            Due::Ended(error) => {
                assert_eq!(error, Error::Limit("time"));
                break due;
            }
            Due::Refresh => asked += 1,
            Due::Later => {}
        }
    };
    assert_eq!(due.monotonic, Duration::from_millis(86_399));
    assert!((1..4).contains(&asked), "asked for a refresh {asked} times");
    assert_eq!(
        pair.initiator.send(due, b"late", &mut Vec::new()),
        Err(Error::Limit("time"))
    );
    let closed = pair
        .responder
        .receive(due, &mut out, &mut Vec::new())
        .expect("opens");
    assert_eq!(closed, Opened::Closed(CloseReason::Limit));
    assert_eq!(pair.responder.end(), Ok(CloseReason::Limit));
}

#[test]
fn an_end_without_a_close_is_an_error_of_its_own() {
    let mut pair = StreamPair::default();
    assert_eq!(pair.responder.end(), Err(Error::Truncated));
    let mut out = Vec::new();
    pair.initiator
        .close(now(1), CloseReason::Done, &mut out)
        .expect("may close");
    pair.responder
        .receive(now(1), &mut out, &mut Vec::new())
        .expect("opens");
    assert_eq!(pair.responder.end(), Ok(CloseReason::Done));
}

#[test]
fn the_responder_sends_nothing_before_the_first_record() {
    let (mut responder, confirm) = support::unconfirmed_responder();
    assert_eq!(
        responder.send(now(0), b"early", &mut Vec::new()),
        Err(Error::NotConfirmed)
    );
    let mut out = Vec::new();
    let mut confirm = confirm;
    responder
        .receive(now(0), &mut confirm, &mut out)
        .expect("confirms");
    assert!(!out.is_empty(), "the confirmation is answered");
    responder.send(now(0), b"now", &mut out).expect("may send");
}

#[test]
fn the_message_limit_ends_the_association() {
    let policy = Policy::default().with_messages(96).expect("valid");
    let mut pair = StreamPair::with_policy(policy);
    let sent = (0..200).take_while(|_| {
        let mut out = Vec::new();
        pair.initiator.send(now(1), b"x", &mut out).is_ok()
    });
    let sent = sent.count();
    assert!((80..=88).contains(&sent), "{sent} records were sent");
}

#[test]
fn a_wrong_key_or_identity_does_not_authenticate() {
    for (what, error) in support::mismatched_handshakes() {
        assert!(matches!(error, Error::Authentication), "{what}: {error}");
    }
}

#[test]
fn a_record_sealed_in_place_is_the_record_that_send_makes() {
    use refpoint_association::{STREAM_HEADROOM, STREAM_TAILROOM};
    let (mut copying, mut in_place) = (StreamPair::default(), StreamPair::default());
    let mut copied = Vec::new();
    copying
        .initiator
        .send(now(1), b"payload", &mut copied)
        .expect("may send");
    let mut frame = [
        &[0; STREAM_HEADROOM][..],
        b"payload",
        &[0; STREAM_TAILROOM][..],
    ]
    .concat();
    in_place
        .initiator
        .send_in_place(now(1), &mut frame)
        .expect("may send");
    assert_eq!(frame, copied);
    let short = in_place.initiator.send_in_place(now(1), &mut [0; 5]);
    assert!(matches!(short, Err(Error::TooLarge { .. })));
}

#[test]
fn an_end_may_say_good_bye_after_the_other_did() {
    let mut pair = StreamPair::default();
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    pair.initiator
        .close(now(1), CloseReason::Done, &mut forth)
        .expect("may close");
    pair.responder
        .receive(now(1), &mut forth, &mut Vec::new())
        .expect("opens");
    let late = pair.responder.send(now(1), b"late", &mut back);
    assert_eq!(late, Err(Error::Closed(CloseReason::Done)));
    pair.responder
        .close(now(1), CloseReason::Done, &mut back)
        .expect("may close as well");
    pair.initiator
        .receive(now(1), &mut back, &mut Vec::new())
        .expect("opens");
    assert_eq!(pair.initiator.end(), Ok(CloseReason::Done));
    assert_eq!(pair.responder.end(), Ok(CloseReason::Done));
    assert!(
        pair.responder
            .close(now(1), CloseReason::Done, &mut Vec::new())
            .is_err()
    );
}
