//! The vectors of `tests/vectors/`, which an implementation of `proto/README.md` in another language has
//! written, come out of both backends byte for byte when its entropy goes in.

#[path = "support/noise_x.rs"]
mod noise_x;

use core::{convert::Infallible, num::NonZeroU16, time::Duration};
use std::sync::Arc;

use ed25519_dalek::Signer as _;
use rand_core::{TryCryptoRng, TryRng};
use refpoint_association::{
    Backend, Credential, Credentials, Index, LetterInitiator, LetterLimits, LetterPost,
    LetterResponder, LetterSession, Local, Now, Policy, SessionLabel, StaticKey, Suite,
};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Group, Opener, Padding, PreKeyPolicy, PreKeyRing, Recipient,
    Sealer, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, Profile, UtcTime, Validity};
use serde_json::Value;

const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hexadecimal")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("of this length")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn suite(value: &Value) -> Suite {
    Suite::try_from(number(value) as u8).expect("a suite")
}

fn entity(value: &Value) -> EntityId {
    EntityId::parse(value.as_str().expect("a text")).expect("an id")
}

/// Gives these, 32 bytes each, one after the other; all else is zero.
struct Injected(Vec<[u8; 32]>);

impl Injected {
    fn new(keys: &[[u8; 32]]) -> Self {
        Self(keys.iter().rev().copied().collect())
    }
}

impl TryRng for Injected {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0.pop().expect("no more is drawn"));
        Ok(())
    }
}

impl TryCryptoRng for Injected {}

fn file(name: &str) -> Value {
    let text = match name {
        "objects" => include_str!("vectors/objects.json"),
        _ => include_str!("vectors/session.json"),
    };
    serde_json::from_str(text).expect("JSON")
}

fn application_key(file: &Value, a: &EntityId, b: &EntityId) -> Arc<ApplicationKey> {
    let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
    let key_id = KeyId::new(&bytes(&file["key_id"])).expect("an id");
    let key = ApplicationKey::from_bytes(array(&file["application_key"]), key_id, a, b, valid);
    Arc::new(key.expect("two ids"))
}

/// A ring that holds this one pre-key: a kept state, written by hand.
fn ring(file: &Value, private: &Value, backend: Backend, suite: Suite) -> PreKeyRing {
    let mut kept = vec![1];
    kept.extend_from_slice(&0_u64.to_be_bytes());
    kept.extend_from_slice(&(number(&file["number"]) as u32 + 1).to_be_bytes());
    kept.push(1);
    kept.extend_from_slice(&(number(&file["number"]) as u32).to_be_bytes());
    kept.extend_from_slice(&bytes(private));
    kept.extend_from_slice(&number(&file["not_before"]).to_be_bytes());
    kept.extend_from_slice(&number(&file["not_after"]).to_be_bytes());
    kept.extend_from_slice(&0_u32.to_be_bytes());
    PreKeyRing::new(
        &mut Injected::new(&[]),
        backend,
        suite,
        PreKeyPolicy::default(),
    )
    .and_then(|ring| ring.restore(&kept, 0))
    .expect("a state")
}

/// Whom the sensor seals for: `owner`'s pre-key, signed and verified.
fn recipient(file: &Value, ring: &PreKeyRing, owner: &EntityId) -> Recipient {
    let signing = SigningKey::from_bytes(array(&file["signing_key"]));
    let valid = Validity::until(UtcTime::from_secs(number(&file["not_after"])));
    let key = StaticKey::from_bytes(&array(&file["display_static"]), Backend::default());
    let record = EntityRecord::pinned(owner.clone(), key.expect("a key").public_key(), valid)
        .with_signing_key(signing.verifying_key());
    let pre_key = ring.signed(owner, &signing).expect("one is there");
    pre_key.verify(&record, now(file)).expect("genuine")
}

fn now(file: &Value) -> UtcTime {
    UtcTime::from_secs(number(&file["not_before"]))
}

#[test]
fn statements_signatures_and_vouchers_are_the_vectors() {
    let file = file("objects");
    let (sensor, display) = (entity(&file["sensor"]), entity(&file["display"]));
    let authority = SigningKey::from_bytes(array(&file["authority_key"]));
    let signing = SigningKey::from_bytes(array(&file["signing_key"]));
    let valid = Validity::until(UtcTime::from_secs(number(&file["not_after"])));
    let key = StaticKey::from_bytes(&array(&file["display_static"]), Backend::default());
    let record = EntityRecord::pinned(display.clone(), key.expect("a key").public_key(), valid)
        .with_signing_key(signing.verifying_key());
    let issued = record.issue(&authority).expect("complete");
    let ends_in = |message: &[u8], value: &Value| message.ends_with(&bytes(value));
    assert!(ends_in(&issued, &file["record"]["signature"]));
    // The signatures are over the statements that the vectors spell out.
    for (key, case) in [
        ("authority_key", &file["record"]),
        ("signing_key", &file["pre_key"]),
    ] {
        let key = ed25519_dalek::SigningKey::from_bytes(&array(&file[key]));
        let signature = key.sign(&bytes(&case["statement"])).to_bytes();
        assert_eq!(signature.to_vec(), bytes(&case["signature"]));
    }
    let ring = ring(
        &file,
        &file["display_pre_key"],
        Backend::default(),
        Suite::ChaChaPoly,
    );
    let pre_key = ring
        .signed(&display, &signing)
        .expect("one is there")
        .encode();
    assert!(ends_in(&pre_key, &file["pre_key"]["signature"]));
    let ka = application_key(&file, &sensor, &display);
    let pre_key = ring.vouched(&display, &ka).expect("an end").encode();
    assert!(ends_in(&pre_key, &file["pre_key"]["voucher"]));
}

#[test]
fn objects_are_the_vectors_and_open() {
    let file = file("objects");
    let (sensor, display) = (entity(&file["sensor"]), entity(&file["display"]));
    let ka = application_key(&file, &sensor, &display);
    let target = Target::new(file["target"].as_str().expect("a text")).expect("a target");
    let ephemeral = array(&file["ephemerals"][0]);
    let cases = list(&file["objects"]);
    assert_eq!(cases.len(), 8);
    for (case, backend) in cases
        .iter()
        .flat_map(|case| BACKENDS.map(|backend| (case, backend)))
    {
        let shared = case["application_key"] == true;
        let ring = ring(
            &file,
            &file["display_pre_key"],
            backend,
            suite(&case["suite"]),
        );
        let recipient = recipient(&file, &ring, &display);
        let static_key = StaticKey::from_bytes(&array(&file["sensor_static"]), backend);
        let static_key = static_key.expect("a key");
        let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
        let of_sensor = EntityRecord::pinned(sensor.clone(), static_key.public_key(), valid);
        let padding = NonZeroU16::new(number(&case["bucket"]) as u16);
        let padding = padding.map_or(Padding::None, Padding::Multiple);
        let sealer = Sealer::new(sensor.clone(), static_key).with_padding(padding);
        let delivery = Delivery {
            recipient: &recipient,
            key: shared.then_some(&*ka),
            target: &target,
            expires: UtcTime::from_secs(number(&file["expires"])),
        };
        let mut rng = Injected::new(&[ephemeral]);
        let content = bytes(&file["content"]);
        let object = sealer
            .seal(now(&file), &mut rng, &delivery, &content)
            .expect("valid");
        assert_eq!(
            object,
            bytes(&case["object"]),
            "{backend:?} {}",
            case["suite"]
        );

        let mut contacts = Contacts::new();
        if shared {
            contacts
                .insert_key(ka.clone(), of_sensor)
                .expect("the first");
        } else {
            contacts.insert_record(of_sensor).expect("the first");
        }
        let mut opener = Opener::new(display.clone(), ring);
        let opened = opener
            .open(Some(now(&file)), &contacts, &target, &object)
            .expect("genuine");
        assert_eq!(*opened.content, content);
        assert_eq!(opened.sender, sensor);
    }
}

#[test]
fn objects_come_out_of_noise_written_by_hand() {
    let file = file("objects");
    let (sender, ephemeral) = (array(&file["sensor_static"]), array(&file["ephemerals"][0]));
    let receiver = noise_x::public(&array(&file["display_pre_key"]));
    let (sensor, display) = (entity(&file["sensor"]), entity(&file["display"]));
    let psk = application_key(&file, &sensor, &display).object_psk(&sensor, &display);
    let psk = *psk.expect("two ends").expose_bytes();
    let content = bytes(&file["content"]);
    for case in list(&file["objects"])
        .iter()
        .filter(|case| case["suite"] == 1 && case["bucket"] == 0)
    {
        let prologue = bytes(&case["prologue"]);
        let object = bytes(&case["object"]);
        let message = if case["application_key"] == true {
            noise_x::kpsk0(&prologue, &ephemeral, &sender, &receiver, &psk, &content)
        } else {
            let id = sensor.as_str().as_bytes();
            let payload = [&[id.len() as u8][..], id, &content].concat();
            let ss = noise_x::dh(&sender, &receiver);
            let public = noise_x::public(&sender);
            noise_x::x(&prologue, &ephemeral, &public, &ss, &receiver, &payload)
        };
        assert!(object.ends_with(&message));
    }
}

#[test]
fn groups_are_the_vectors_and_open() {
    let file = file("objects");
    let [sensor, display, archive] =
        ["sensor", "display", "archive"].map(|name| entity(&file[name]));
    let ka = application_key(&file, &sensor, &display);
    let target = Target::new(file["target"].as_str().expect("a text")).expect("a target");
    let cases = list(&file["groups"]);
    assert_eq!(cases.len(), 2);
    for (case, backend) in cases
        .iter()
        .flat_map(|case| BACKENDS.map(|backend| (case, backend)))
    {
        let rings = ["display_pre_key", "archive_pre_key"]
            .map(|key| ring(&file, &file[key], backend, Suite::ChaChaPoly));
        let recipients = [
            recipient(&file, &rings[0], &display),
            recipient(&file, &rings[1], &archive),
        ];
        let static_key = StaticKey::from_bytes(&array(&file["sensor_static"]), backend);
        let static_key = static_key.expect("a key");
        let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
        let of_sensor = EntityRecord::pinned(sensor.clone(), static_key.public_key(), valid);
        let sealer = Sealer::new(sensor.clone(), static_key);
        let delivery = |(recipient, key)| Delivery {
            recipient,
            key,
            target: &target,
            expires: UtcTime::from_secs(number(&file["expires"])),
        };
        let deliveries = recipients.iter().zip([Some(&*ka), None]).map(delivery);
        let mut rng = Injected::new(&[
            array(&case["content_key"]),
            array(&file["ephemerals"][0]),
            array(&file["ephemerals"][1]),
        ]);
        let content = bytes(&file["content"]);
        let suites = (backend, suite(&case["suite"]));
        let deliveries: Vec<_> = deliveries.collect();
        let group = Group::seal(&sealer, now(&file), &mut rng, suites, &deliveries, &content);
        let group = group.expect("valid");
        let parts: Vec<_> = list(&case["parts"]).iter().map(bytes).collect();
        assert_eq!(group.parts(), parts);
        // Fields 1 and 2, whose lengths fit one byte.
        let (head, ciphertext) = (bytes(&case["head"]), bytes(&case["ciphertext"]));
        let encoded = [
            &[0x0a, 37][..],
            &head,
            &[0x12, ciphertext.len() as u8],
            &ciphertext,
        ]
        .concat();
        assert!(group.clone().encode().starts_with(&encoded));

        let mut contacts = Contacts::new();
        contacts
            .insert_key(ka.clone(), of_sensor.clone())
            .expect("the first");
        contacts.insert_record(of_sensor).expect("the first");
        for (id, ring) in [&display, &archive].into_iter().zip(rings) {
            let mut opener = Opener::new(id.clone(), ring);
            let opened = group.open(&mut opener, (backend, Some(now(&file))), &contacts, &target);
            assert_eq!(*opened.expect("genuine").content, content);
        }
    }
}

fn at(seconds: u64) -> Now {
    Now::new(
        Duration::from_secs(seconds),
        UtcTime::from_secs(1_800_000_000 + seconds),
    )
}

#[test]
fn sessions_are_the_vectors() {
    let file = file("session");
    let (initiator, responder) = (entity(&file["initiator"]), entity(&file["responder"]));
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 2);
    for (case, backend) in cases
        .iter()
        .flat_map(|case| BACKENDS.map(|backend| (case, backend)))
    {
        let end = |local: &EntityId, policy: Policy| {
            let key = Arc::new(application_key(&file, &initiator, &responder).connection_key());
            let credential = Credential::new(local, key, &[Profile::Psk]).expect("its key");
            let credential = credential
                .with_policy(policy)
                .with_suites(&[suite(&case["suite"])]);
            let mut credentials = Credentials::new();
            let id = credentials
                .insert(credential.expect("one suite"))
                .expect("the first");
            (Local::new(local.clone()), credentials, id)
        };
        let index = |name: &str| Index::from_bytes(&bytes(&file[name])).expect("an index");
        let (a, of_a, id) = end(&initiator, Policy::default());
        let policy = Policy::default().with_epoch_bits(number(&file["epoch_bits"]) as u8);
        let (b, of_b, _) = end(&responder, policy.expect("valid"));
        let post = |local| LetterPost {
            local,
            backend,
            target: file["target"].as_str().expect("a text").as_bytes(),
            limits: LetterLimits::default(),
        };
        let credential = of_a.find(id).expect("it is there").clone();
        let mut rng = Injected::new(&[array(&file["initiator_ephemeral"])]);
        let label = SessionLabel::default();
        let wanted = (id, credential);
        let offer = LetterInitiator::new(
            at(0),
            &mut rng,
            &post(&a),
            wanted,
            label,
            index("initiator_index"),
        );
        let mut offer = offer.expect("allowed");
        assert_eq!(offer.packet(), bytes(&case["initiate"]), "{backend:?}");
        let (mut rng, mut respond) = (
            Injected::new(&[array(&file["responder_ephemeral"])]),
            Vec::new(),
        );
        let session = LetterResponder::receive(
            at(0),
            &mut rng,
            &post(&b),
            &of_b,
            offer.packet(),
            index("responder_index"),
            &mut respond,
        );
        let session = session.expect("genuine").expect("known");
        assert_eq!(respond, bytes(&case["respond"]), "{backend:?}");
        let mut ends = [
            offer.receive(at(0), &post(&a), &respond).expect("genuine"),
            session,
        ];
        let letters = list(&case["letters"]);
        assert_eq!(letters.len(), 5);
        for (turn, letter) in letters.iter().enumerate() {
            let from = usize::from(letter["from"] == "responder");
            // The last one comes after the interval of a ratchet: it skips to the next epoch.
            let when = at(if turn == 4 { 130 } else { 1 });
            let packet = write(&mut ends[from], when, letter);
            assert_eq!(
                packet,
                bytes(&letter["letter"]),
                "letter {turn}, {backend:?}"
            );
            let opened = ends[1 - from]
                .open(when, &mut packet.clone())
                .map(|opened| opened.asks);
            assert_eq!(opened, Ok(letter["confirm"] == true));
        }
    }
}

fn write(session: &mut LetterSession, now: Now, letter: &Value) -> Vec<u8> {
    let mut packet = Vec::new();
    let written = match letter["kind"].as_str() {
        Some("data") => session.seal(now, &bytes(&letter["plaintext"]), false, &mut packet),
        _ => session.answer(now, &mut packet),
    };
    written.expect("within all limits");
    packet
}
