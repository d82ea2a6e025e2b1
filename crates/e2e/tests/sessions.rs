//! Sessions: associations between end points whose packets others keep and carry.

#[path = "support/support.rs"]
mod support;

use core::{num::NonZeroU16, time::Duration};
use std::sync::Arc;

use refpoint_association::{
    CloseReason, Credential, CredentialId, Credentials, LETTER_OVERHEAD, Local, Now, Policy,
};
use refpoint_e2e::{Arrival, Due, Error, Inner, InnerForm, Padding, SessionId, Sessions, Target};
use refpoint_keys::Profile;
use refpoint_primitive::{Content, MediaType, RequestId};
use refpoint_sim::Entropy;
use support::{BACKENDS, DAY, HOUR, METER, SENSOR, application_key, id, target, utc};

fn at(seconds: u64) -> Now {
    Now::new(Duration::from_secs(seconds), utc(seconds))
}

struct End {
    sessions: Sessions,
    peer: CredentialId,
    rng: Entropy,
}

fn policy() -> Policy {
    Policy::default()
        .with_lifetime(Duration::from_secs(1 << 20))
        .and_then(|policy| policy.with_ratchet(Some(Duration::from_secs(6 * HOUR))))
        .and_then(|policy| policy.with_epoch_bits(16))
        .expect("valid")
}

fn end(name: &'static str, backend: refpoint_association::Backend) -> End {
    let key = Arc::new(application_key(SENSOR, METER).connection_key());
    let credential = Credential::new(&id(name), key, &[Profile::Psk]).expect("its key");
    let mut credentials = Credentials::new();
    let peer = credentials
        .insert(credential.with_policy(policy()))
        .expect("the first");
    let local = Local::new(id(name));
    End {
        sessions: Sessions::new(local, backend, credentials),
        peer,
        rng: Entropy::new(5, name),
    }
}

fn ends() -> (End, End) {
    (end(SENSOR, BACKENDS[0]), end(METER, BACKENDS[1]))
}

fn message(number: u64) -> Inner {
    let content = Content::new(MediaType::Json, number.to_string()).expect("content");
    Inner {
        target: target(),
        request_id: RequestId::new(&format!("r{number}")).expect("an id"),
        expires: utc(10 * DAY),
        form: InnerForm::Content(content),
    }
}

impl End {
    fn takes(&mut self, seconds: u64, packet: &[u8]) -> Result<Arrival, Error> {
        self.sessions
            .receive(at(seconds), &mut self.rng, &target(), packet)
    }

    fn initiates(&mut self, seconds: u64) -> (SessionId, Vec<u8>) {
        self.sessions
            .initiate(at(seconds), &mut self.rng, self.peer, &target())
            .expect("allowed")
    }

    fn sends(&mut self, seconds: u64, session: SessionId, number: u64) -> Vec<u8> {
        self.sessions
            .send(at(seconds), session, message(number))
            .expect("open")
    }
}

/// A session whose every packet was an hour on its way; ends at hour four.
fn session(sensor: &mut End, display: &mut End) -> SessionId {
    let (id, initiate) = sensor.initiates(0);
    let respond = display
        .takes(HOUR, &initiate)
        .expect("genuine")
        .reply
        .expect("an answer");
    let arrival = sensor.takes(2 * HOUR, &respond).expect("genuine");
    assert!(arrival.established);
    assert_eq!(arrival.session, Some(id));
    let first = sensor.sends(2 * HOUR, id, 0);
    let arrival = display.takes(3 * HOUR, &first).expect("genuine");
    assert_eq!(arrival.inner, Some(message(0)));
    assert!(arrival.confirmed);
    let answer = arrival.reply.expect("it asks");
    let arrival = sensor.takes(4 * HOUR, &answer).expect("genuine");
    assert!(arrival.confirmed && arrival.inner.is_none() && arrival.reply.is_none());
    id
}

#[test]
fn a_session_works_with_hours_between_packets_and_a_letter_costs_26_bytes() {
    let (mut sensor, mut display) = ends();
    let session = session(&mut sensor, &mut display);
    let letter = sensor.sends(5 * HOUR, session, 7);
    assert_eq!(letter.len(), message(7).encode().len() + 26);
    assert_eq!(LETTER_OVERHEAD, 26);
    assert_eq!(
        display.takes(2 * DAY, &letter).map(|arrival| arrival.inner),
        Ok(Some(message(7)))
    );
    assert_eq!(display.takes(2 * DAY, &letter), Err(Error::Authentication));
    let back = display
        .sessions
        .with(&id(SENSOR), &target())
        .expect("it may answer");
    let reply = display.sends(2 * DAY, back, 8);
    assert_eq!(
        sensor.takes(4 * DAY, &reply).map(|arrival| arrival.inner),
        Ok(Some(message(8)))
    );
}

#[test]
fn a_repeated_initiate_gets_the_same_answer_and_nothing_is_sent_before_it_is_confirmed() {
    let (mut sensor, mut display) = ends();
    let (_, initiate) = sensor.initiates(0);
    assert_eq!(sensor.sessions.unanswered().count(), 1);
    let first = display.takes(HOUR, &initiate);
    assert_eq!(first, display.takes(2 * HOUR, &initiate));
    assert_eq!(display.sessions.iter().count(), 1);
    assert_eq!(display.sessions.with(&id(SENSOR), &target()), None);
    let (unproved, _) = display.sessions.iter().next().expect("one");
    let sent = display.sessions.send(at(2 * HOUR), unproved, message(1));
    let cause = refpoint_association::Error::NotConfirmed;
    assert_eq!(sent, Err(Error::Association(cause)));
    // Nobody confirms it: it is gone a day later.
    display.sessions.tend(at(26 * HOUR));
    assert_eq!(display.sessions.iter().count(), 0);
}

#[test]
fn replayed_initiates_fill_a_bounded_place() {
    let (_, mut display) = ends();
    for number in 0..200 {
        let mut other = end(SENSOR, BACKENDS[0]);
        other.rng = Entropy::new(number, "again");
        let (_, initiate) = other.initiates(0);
        let taken = display.takes(1, &initiate).map(|_| ());
        let full = Error::Full("sessions that nobody has confirmed");
        assert_eq!(
            taken,
            if number < 64 { Ok(()) } else { Err(full) },
            "{number}"
        );
    }
}

#[test]
fn a_letter_for_another_target_or_after_its_expiry_is_refused() {
    let (mut sensor, mut display) = ends();
    let session = session(&mut sensor, &mut display);
    let letter = sensor.sends(5 * HOUR, session, 1);
    let elsewhere = Target::new("//sp.example.com/id-in/cse-in/valve").expect("a target");
    let moved = display
        .sessions
        .receive(at(6 * HOUR), &mut display.rng, &elsewhere, &letter);
    assert_eq!(moved, Err(Error::WrongTarget));
    let mut inner = message(2);
    inner.target = elsewhere;
    let sent = sensor.sessions.send(at(6 * HOUR), session, inner);
    assert_eq!(sent, Err(Error::WrongTarget));
    assert_eq!(display.takes(10 * DAY, &letter), Err(Error::Expired));
    assert_eq!(
        display.takes(10 * DAY - 1, &letter),
        Err(Error::Authentication),
        "it was opened"
    );
}

#[test]
fn several_sessions_live_side_by_side() {
    let (mut sensor, mut display) = ends();
    let other = Target::new("//sp.example.com/id-in/cse-in/display/alarms").expect("a target");
    let readings = session(&mut sensor, &mut display);
    let (alarms, initiate) = sensor
        .sessions
        .initiate(at(5 * HOUR), &mut sensor.rng, sensor.peer, &other)
        .expect("allowed");
    let takes = |to: &mut End, packet: &[u8]| {
        to.sessions
            .receive(at(6 * HOUR), &mut to.rng, &other, packet)
    };
    let respond = takes(&mut display, &initiate)
        .expect("genuine")
        .reply
        .expect("an answer");
    assert!(takes(&mut sensor, &respond).expect("genuine").established);
    let confirm = sensor.sessions.confirm(at(6 * HOUR), alarms).expect("open");
    assert_eq!(confirm.len(), 26);
    assert!(takes(&mut display, &confirm).expect("genuine").confirmed);
    // The other one is not disturbed.
    let letter = sensor.sends(7 * HOUR, readings, 3);
    assert_eq!(
        display
            .takes(8 * HOUR, &letter)
            .map(|arrival| arrival.inner),
        Ok(Some(message(3)))
    );
    assert_eq!(sensor.sessions.with(&id(METER), &target()), Some(readings));
    assert_eq!(sensor.sessions.with(&id(METER), &other), Some(alarms));
}

#[test]
fn a_successor_is_made_before_the_old_session_ends_and_makes_it_drain() {
    let (mut sensor, mut display) = ends();
    let old = session(&mut sensor, &mut display);
    assert!(sensor.sessions.tend(at(DAY)).is_empty());
    let half = (1 << 19) + HOUR;
    assert_eq!(sensor.sessions.tend(at(half)), [Due::Renew(old)]);
    let [Due::Ask(back)] = display.sessions.tend(at(half))[..] else {
        panic!("the responder asks")
    };
    let ask = display.sessions.ask_to_renew(at(half), back).expect("open");
    assert!(display.sessions.tend(at(half)).is_empty(), "it asks once");
    assert!(sensor.takes(half, &ask).is_ok());
    let in_flight = sensor.sends(half, old, 20);
    let (new, initiate) = sensor.initiates(half);
    assert!(
        sensor.sessions.tend(at(half)).is_empty(),
        "one is under way"
    );
    let respond = display
        .takes(half, &initiate)
        .expect("genuine")
        .reply
        .expect("an answer");
    assert!(sensor.takes(half, &respond).expect("genuine").established);
    assert_eq!(sensor.sessions.with(&id(METER), &target()), Some(new));
    let first = sensor.sends(half, new, 21);
    let arrival = display.takes(half, &first).expect("genuine");
    let answer = arrival.reply.expect("it asks");
    assert!(sensor.takes(half, &answer).expect("genuine").confirmed);
    // The old one sends nothing, and what was on its way in it opens.
    assert!(sensor.sessions.send(at(half), old, message(22)).is_err());
    let arrival = display.takes(half + DAY, &in_flight).expect("genuine");
    assert_eq!(arrival.inner, Some(message(20)));
}

#[test]
fn kept_sessions_receive_what_is_on_its_way_and_stale_ones_are_discarded() {
    let (mut sensor, mut display) = ends();
    let session = session(&mut sensor, &mut display);
    let [first, second] = [1, 2].map(|number| sensor.sends(5 * HOUR, session, number));
    let stale = display.sessions.to_bytes(at(6 * HOUR), 1).expect("a clock");
    assert!(display.takes(6 * HOUR, &first).is_ok());
    let kept = display.sessions.to_bytes(at(6 * HOUR), 2).expect("a clock");
    // It reboots; the mailbox says that two packets were acknowledged.
    let mut rebooted = end(METER, BACKENDS[1]);
    let restored = rebooted.sessions.restore(at(8 * HOUR), &stale, 2);
    assert_eq!(restored, Err(Error::Stale));
    assert_eq!(rebooted.sessions.iter().count(), 0);
    assert_eq!(rebooted.sessions.restore(at(8 * HOUR), &kept, 2), Ok(()));
    assert_eq!(rebooted.takes(9 * HOUR, &first), Err(Error::Authentication));
    let arrival = rebooted.takes(9 * HOUR, &second).expect("genuine");
    assert_eq!(arrival.inner, Some(message(2)));
    assert_eq!(
        rebooted.sessions.with(&id(SENSOR), &target()),
        None,
        "it sends in none"
    );
    for len in 0..kept.len() {
        let mut other = end(METER, BACKENDS[1]);
        assert!(
            other
                .sessions
                .restore(at(8 * HOUR), &kept[..len], 2)
                .is_err(),
            "cut to {len}"
        );
    }
}

#[test]
fn a_closed_session_and_a_removed_peer_are_gone() {
    let (mut sensor, mut display) = ends();
    let session = session(&mut sensor, &mut display);
    let close = sensor
        .sessions
        .close(at(5 * HOUR), session, CloseReason::Done)
        .expect("open");
    let arrival = display.takes(6 * HOUR, &close).expect("genuine");
    assert_eq!(arrival.closed, Some(CloseReason::Done));
    assert_eq!(display.sessions.iter().count(), 0);
    sensor.sessions.end_with(&id(METER));
    assert_eq!(sensor.sessions.iter().count(), 0);
}

#[test]
fn padded_letters_have_few_sizes() {
    let (mut sensor, mut display) = ends();
    let bucket = NonZeroU16::new(128).expect("not zero");
    sensor.sessions = sensor.sessions.with_padding(Padding::Multiple(bucket));
    let session = session(&mut sensor, &mut display);
    let letters = [1, 10_000].map(|number| (number, sensor.sends(5 * HOUR, session, number)));
    for (number, letter) in letters {
        assert_eq!(letter.len(), 128 + 26);
        let arrival = display.takes(6 * HOUR, &letter).expect("genuine");
        assert_eq!(arrival.inner, Some(message(number)));
    }
}

#[test]
fn a_rebooted_end_makes_a_new_session_and_the_peer_follows() {
    let (mut sensor, mut display) = ends();
    let old = session(&mut sensor, &mut display);
    let mut rebooted = end(METER, BACKENDS[1]);
    rebooted.rng = Entropy::new(6, "rebooted");
    let lost = sensor.sends(5 * HOUR, old, 1);
    let cause = refpoint_association::Error::NoAssociation;
    assert_eq!(
        rebooted.takes(6 * HOUR, &lost),
        Err(Error::Association(cause))
    );
    let (new, initiate) = rebooted.initiates(6 * HOUR);
    let respond = sensor
        .takes(7 * HOUR, &initiate)
        .expect("genuine")
        .reply
        .expect("an answer");
    assert!(
        rebooted
            .takes(8 * HOUR, &respond)
            .expect("genuine")
            .established
    );
    let confirm = rebooted.sessions.confirm(at(8 * HOUR), new).expect("open");
    let arrival = sensor.takes(9 * HOUR, &confirm).expect("genuine");
    assert!(arrival.confirmed);
    let session = sensor.sessions.with(&id(METER), &target());
    assert_eq!(session, arrival.session);
    let again = sensor.sends(9 * HOUR, session.expect("the new one"), 1);
    assert_eq!(
        rebooted
            .takes(10 * HOUR, &again)
            .map(|arrival| arrival.inner),
        Ok(Some(message(1)))
    );
}
