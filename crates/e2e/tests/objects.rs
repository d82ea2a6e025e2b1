//! Objects that are sealed while their receiver is away.

#[path = "support/support.rs"]
mod support;

use core::num::NonZeroU16;

use refpoint_association::{Backend, StaticKey, Suite};
use refpoint_e2e::{
    Contacts, Delivery, Error, Head, MAX_OBJECT_CONTENT, Opener, Padding, PreKeyPolicy, PreKeyRing,
    Proof, Recipient, Sealed, Sealer, Target,
};
use refpoint_keys::KeyId;
use refpoint_sim::Entropy;
use support::{
    BACKENDS, DAY, HOUR, INSIDER, METER, Party, SENSOR, SUITES, id, keyed_pair, pair, pair_with,
    target, utc,
};

#[test]
fn an_object_opens_once_with_and_without_an_application_key_on_both_backends() {
    for (backend, suite) in BACKENDS.into_iter().flat_map(|b| SUITES.map(|s| (b, s))) {
        let key = support::application_key(SENSOR, METER);
        for key in [None, Some(&*key)] {
            let (mut sensor, mut display) = pair_with(backend, suite);
            if key.is_some() {
                display.shares(&support::application_key(SENSOR, METER), &sensor);
            }
            let recipient = display.recipient(utc(0));
            let object = sensor.seal(utc(0), &recipient, key, b"21.5");
            let opened = display.open(utc(6 * DAY), &object).expect("genuine");
            assert_eq!(opened.content.as_slice(), b"21.5");
            assert_eq!(opened.sender, sensor.id);
            let proof = key.map_or(Proof::StaticKey, |key| Proof::ApplicationKey(key.id()));
            assert_eq!(opened.proof, proof);
            assert_eq!(display.reads(utc(6 * DAY), &object), Err(Error::Replayed));
        }
    }
}

#[test]
fn an_object_costs_at_most_88_bytes_with_an_application_key_and_136_without() {
    let (mut sensor, display, key) = keyed_pair();
    let recipient = display.recipient(utc(0));
    let overhead = |object: Vec<u8>| object.len() - 4;
    let with = overhead(sensor.seal(utc(0), &recipient, Some(&key), b"21.5"));
    // Ephemeral and tag; type, key id of 4 and its length, number of 2, expiry.
    assert_eq!(with, 48 + 1 + 5 + 2 + 4);
    assert!(with <= 88);
    // Ephemeral, static key and two tags; type, number, expiry; the sender's id of 31 and its length.
    let without = overhead(sensor.seal(utc(0), &recipient, None, b"21.5"));
    assert_eq!(SENSOR.len(), 31);
    assert_eq!(without, 96 + 1 + 2 + 4 + 32);
    assert!(without <= 136);
    // The longest key id, and the longest number.
    let head = Head {
        key_id: Some(KeyId::new(&[7; 32]).expect("32 bytes")),
        suite: Suite::ChaChaPoly,
        padded: false,
        number: 0x7fff,
        expires: utc(0),
    };
    let object = [
        &[0b0010_0001, 32][..],
        &[7; 32],
        &[0x7f, 0xff],
        &[0; 4],
        &[0; 48],
    ]
    .concat();
    assert_eq!(
        Head::parse(&object).expect("well-formed").0.key_id,
        head.key_id
    );
    assert_eq!(object.len(), 88);
    // In a container, for where it has to say what it is.
    let object = sensor.seal(utc(0), &recipient, Some(&key), b"21.5");
    let len = object.len();
    assert_eq!(Sealed::Object(object).encode().len(), len + 2);
}

#[test]
fn whatever_bit_is_altered_nothing_opens_and_the_genuine_object_still_does() {
    let (mut sensor, mut display, key) = keyed_pair();
    display.knows(&sensor);
    let recipient = display.recipient(utc(0));
    for key in [None, Some(&*key)] {
        let object = sensor.seal(utc(0), &recipient, key, b"21.5");
        for bit in 0..object.len() * 8 {
            let mut altered = object.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(display.open(utc(0), &altered).is_err(), "bit {bit}");
        }
        for len in 0..object.len() {
            assert!(
                display.open(utc(0), &object[..len]).is_err(),
                "cut to {len}"
            );
        }
        assert_eq!(display.reads(utc(0), &object), Ok(b"21.5".to_vec()));
    }
}

#[test]
fn an_object_for_another_target_does_not_open() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"open the valve");
    let other = Target::new("//sp.example.com/id-in/cse-in/valve").expect("a target");
    let opened = display
        .opener
        .open(Some(utc(0)), &display.contacts, &other, &object);
    assert_eq!(opened.map(|_| ()), Err(Error::Authentication));
    assert!(display.open(utc(0), &object).is_ok());
}

#[test]
fn an_object_held_back_past_its_expiry_is_refused() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"21.5");
    assert_eq!(display.reads(utc(7 * DAY), &object), Err(Error::Expired));
    // Nor does a later expiry written into it help.
    let mut later = object.clone();
    let at = object.len() - 4 - 96 - 32 - 4;
    later[at..at + 4].copy_from_slice(&(utc(9 * DAY).as_secs() as u32).to_be_bytes());
    let (head, ..) = Head::parse(&later).expect("well-formed");
    assert_eq!(head.expires, utc(9 * DAY));
    assert_eq!(
        display.reads(utc(7 * DAY), &later),
        Err(Error::Authentication)
    );
    assert_eq!(
        display.reads(utc(7 * DAY - 1), &object),
        Ok(b"21.5".to_vec())
    );
    let delivery = Delivery {
        recipient: &recipient,
        key: None,
        target: &target(),
        expires: utc(0),
    };
    let sealed = sensor.sealer.seal(utc(0), &mut sensor.rng, &delivery, b"x");
    assert_eq!(sealed, Err(Error::Expired));
}

#[test]
fn without_a_clock_expiry_is_not_checked_only_if_allowed_and_replays_are_refused() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"21.5");
    let open = |opener: &mut Opener, contacts: &Contacts| {
        opener.open(None, contacts, &target(), &object).map(|_| ())
    };
    assert_eq!(
        open(&mut display.opener, &display.contacts),
        Err(Error::NoClock)
    );
    let mut opener = display.opener.with_or_without_clock();
    assert_eq!(open(&mut opener, &display.contacts), Ok(()));
    assert_eq!(open(&mut opener, &display.contacts), Err(Error::Replayed));
}

#[test]
fn who_says_to_be_another_is_found_out_by_the_static_key() {
    let (sensor, mut display) = pair();
    let mut insider = Party::new(INSIDER, 3);
    display.knows(&insider);
    // The insider seals with its own static key, and claims the sensor's id.
    insider.sealer = Sealer::new(sensor.id, insider.static_key());
    let recipient = display.recipient(utc(0));
    let object = insider.seal(utc(0), &recipient, None, b"99.9");
    assert_eq!(display.reads(utc(0), &object), Err(Error::Impersonation));
    // A stranger's key is nobody's.
    let mut stranger = Party::new(INSIDER, 4);
    let object = stranger.seal(utc(0), &recipient, None, b"99.9");
    assert_eq!(display.reads(utc(0), &object), Err(Error::UnknownSender));
}

#[test]
fn a_sender_known_by_its_application_key_cannot_be_feigned_by_the_weaker_form() {
    let (mut sensor, mut display, _) = keyed_pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"21.5");
    assert_eq!(display.reads(utc(0), &object), Err(Error::UnknownSender));
}

#[test]
fn a_removed_contact_is_no_longer_heard() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"21.5");
    display.contacts.remove(&sensor.id);
    assert_eq!(display.reads(utc(0), &object), Err(Error::UnknownSender));
}

#[test]
fn the_static_key_is_a_fall_back_that_both_ends_have_to_choose() {
    let (mut sensor, mut display) = pair();
    let recipient = Recipient::without_pre_key(&display.record(), Suite::ChaChaPoly, utc(0));
    let object = sensor.seal(utc(0), &recipient.expect("it holds"), None, b"21.5");
    let refused = Error::NotAllowed("sealing to the static key");
    assert_eq!(display.reads(utc(0), &object), Err(refused));
    let key = display.static_key();
    let (policy, suite) = (PreKeyPolicy::default(), Suite::ChaChaPoly);
    let ring = PreKeyRing::new(&mut display.rng, Backend::default(), suite, policy);
    let ring = ring.expect("a policy").with_static_key(key);
    display.opener = Opener::new(display.id.clone(), ring);
    assert_eq!(display.reads(utc(0), &object), Ok(b"21.5".to_vec()));
    assert_eq!(display.reads(utc(0), &object), Err(Error::Replayed));
}

#[test]
fn padded_objects_of_a_bucket_have_one_size_and_open_as_they_were() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let bucket = NonZeroU16::new(64).expect("not zero");
    sensor.sealer = sensor.sealer.with_padding(Padding::Multiple(bucket));
    let contents: [&[u8]; 4] = [b"", b"on", &[0; 40], &[0x80; 63]];
    let objects = contents.map(|content| sensor.seal(utc(0), &recipient, None, content));
    assert!(
        objects
            .iter()
            .all(|object| object.len() == objects[0].len())
    );
    for (object, content) in objects.iter().zip(contents) {
        assert_eq!(display.reads(utc(0), object), Ok(content.to_vec()));
    }
}

#[test]
fn what_does_not_fit_one_noise_message_is_refused_when_it_is_sealed() {
    let (sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let delivery = Delivery {
        recipient: &recipient,
        key: None,
        target: &target(),
        expires: utc(HOUR),
    };
    let mut rng = Entropy::new(1, "sizes");
    let mut seal = |len| {
        sensor
            .sealer
            .seal(utc(0), &mut rng, &delivery, &vec![7; len])
    };
    let size = MAX_OBJECT_CONTENT + 1;
    let limit = MAX_OBJECT_CONTENT;
    assert_eq!(seal(size), Err(Error::TooLarge { size, limit }));
    let largest = seal(limit).expect("it fits");
    assert_eq!(
        display.reads(utc(0), &largest).map(|content| content.len()),
        Ok(limit)
    );
}

#[test]
fn a_pre_key_is_its_owners_and_holds_for_a_time() {
    let (_, display) = pair();
    let insider = Party::new(INSIDER, 3);
    let pre_key = display.pre_key();
    assert!(pre_key.verify(&display.record(), utc(0)).is_ok());
    assert_eq!(
        pre_key.verify(&insider.record(), utc(0)),
        Err(Error::Authentication)
    );
    let over = pre_key.verify(&display.record(), utc(2 * DAY));
    assert_eq!(over, Err(Error::NotValid("pre-key")));
    // Ids are read in any case of the provider's letters, and are the same id then.
    let genuine = pre_key.verify(&display.record(), utc(0));
    let mut encoded = pre_key.encode();
    for bit in 0..encoded.len() * 8 {
        encoded[bit / 8] ^= 1 << (bit % 8);
        let altered = refpoint_e2e::PreKey::decode(&encoded);
        let verified = altered.and_then(|altered| altered.verify(&display.record(), utc(0)));
        assert!(verified.is_err() || verified == genuine, "bit {bit}");
        encoded[bit / 8] ^= 1 << (bit % 8);
    }
    let key = support::application_key(SENSOR, METER);
    let vouched = display
        .opener
        .ring()
        .vouched(&display.id, &key)
        .expect("its key");
    assert!(vouched.verify_voucher(&key, utc(0)).is_ok());
    assert_eq!(
        vouched.verify(&display.record(), utc(0)),
        Err(Error::Authentication)
    );
    assert_eq!(
        pre_key.verify_voucher(&key, utc(0)),
        Err(Error::Authentication)
    );
    let stranger = display.opener.ring().vouched(&id(INSIDER), &key);
    assert!(matches!(stranger, Err(Error::Keys(_))));
}

#[test]
fn a_record_is_what_the_authority_signed_and_nothing_else() {
    let display = Party::new(METER, 2);
    let authority = support::authority();
    let bytes = display.record().issue(&authority).expect("complete");
    let verify = |bytes: &[u8], now| {
        refpoint_e2e::EntityRecord::verify(bytes, &authority.verifying_key(), now)
    };
    assert_eq!(verify(&bytes, utc(0)), Ok(display.record()));
    assert_eq!(
        verify(&bytes, utc(365 * DAY)),
        Err(Error::NotValid("entity record"))
    );
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let verified = verify(&altered, utc(0));
        assert!(
            verified.is_err() || verified == Ok(display.record()),
            "bit {bit}"
        );
    }
    let other = display.signing.verifying_key();
    let by_other = refpoint_e2e::EntityRecord::verify(&bytes, &other, utc(0));
    assert_eq!(by_other, Err(Error::Authentication));
    let bare = refpoint_e2e::EntityRecord::pinned(
        id(METER),
        display.static_key().public_key(),
        support::valid(),
    );
    assert!(matches!(bare.issue(&authority), Err(Error::Config(_))));
}

#[test]
fn a_static_key_has_one_owner_and_a_key_id_one_key() {
    let (sensor, mut display, key) = keyed_pair();
    let taken = display.contacts.insert_key(key, sensor.record());
    assert!(matches!(taken, Err(Error::Config(_))));
    let thief = refpoint_e2e::EntityRecord::pinned(
        id(INSIDER),
        sensor.static_key().public_key(),
        support::valid(),
    );
    display.knows(&sensor);
    assert!(matches!(
        display.contacts.insert_record(thief),
        Err(Error::Config(_))
    ));
    let strangers = support::application_key(INSIDER, METER);
    assert!(matches!(
        display.contacts.insert_key(strangers, sensor.record()),
        Err(Error::Config(_))
    ));
}

#[test]
fn a_key_of_the_other_backend_is_refused_and_not_misread() {
    let display = Party::with(METER, 2, Backend::RustCrypto, Suite::ChaChaPoly);
    let key = StaticKey::from_bytes(&[1; 32], Backend::AwsLc).expect("a key");
    let sealer = Sealer::new(id(SENSOR), key);
    let delivery = Delivery {
        recipient: &display.recipient(utc(0)),
        key: None,
        target: &target(),
        expires: utc(DAY),
    };
    // Who seals with one opens with the other: only the bytes matter.
    let object = sealer.seal(utc(0), &mut Entropy::new(1, "x"), &delivery, b"21.5");
    let mut display = display;
    display.knows(&Party::new(SENSOR, 1));
    assert_eq!(
        display.reads(utc(0), &object.expect("valid")),
        Ok(b"21.5".to_vec())
    );
}

#[test]
fn what_was_opened_is_read_again_and_nothing_else_is() {
    let (mut sensor, mut display) = pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"21.5");
    let again = |display: &Party, now, target: &Target, object: &[u8]| {
        let opened = display
            .opener
            .open_again(Some(now), &display.contacts, target, object);
        opened.map(|opened| opened.content.to_vec())
    };
    // Not before it was opened, by whom it is for.
    assert_eq!(
        again(&display, utc(1), &target(), &object),
        Err(Error::NotOpened)
    );
    display.open(utc(1), &object).expect("genuine");
    for _ in 0..2 {
        let read = again(&display, utc(2), &target(), &object);
        assert_eq!(read.as_deref(), Ok(&b"21.5"[..]));
    }
    // To be read again makes it neither new nor another one's, nor last longer.
    assert_eq!(display.reads(utc(2), &object), Err(Error::Replayed));
    let other = Target::new("//sp.example.com/id-in/cse-in/other").expect("a target");
    assert_eq!(
        again(&display, utc(2), &other, &object),
        Err(Error::Authentication)
    );
    let expiry = Head::parse(&object).expect("well-formed").0.expires;
    assert_eq!(
        again(&display, expiry, &target(), &object),
        Err(Error::Expired)
    );
    let mut altered = object;
    *altered.last_mut().expect("not empty") ^= 1;
    assert_eq!(
        again(&display, utc(2), &target(), &altered),
        Err(Error::Authentication)
    );
}
