//! What a stream takes and gives once an end has closed it, and where its limits of use lie.

#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::{CloseReason, Due, Error, Opened, Policy};
use support::{StreamPair, at, now};

/// A pair of which the responder has closed, and the initiator has heard of it.
fn closed() -> StreamPair {
    let mut pair = StreamPair::default();
    let mut frame = Vec::new();
    pair.responder
        .close(now(1), CloseReason::Done, &mut frame)
        .expect("may close");
    let opened = pair.initiator.receive(now(1), &mut frame, &mut Vec::new());
    assert_eq!(opened, Ok(Opened::Closed(CloseReason::Done)));
    pair
}

#[test]
fn what_follows_a_close_is_not_looked_at_and_does_no_harm() {
    let mut pair = closed();
    for junk in [&mut [0, 17, 0x80, 0, 0, 0][..], &mut [], &mut [0, 1, 0x81]] {
        let mut answer = Vec::new();
        let refused = pair.initiator.receive(now(1), junk, &mut answer);
        assert_eq!(refused, Err(Error::Closed(CloseReason::Done)));
        assert!(answer.is_empty());
    }
    assert_eq!(pair.initiator.end(), Ok(CloseReason::Done));
    let mut key = [0; 8];
    pair.initiator
        .export(b"l", b"", &mut key)
        .expect("nothing was poisoned");
    // It may still say good-bye, and then nothing.
    let mut good_bye = Vec::new();
    pair.initiator
        .close(now(1), CloseReason::Done, &mut good_bye)
        .expect("may close too");
    let opened = pair
        .responder
        .receive(now(1), &mut good_bye, &mut Vec::new());
    assert_eq!(opened, Ok(Opened::Closed(CloseReason::Done)));
}

#[test]
fn after_the_peers_close_no_data_leave_and_after_ones_own_nothing() {
    let mut pair = closed();
    let mut out = Vec::new();
    let refused = pair.initiator.send(now(1), b"x", &mut out);
    assert_eq!(refused, Err(Error::Closed(CloseReason::Done)));
    let refused = pair.responder.send(now(1), b"x", &mut out);
    assert_eq!(refused, Err(Error::NoAssociation));
    let refused = pair.responder.close(now(1), CloseReason::Done, &mut out);
    assert_eq!(refused, Err(Error::NoAssociation));
    assert!(out.is_empty(), "nothing was appended");
    pair.initiator
        .close(now(1), CloseReason::Done, &mut out)
        .expect("may close too");
    out.clear();
    let refused = pair.initiator.close(now(1), CloseReason::Done, &mut out);
    assert_eq!(refused, Err(Error::NoAssociation));
    let refused = pair.initiator.send(now(1), b"x", &mut out);
    assert_eq!(refused, Err(Error::NoAssociation));
    assert!(out.is_empty(), "nothing was appended");
}

#[test]
fn a_closed_end_asks_for_no_refresh_and_its_secrets_go_at_the_hard_limit() {
    let mut pair = closed();
    let hard = Duration::from_secs(1 << 16);
    for end in [&mut pair.initiator, &mut pair.responder] {
        assert_eq!(end.next_timeout(), hard);
        let mut out = Vec::new();
        let half = at(hard / 2 + Duration::from_secs(1));
        assert_eq!(end.handle_timeout(half, &mut out), Due::Later);
        let over = Error::Limit("time");
        assert_eq!(end.handle_timeout(at(hard), &mut out), Due::Ended(over));
        assert!(out.is_empty(), "there is nothing more to say");
        assert!(end.export(b"l", b"", &mut [0; 8]).is_err());
    }
}

/// Sends until something is refused: how many went, and why no more.
fn use_up(pair: &mut StreamPair, size: usize) -> (u64, Error) {
    let mut sent = 0;
    loop {
        let mut frame = Vec::new();
        match pair.initiator.send(now(1), &[7; 1024][..size], &mut frame) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert!(frame.is_empty(), "nothing was appended");
                return (sent, error);
            }
        }
        let opened = pair.responder.receive(now(1), &mut frame, &mut Vec::new());
        assert!(matches!(opened, Ok(Opened::Data(_))), "{opened:?}");
    }
}

#[test]
fn data_that_reach_a_limit_wait_for_half_a_minute_and_then_both_ends_are_told() {
    // One record of the 64 confirmed, eight are for control; one more than the bytes allow would be
    // the 65th of a KiB.
    for (policy, size, expected, limit) in [
        (Policy::default().with_messages(64), 1, 55, "message"),
        (Policy::default().with_bytes(1 << 16), 1024, 64, "byte"),
    ] {
        let mut pair = StreamPair::with_policy(policy.expect("valid"));
        assert!(!pair.initiator.is_held());
        let limit = Error::Limit(limit);
        assert_eq!(use_up(&mut pair, size), (expected, limit));
        assert!(pair.initiator.is_held(), "a successor would free it");
        assert!(!pair.responder.is_held(), "it has hardly sent");
        let mut out = Vec::new();
        // The refresh is due at once, before the half minute is over nothing ends.
        assert_eq!(
            pair.initiator.handle_timeout(now(2), &mut out),
            Due::Refresh
        );
        assert_eq!(pair.initiator.handle_timeout(now(30), &mut out), Due::Later);
        assert!(out.is_empty());
        let ended = pair.initiator.handle_timeout(now(32), &mut out);
        assert_eq!(ended, Due::Ended(limit));
        let told = pair.responder.receive(now(32), &mut out, &mut Vec::new());
        assert_eq!(told, Ok(Opened::Closed(CloseReason::Limit)));
    }
}
