//! Pre-keys come, are used, and are destroyed; what they opened is remembered until then.

#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::{Backend, Suite};
use refpoint_e2e::{Error, Opener, PreKeyPolicy, PreKeyRing};
use refpoint_sim::Entropy;
use support::{DAY, METER, Party, SENSOR, pair, utc};

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

fn fresh() -> PreKeyRing {
    let (backend, suite) = (Backend::default(), Suite::ChaChaPoly);
    PreKeyRing::new(
        &mut Entropy::new(9, "ring"),
        backend,
        suite,
        PreKeyPolicy::default(),
    )
    .expect("a policy")
}

#[test]
fn pre_keys_rotate_by_policy_and_are_destroyed_after_their_grace() {
    let (mut sensor, mut display) = pair();
    let first = display.recipient(utc(0));
    let early = sensor.seal(utc(0), &first, None, b"early");
    let number = display.pre_key().number();
    for day in 1..=8 {
        assert_eq!(display.opener.ring().due(), Some(utc(day * DAY)));
        let made = display
            .opener
            .ring_mut()
            .tend(utc(day * DAY), &mut display.rng);
        assert_eq!(made, Ok(true), "day {day}");
    }
    assert_eq!(display.pre_key().number().get(), number.get() + 8);
    assert_eq!(display.opener.ring().numbers().count(), 9);
    // Two days good, seven more kept: on the ninth day the first goes.
    assert_eq!(
        display
            .opener
            .ring_mut()
            .tend(utc(9 * DAY), &mut display.rng),
        Ok(true)
    );
    assert!(display.opener.ring().numbers().all(|kept| kept != number));
    assert_eq!(
        display.reads(utc(6 * DAY), &early),
        Err(Error::UnknownPreKey)
    );
    // Nothing is sealed to it either, long before that.
    let delivery = refpoint_e2e::Delivery {
        recipient: &first,
        key: None,
        target: &support::target(),
        expires: utc(9 * DAY),
    };
    let sealed = sensor
        .sealer
        .seal(utc(2 * DAY), &mut sensor.rng, &delivery, b"late");
    assert_eq!(sealed, Err(Error::NotValid("pre-key")));
}

#[test]
fn a_pre_key_whose_time_is_over_opens_nothing_even_if_nobody_tends_the_ring() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let delivery = refpoint_e2e::Delivery {
        recipient: &recipient,
        key: None,
        target: &support::target(),
        expires: utc(30 * DAY),
    };
    let object = sensor
        .sealer
        .seal(utc(0), &mut sensor.rng, &delivery, b"x")
        .expect("valid");
    assert_eq!(
        display.reads(utc(9 * DAY), &object),
        Err(Error::UnknownPreKey)
    );
    assert_eq!(display.reads(utc(9 * DAY - 1), &object), Ok(b"x".to_vec()));
}

#[test]
fn a_pre_key_destroyed_by_hand_opens_nothing() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"x");
    let number = display.pre_key().number();
    display.opener.ring_mut().destroy(number);
    assert_eq!(display.reads(utc(0), &object), Err(Error::UnknownPreKey));
}

#[test]
fn memory_is_bounded_and_being_full_says_so_until_the_next_key_is_used() {
    let policy = PreKeyPolicy {
        objects: 3,
        ..PreKeyPolicy::default()
    };
    let mut sensor = Party::new(SENSOR, 1);
    let suite = (Backend::default(), Suite::ChaChaPoly);
    let mut display = Party::with_policy(METER, 2, suite, policy);
    display.knows(&sensor);
    let recipient = display.recipient(utc(0));
    let objects: Vec<_> = (0..4_u8)
        .map(|n| sensor.seal(utc(0), &recipient, None, &[n]))
        .collect();
    for object in &objects[..3] {
        assert!(display.open(utc(0), object).is_ok());
    }
    let full = Error::Full("ephemeral keys of one pre-key");
    assert_eq!(display.reads(utc(0), &objects[3]), Err(full));
    assert_eq!(display.reads(utc(0), &objects[0]), Err(Error::Replayed));
    assert_eq!(
        display.opener.ring_mut().tend(utc(DAY), &mut display.rng),
        Ok(true)
    );
    let next = display.recipient(utc(DAY));
    let object = sensor.seal(utc(DAY), &next, None, b"next");
    assert_eq!(display.reads(utc(DAY), &object), Ok(b"next".to_vec()));
}

#[test]
fn a_kept_ring_opens_what_is_new_and_refuses_what_it_opened() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let [opened, new] =
        [b"opened", b"waits!"].map(|text| sensor.seal(utc(0), &recipient, None, text));
    assert!(display.open(utc(0), &opened).is_ok());
    let kept = display.opener.ring().to_bytes(1);
    let ring = fresh().restore(&kept, 1).expect("fresh");
    display.opener = Opener::new(display.id.clone(), ring);
    assert_eq!(display.reads(utc(0), &opened), Err(Error::Replayed));
    assert_eq!(display.reads(utc(0), &new), Ok(b"waits!".to_vec()));
    let number = display.pre_key().number();
    assert_eq!(
        display.opener.ring_mut().tend(utc(DAY), &mut display.rng),
        Ok(true)
    );
    assert_eq!(
        display.pre_key().number().get(),
        number.get() + 1,
        "numbers go on"
    );
}

#[test]
fn a_state_from_before_the_last_acknowledgement_is_refused() {
    let (mut sensor, mut display) = pair();
    let stale = display.opener.ring().to_bytes(0);
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"x");
    assert!(display.open(utc(0), &object).is_ok());
    // The mailbox knows that the object, its first, was acknowledged: the state does not know it.
    assert!(matches!(fresh().restore(&stale, 1), Err(Error::Stale)));
    for len in 0..stale.len() {
        assert!(fresh().restore(&stale[..len], 0).is_err(), "cut to {len}");
    }
}

#[test]
fn policies_that_leave_gaps_or_keep_too_much_are_refused() {
    let good = PreKeyPolicy::default();
    let bad = [
        PreKeyPolicy {
            rotation: Duration::ZERO,
            ..good
        },
        PreKeyPolicy {
            rotation: days(3),
            ..good
        },
        PreKeyPolicy { objects: 0, ..good },
        PreKeyPolicy {
            grace: days(400),
            ..good
        },
    ];
    for policy in bad {
        let mut rng = Entropy::new(1, "x");
        let ring = PreKeyRing::new(&mut rng, Backend::default(), Suite::AesGcm, policy);
        assert!(matches!(ring, Err(Error::Config(_))), "{policy:?}");
    }
}
