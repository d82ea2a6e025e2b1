//! What an attacker gets: one test for each paragraph of the crate's documentation.

#[path = "support/noise_x.rs"]
mod noise_x;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;
use std::sync::Arc;

use ed25519_dalek::Signer as _;
use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, Policy, Suite,
};
use refpoint_e2e::{
    Contacts, EntityRecord, Error, Inner, InnerForm, Opener, PreKey, PreKeyPolicy, PreKeyRing,
    Proof, Sealed, Sealer, Sessions,
};
use refpoint_keys::{ApplicationKey, KeyId, Profile};
use refpoint_primitive::{Content, MediaType, RequestId};
use refpoint_sim::Entropy;
use support::{
    DAY, HOUR, INSIDER, METER, Party, SENSOR, application_key, id, keyed_pair, pair, target, utc,
};

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The public half, as it stands in what was published: field 4 of the protobuf message.
fn published_key(pre_key: &PreKey) -> [u8; 32] {
    let encoded = pre_key.encode();
    let at = encoded
        .windows(2)
        .position(|tag| tag == [4 << 3 | 2, 32])
        .expect("a key")
        + 2;
    encoded[at..at + 32].try_into().expect("32 bytes")
}

/// `owner`'s pre-key with somebody else's key in it, and a proof made by `prove`.
fn rogue_pre_key(
    owner: &str,
    key: [u8; 32],
    number: u32,
    (tag, prove): (u8, impl FnOnce(&[u8]) -> Vec<u8>),
) -> PreKey {
    let (from, until) = (utc(0).as_secs(), utc(2 * DAY).as_secs());
    let mut statement = b"refpoint/1 pre-key".to_vec();
    field(&mut statement, owner.as_bytes());
    statement.extend_from_slice(&number.to_be_bytes());
    statement.push(1);
    statement.extend_from_slice(&key);
    statement.extend_from_slice(&from.to_be_bytes());
    statement.extend_from_slice(&until.to_be_bytes());
    let proof = prove(&statement);
    let mut encoded = Vec::new();
    let bytes = |number: u8, bytes: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(&[number << 3 | 2, bytes.len() as u8]);
        out.extend_from_slice(bytes);
    };
    let varint = |number: u8, mut value: u64, out: &mut Vec<u8>| {
        out.push(number << 3);
        while value > 0x7f {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    bytes(1, owner.as_bytes(), &mut encoded);
    varint(2, number.into(), &mut encoded);
    varint(3, 1, &mut encoded);
    bytes(4, &key, &mut encoded);
    varint(5, from, &mut encoded);
    varint(6, until, &mut encoded);
    bytes(tag, &proof, &mut encoded);
    PreKey::decode(&encoded).expect("well-formed")
}

const SIGNATURE: u8 = 7;
const VOUCHER: u8 = 8;

/// The state of a receiver, in the hands of a thief who runs it as its own.
fn stolen(victim: &Party) -> Opener {
    let kept = victim.opener.ring().to_bytes(0);
    let (backend, suite, policy) = (
        Backend::default(),
        Suite::ChaChaPoly,
        PreKeyPolicy::default(),
    );
    let ring = PreKeyRing::new(&mut Entropy::new(66, "thief"), backend, suite, policy);
    let ring = ring.expect("a policy").restore(&kept, 0).expect("a state");
    Opener::new(victim.id.clone(), ring)
}

#[test]
fn a_gateway_alters_redirects_replays_and_holds_back_in_vain_and_can_only_delay() {
    let (mut sensor, mut display, key) = keyed_pair();
    let recipient = display.recipient(utc(0));
    let objects: Vec<_> = (0..6_u8)
        .map(|n| sensor.seal(utc(0), &recipient, Some(&key), &[n]))
        .collect();
    // Reorder and delay: it may, every object stands for itself.
    for n in [4, 1, 3] {
        assert_eq!(display.reads(utc(DAY), &objects[n]), Ok(vec![n as u8]));
    }
    // Replay, alter.
    assert_eq!(display.reads(utc(DAY), &objects[1]), Err(Error::Replayed));
    let mut altered = objects[0].clone();
    *altered.last_mut().expect("not empty") ^= 1;
    assert_eq!(
        display.reads(utc(DAY), &altered),
        Err(Error::Authentication)
    );
    // Redirect: to another target, to another receiver, back to the sender.
    let valve = refpoint_e2e::Target::new("valve").expect("a target");
    let moved = display
        .opener
        .open(Some(utc(DAY)), &display.contacts, &valve, &objects[0]);
    assert_eq!(moved.map(|_| ()), Err(Error::Authentication));
    let mut other = Party::new(INSIDER, 3);
    other.knows(&sensor);
    assert!(other.open(utc(DAY), &objects[0]).is_err());
    assert!(sensor.open(utc(DAY), &objects[0]).is_err());
    // Hold back.
    assert_eq!(
        display.reads(utc(7 * DAY), &objects[2]),
        Err(Error::Expired)
    );
    assert_eq!(display.reads(utc(7 * DAY - 1), &objects[0]), Ok(vec![0]));
}

/// E signs B's pre-key as its own: A seals for E, the gateway gives it to B.
#[test]
fn an_insider_that_passes_anothers_pre_key_for_its_own_redirects_nothing() {
    let (mut sensor, mut display) = pair();
    let insider = Party::new(INSIDER, 3);
    let signing = ed25519_dalek::SigningKey::from_bytes(&[3 ^ 0xff; 32]);
    let genuine = display.pre_key();
    let sign = |statement: &[u8]| signing.sign(statement).to_bytes().to_vec();
    let number = genuine.number().get();
    let rogue = rogue_pre_key(INSIDER, published_key(&genuine), number, (SIGNATURE, sign));
    // It passes: nothing but the insider's word says whose key it is.
    let recipient = rogue
        .verify(&insider.record(), utc(0))
        .expect("signed by its owner");
    assert_eq!(recipient.id(), &insider.id);
    let object = sensor.seal(utc(0), &recipient, None, b"for the insider");
    assert_eq!(display.reads(utc(0), &object), Err(Error::Authentication));
    // The control: for itself, by the same key, it opens.
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, None, b"for the display");
    assert!(display.open(utc(0), &object).is_ok());
    // In the display's name the insider signs nothing that passes.
    let sign = |statement: &[u8]| signing.sign(statement).to_bytes().to_vec();
    let rogue = rogue_pre_key(
        METER,
        published_key(&insider.pre_key()),
        9,
        (SIGNATURE, sign),
    );
    assert_eq!(
        rogue.verify(&display.record(), utc(0)),
        Err(Error::Authentication)
    );
}

#[test]
fn a_stolen_pre_key_opens_what_was_sealed_to_it_and_nothing_of_the_ones_before() {
    let (mut sensor, mut display) = pair();
    let old = display.recipient(utc(0));
    let past = sensor.seal(utc(0), &old, None, b"past");
    assert!(display.open(utc(0), &past).is_ok());
    // Rotation, and the end of the old one's grace; then the theft.
    for day in [1, 9] {
        assert!(
            display
                .opener
                .ring_mut()
                .tend(utc(day * DAY), &mut display.rng)
                .is_ok()
        );
    }
    let now = utc(9 * DAY);
    let recipient = display.recipient(now);
    let delivery = |recipient| refpoint_e2e::Delivery {
        recipient,
        key: None,
        target: Box::leak(Box::new(target())),
        expires: utc(12 * DAY),
    };
    let object = sensor
        .sealer
        .seal(now, &mut sensor.rng, &delivery(&recipient), b"present");
    let object = object.expect("valid");
    let mut thief = stolen(&display);
    let read = |thief: &mut Opener, object: &[u8]| {
        let opened = thief.open(Some(now), &display.contacts, &target(), object);
        opened.map(|opened| opened.content.to_vec())
    };
    assert_eq!(read(&mut thief, &object), Ok(b"present".to_vec()));
    let mut unexpired = Opener::new(display.id.clone(), {
        let (backend, suite) = (Backend::default(), Suite::ChaChaPoly);
        let ring = PreKeyRing::new(
            &mut Entropy::new(1, "x"),
            backend,
            suite,
            PreKeyPolicy::default(),
        );
        ring.expect("a policy")
            .restore(&display.opener.ring().to_bytes(0), 0)
            .expect("a state")
    })
    .with_or_without_clock();
    let opened = unexpired.open(None, &display.contacts, &target(), &past);
    assert_eq!(
        opened.map(|_| ()),
        Err(Error::UnknownPreKey),
        "its key is gone"
    );
    // The next rotation shuts the thief out.
    assert!(
        display
            .opener
            .ring_mut()
            .tend(utc(10 * DAY), &mut display.rng)
            .is_ok()
    );
    let next = display.recipient(utc(10 * DAY));
    let later = sensor
        .sealer
        .seal(utc(10 * DAY), &mut sensor.rng, &delivery(&next), b"later");
    assert_eq!(
        read(&mut thief, &later.expect("valid")),
        Err(Error::UnknownPreKey)
    );
}

/// Key compromise: with the receiver's private key, `ss` can be computed without the sender's.
#[test]
fn a_stolen_pre_key_feigns_senders_in_x_and_nobody_under_an_application_key() {
    let (sensor, mut display, key) = keyed_pair();
    let kept = display.opener.ring().to_bytes(0);
    // format 1, position 8, next 4, count 1, number 4: then the private key.
    let private: [u8; 32] = kept[18..50].try_into().expect("32 bytes");
    let pre_key = display.pre_key();
    assert_eq!(noise_x::public(&private), published_key(&pre_key));
    let receiver = published_key(&pre_key);
    let sender = *sensor.static_key().public_key().as_bytes();
    let head = |kind: u8, key_id: &[u8]| {
        let mut head = vec![kind];
        if !key_id.is_empty() {
            head.push(key_id.len() as u8);
            head.extend_from_slice(key_id);
        }
        let number = u16::try_from(pre_key.number().get()).expect("two bytes");
        assert!(number > 0xff);
        head.extend_from_slice(&number.to_be_bytes());
        head.extend_from_slice(&(utc(DAY).as_secs() as u32).to_be_bytes());
        head
    };
    let prologue = |head: &[u8], sender: &[u8]| {
        let mut prologue = b"refpoint/1 object".to_vec();
        let target = target();
        [
            head,
            sender,
            METER.as_bytes(),
            target.as_str().as_bytes(),
            b"",
        ]
        .iter()
        .for_each(|bytes| field(&mut prologue, bytes));
        prologue
    };

    let weak = head(0b0011_0001, b"");
    let payload = [&[SENSOR.len() as u8][..], SENSOR.as_bytes(), b"99.9"].concat();
    let ss = noise_x::dh(&private, &sender);
    let message = noise_x::x(
        &prologue(&weak, b""),
        &[9; 32],
        &sender,
        &ss,
        &receiver,
        &payload,
    );
    let forged = [weak, message].concat();
    // Where the sender is known by its record, it passes for it; by its application key only, it does not.
    assert_eq!(display.reads(utc(0), &forged), Err(Error::UnknownSender));
    display.knows(&sensor);
    let opened = display.open(utc(0), &forged).expect("feigned");
    assert_eq!((opened.sender, opened.proof), (sensor.id, Proof::StaticKey));

    // Under Kpsk0 it would take Ka. The control: whoever has it as well feigns the sender.
    let strong = head(0b0010_0001, b"a001");
    let prologue = prologue(&strong, SENSOR.as_bytes());
    let genuine = *key
        .object_psk(&id(SENSOR), &id(METER))
        .expect("its ends")
        .expose_bytes();
    for (psk, expected) in [
        ([0; 32], Err(Error::Authentication)),
        (genuine, Ok(b"99.9".to_vec())),
    ] {
        let message = kpsk0_with_receivers_key(&prologue, &sender, &private, &psk, b"99.9");
        let forged = [strong.clone(), message].concat();
        assert_eq!(display.reads(utc(0), &forged), expected);
    }
}

/// `Kpsk0` by who has the receiver's private key instead of the sender's.
fn kpsk0_with_receivers_key(
    prologue: &[u8],
    sender: &[u8; 32],
    private: &[u8; 32],
    psk: &[u8; 32],
    payload: &[u8],
) -> Vec<u8> {
    let receiver = noise_x::public(private);
    let mut state = noise_x::Symmetric::new("Noise_Kpsk0_25519_ChaChaPoly_SHA256", prologue);
    state.mix_hash(sender);
    state.mix_hash(&receiver);
    state.mix_key_and_hash(psk);
    let e = noise_x::public(&[8; 32]);
    state.mix_hash(&e);
    state.mix_key(&e);
    state.mix_key(&noise_x::dh(&[8; 32], &receiver));
    state.mix_key(&noise_x::dh(private, sender));
    [&e[..], &state.encrypt_and_hash(payload)].concat()
}

#[test]
fn a_stolen_static_key_opens_nothing_and_seals_as_its_owner_only_without_an_application_key() {
    let (mut sensor, mut display, key) = keyed_pair();
    let recipient = display.recipient(utc(0));
    let objects = [Some(&*key), None].map(|key| sensor.seal(utc(0), &recipient, key, b"21.5"));
    // The thief opens what it can with the receiver's static key alone.
    let (backend, suite, policy) = (
        Backend::default(),
        Suite::ChaChaPoly,
        PreKeyPolicy::default(),
    );
    let ring = PreKeyRing::new(&mut Entropy::new(66, "thief"), backend, suite, policy);
    let ring = ring
        .expect("a policy")
        .with_static_key(display.static_key());
    let mut thief = Opener::new(display.id.clone(), ring);
    for object in objects {
        let opened = thief.open(Some(utc(0)), &display.contacts, &target(), &object);
        assert_eq!(opened.map(|_| ()), Err(Error::UnknownPreKey));
    }
    // With the *sender's* static key: X as that entity, where it is known by its record.
    display.knows(&sensor);
    let mut thief = Party::new(INSIDER, 66);
    thief.sealer = Sealer::new(sensor.id.clone(), sensor.static_key());
    let forged = thief.seal(utc(0), &recipient, None, b"99.9");
    assert_eq!(display.reads(utc(0), &forged), Ok(b"99.9".to_vec()));
    let guess = KeyId::new(b"a001").and_then(|key_id| {
        ApplicationKey::from_bytes([8; 32], key_id, &id(SENSOR), &id(METER), support::valid())
    });
    let forged = thief.seal(utc(0), &recipient, Some(&guess.expect("a key")), b"99.9");
    assert_eq!(display.reads(utc(0), &forged), Err(Error::Authentication));
}

#[test]
fn a_stolen_application_key_opens_nothing_but_vouches_for_pre_keys_of_the_thief() {
    let (mut sensor, display, key) = keyed_pair();
    let recipient = display.recipient(utc(0));
    let object = sensor.seal(utc(0), &recipient, Some(&key), b"21.5");
    // The thief has Ka and a ring of its own; the object is to a pre-key that it has not.
    let mut thief = Party::new(METER, 66);
    thief.shares(&key, &sensor);
    assert!(thief.open(utc(0), &object).is_err());
    // It cannot seal as the sensor either: the sensor's static key proves it.
    let mut display = display;
    let mut feigned = Party::new(SENSOR, 67);
    let forged = feigned.seal(utc(0), &recipient, Some(&key), b"99.9");
    assert_eq!(display.reads(utc(0), &forged), Err(Error::Authentication));
    // It vouches for a pre-key of its own as the display's, and reads what is sealed to that.
    let vouch = |statement: &[u8]| {
        key.voucher_key(&id(METER))
            .expect("an end")
            .vouch(statement)
            .to_vec()
    };
    let published = published_key(&thief.pre_key());
    let number = thief.pre_key().number().get();
    let rogue = rogue_pre_key(METER, published, number, (VOUCHER, vouch));
    let taken = rogue.verify_voucher(&key, utc(0)).expect("vouched for");
    let object = sensor.seal(utc(0), &taken, Some(&key), b"21.5");
    assert_eq!(thief.reads(utc(0), &object), Ok(b"21.5".to_vec()));
    // Where pre-keys are signed, Ka vouches for nothing.
    assert_eq!(
        rogue.verify(&display.record(), utc(0)),
        Err(Error::Authentication)
    );
}

fn sessions(name: &'static str, seed: u64) -> (Sessions, CredentialId, Entropy) {
    let policy = Policy::default().with_lifetime(Duration::from_secs(1 << 20));
    let policy = policy.and_then(|policy| policy.with_ratchet(Some(Duration::from_secs(6 * HOUR))));
    let key = Arc::new(application_key(SENSOR, METER).connection_key());
    let credential = Credential::new(&id(name), key, &[Profile::Psk]).expect("its key");
    let mut credentials = Credentials::new();
    let peer = credentials.insert(credential.with_policy(policy.expect("valid")));
    let sessions = Sessions::new(Local::new(id(name)), Backend::default(), credentials);
    (sessions, peer.expect("the first"), Entropy::new(seed, name))
}

fn at(seconds: u64) -> Now {
    Now::new(Duration::from_secs(seconds), utc(seconds))
}

fn message(text: &str) -> Inner {
    let content = Content::new(MediaType::Json, String::from(text)).expect("content");
    Inner {
        target: target(),
        request_id: RequestId::new("r1").expect("an id"),
        expires: utc(10 * DAY),
        form: InnerForm::Content(content),
    }
}

#[test]
fn with_a_stolen_application_key_recorded_sessions_stay_closed_and_new_ones_can_be_feigned() {
    let (mut sensor, peer, mut of_sensor) = sessions(SENSOR, 1);
    let (mut display, _, mut of_display) = sessions(METER, 2);
    let (session, initiate) = sensor
        .initiate(at(0), &mut of_sensor, peer, &target())
        .expect("allowed");
    let respond = display.receive(at(0), &mut of_display, &target(), &initiate);
    let respond = respond.expect("genuine").reply.expect("an answer");
    assert!(
        sensor
            .receive(at(0), &mut of_sensor, &target(), &respond)
            .is_ok()
    );
    let letter = sensor
        .send(at(0), session, message("secret"))
        .expect("open");
    // The thief has Ka and everything that was sent: as either end it replays it, with ephemerals of its own.
    let (mut thief, _, mut rng) = sessions(METER, 66);
    assert!(
        thief.receive(at(0), &mut rng, &target(), &initiate).is_ok(),
        "it answers, as anybody with Ka"
    );
    assert!(thief.receive(at(0), &mut rng, &target(), &letter).is_err());
    let (mut thief, peer, mut rng) = sessions(SENSOR, 66);
    assert!(thief.receive(at(0), &mut rng, &target(), &respond).is_err());
    // The genuine receiver still opens it.
    let arrival = display
        .receive(at(0), &mut of_display, &target(), &letter)
        .expect("genuine");
    assert_eq!(arrival.inner, Some(message("secret")));
    // What it can do: begin sessions as either end. In `pinned` and `known` that takes a static key, too.
    let (_, initiate) = thief
        .initiate(at(0), &mut rng, peer, &target())
        .expect("it has Ka");
    let answer = display
        .receive(at(0), &mut of_display, &target(), &initiate)
        .expect("Ka proves it");
    let answer = answer.reply.expect("an answer");
    assert!(
        thief
            .receive(at(0), &mut rng, &target(), &answer)
            .expect("genuine")
            .established
    );
}

#[test]
fn a_taken_mailbox_holds_nothing_to_read_and_nothing_to_use_again() {
    let (mut sensor, mut display, key) = keyed_pair();
    display.knows(&sensor);
    let recipient = display.recipient(utc(0));
    let marker = b"MARKER in a mailbox";
    let mailbox: Vec<_> = [None, Some(&*key)]
        .map(|key| Sealed::Object(sensor.seal(utc(0), &recipient, key, marker)).encode())
        .to_vec();
    for file in &mailbox {
        assert!(!file.windows(6).any(|window| window == b"MARKER"));
        // Everybody's keys but the receiver's pre-key.
        let Ok(Sealed::Object(object)) = Sealed::decode(file) else {
            panic!("an object")
        };
        assert!(sensor.open(utc(0), &object).is_err());
        assert_eq!(display.reads(utc(0), &object), Ok(marker.to_vec()));
        assert_eq!(display.reads(utc(1), &object), Err(Error::Replayed));
    }
}

#[test]
fn an_old_pre_key_that_a_gateway_hands_out_is_good_for_no_longer_than_it_says() {
    let (_, mut display) = pair();
    let old = display.pre_key();
    assert!(
        display
            .opener
            .ring_mut()
            .tend(utc(DAY), &mut display.rng)
            .is_ok()
    );
    assert!(old.verify(&display.record(), utc(2 * DAY - 1)).is_ok());
    assert_eq!(
        old.verify(&display.record(), utc(2 * DAY)),
        Err(Error::NotValid("pre-key"))
    );
}

#[test]
fn an_authority_that_nobody_asked_introduces_nobody() {
    let (sensor, _) = pair();
    let rogue = ed25519_dalek::SigningKey::from_bytes(&[0xbb; 32]);
    let own = refpoint_e2e::SigningKey::from_bytes(rogue.to_bytes());
    let record = sensor.record().issue(&own).expect("complete");
    let verified = EntityRecord::verify(&record, &support::authority().verifying_key(), utc(0));
    assert_eq!(verified, Err(Error::Authentication));
    assert!(Contacts::new().insert_record(sensor.record()).is_ok());
}
