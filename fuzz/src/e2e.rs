//! Targets of `refpoint-e2e`: what is decoded, objects and groups, sessions.

use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, StaticKey, Suite,
};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Group, Head, Inner, InnerForm, Opener, PreKey, PreKeyPolicy,
    PreKeyRing, Sealed, Sealer, Sessions, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, Profile, UtcTime, Validity};
use refpoint_primitive::{Content, MediaType, RequestId};
use refpoint_sim::Entropy;

use crate::{Input, asking::id};

const BACKEND: Backend = Backend::RustCrypto;
const START: u64 = 1_800_000_000;
const SENSOR: &str = "//sp.example.com/id-mn/CSensor1";
const DISPLAY: &str = "//sp.example.com/id-in/CDisplay1";

fn utc(seconds: u64) -> UtcTime {
    UtcTime::from_secs(START + seconds)
}

fn target() -> Target {
    Target::new("//sp.example.com/id-in/cse-in/readings").expect("a target")
}

fn application_key() -> Arc<ApplicationKey> {
    let key_id = KeyId::new(b"a001").expect("an id");
    let valid = Validity::until(utc(1 << 24));
    let key = ApplicationKey::from_bytes([7; 32], key_id, &id(SENSOR), &id(DISPLAY), valid);
    Arc::new(key.expect("two ids"))
}

/// Whatever is decoded is encoded to the same, and nothing unsigned passes for signed.
///
/// A byte that says what the rest is to be.
pub fn e2e_decode(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 5;
    let bytes = input.rest();
    match kind {
        0 => {
            if let Ok(sealed) = Sealed::decode(bytes) {
                let again = Sealed::decode(&sealed.clone().encode());
                assert_eq!(again, Ok(sealed));
            }
        }
        1 => {
            if let Ok(inner) = Inner::decode(bytes) {
                let again = Inner::decode(&inner.clone().encode());
                assert_eq!(again, Ok(inner));
            }
        }
        2 => {
            if let Ok(pre_key) = PreKey::decode(bytes) {
                assert_eq!(PreKey::decode(&pre_key.encode()), Ok(pre_key.clone()));
                assert!(pre_key.verify_voucher(&application_key(), utc(0)).is_err());
            }
        }
        3 => {
            let authority = SigningKey::from_bytes([0xaa; 32]).verifying_key();
            assert!(EntityRecord::verify(bytes, &authority, utc(0)).is_err());
        }
        _ => {
            if let Ok((_, head, message)) = Head::parse(bytes) {
                assert_eq!([head, message].concat(), bytes);
            }
        }
    }
}

/// A sensor that seals and a display that opens.
struct Ends {
    sealer: Sealer,
    opener: Opener,
    contacts: Contacts,
    key: Arc<ApplicationKey>,
    record: EntityRecord,
    signing: SigningKey,
    rng: Entropy,
}

impl Ends {
    fn new() -> Self {
        let mut rng = Entropy::new(1, "objects");
        let (sensor, display) = (id(SENSOR), id(DISPLAY));
        let static_key = |seed| StaticKey::from_bytes(&[seed; 32], BACKEND).expect("a key");
        let valid = Validity::until(utc(1 << 24));
        let signing = SigningKey::from_bytes([5; 32]);
        let record = EntityRecord::pinned(display.clone(), static_key(2).public_key(), valid)
            .with_signing_key(signing.verifying_key());
        let policy = PreKeyPolicy::default();
        let mut ring =
            PreKeyRing::new(&mut rng, BACKEND, Suite::ChaChaPoly, policy).expect("a policy");
        assert_eq!(ring.tend(utc(0), &mut rng), Ok(true));
        let key = application_key();
        let mut contacts = Contacts::new();
        let sender = EntityRecord::pinned(sensor.clone(), static_key(1).public_key(), valid);
        contacts
            .insert_key(key.clone(), sender.clone())
            .expect("the first");
        contacts.insert_record(sender).expect("the first");
        Self {
            sealer: Sealer::new(sensor, static_key(1)),
            opener: Opener::new(display, ring),
            contacts,
            key,
            record,
            signing,
            rng,
        }
    }
}

/// An object or group that is changed anywhere opens to what was sealed or not at all, and once.
///
/// A byte for the form, then pairs of bytes: a place and what is XORed there.
pub fn e2e_object(data: &[u8]) {
    let mut input = Input::new(data);
    let form = input.byte();
    let mut ends = Ends::new();
    let pre_key = ends
        .opener
        .ring()
        .signed(&id(DISPLAY), &ends.signing)
        .expect("one is there");
    let recipient = pre_key.verify(&ends.record, utc(0)).expect("genuine");
    let target = target();
    let delivery = Delivery {
        recipient: &recipient,
        key: form.is_multiple_of(2).then_some(&*ends.key),
        target: &target,
        expires: utc(60),
    };
    let genuine = if form % 4 < 2 {
        let object = ends.sealer.seal(utc(0), &mut ends.rng, &delivery, b"21.5");
        Sealed::Object(object.expect("valid"))
    } else {
        let suite = (BACKEND, Suite::AesGcm);
        let group = Group::seal(
            &ends.sealer,
            utc(0),
            &mut ends.rng,
            suite,
            &[delivery],
            b"21.5",
        );
        Sealed::Group(group.expect("valid"))
    };
    let mut encoded = genuine.encode();
    for _ in 0..4 {
        let (at, change) = (usize::from(input.byte()), input.byte());
        if let Some(byte) = encoded.get_mut(at) {
            *byte ^= change;
        }
    }
    let mut opened = 0;
    for _ in 0..2 {
        let now = Some(utc(1));
        let read = match Sealed::decode(&encoded) {
            Ok(Sealed::Object(object)) => ends.opener.open(now, &ends.contacts, &target, &object),
            Ok(Sealed::Group(group)) => {
                group.open(&mut ends.opener, (BACKEND, now), &ends.contacts, &target)
            }
            Ok(Sealed::Packet(_)) | Err(_) => return,
        };
        if let Ok(read) = read {
            assert_eq!(read.content.as_slice(), b"21.5");
            assert_eq!(read.sender.as_str(), SENSOR);
            opened += 1;
        }
    }
    assert!(opened <= 1, "it opened twice");
}

fn session_end(name: &str) -> (Sessions, CredentialId, Entropy) {
    let key = Arc::new(application_key().connection_key());
    let local: EntityId = id(name);
    let mut credentials = Credentials::new();
    let credential = Credential::new(&local, key, &[Profile::Psk]).expect("its key");
    let peer = credentials.insert(credential).expect("the first");
    (
        Sessions::new(Local::new(local), BACKEND, credentials),
        peer,
        Entropy::new(2, name),
    )
}

/// Whatever is done to packets under way, each message is delivered once at most, and as it was sent.
///
/// A script of two bytes a step: what happens, and to which packet.
pub fn e2e_session(data: &[u8]) {
    let mut input = Input::new(data);
    let mut ends = [session_end(SENSOR), session_end(DISPLAY)];
    let peers = [id(DISPLAY), id(SENSOR)];
    let target = target();
    let mut posted: Vec<(usize, Vec<u8>)> = Vec::new();
    let (mut sent, mut delivered) = ([0_u32; 2], [const { Vec::new() }; 2]);
    let mut clock = 0;
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let (what, which) = (input.byte(), usize::from(input.byte()));
        let now = Now::new(Duration::from_secs(clock), utc(clock));
        let end = usize::from(what >> 7);
        let (sessions, peer, rng) = &mut ends[end];
        match what & 0b111 {
            0 => {
                if let Ok((_, packet)) = sessions.initiate(now, rng, *peer, &target) {
                    posted.push((1 - end, packet));
                }
            }
            1 | 2 => {
                let Some(session) = sessions.with(&peers[end], &target) else {
                    continue;
                };
                let content =
                    Content::new(MediaType::Json, sent[end].to_string()).expect("content");
                let inner = Inner {
                    target: target.clone(),
                    request_id: RequestId::new("r").expect("an id"),
                    expires: utc(1 << 20),
                    form: InnerForm::Content(content),
                };
                if let Ok(packet) = sessions.send(now, session, inner) {
                    posted.push((1 - end, packet));
                    sent[end] += 1;
                }
            }
            3 => clock += which as u64 * 60,
            4 => drop(sessions.tend(now)),
            step => {
                let Some(number) = which.checked_rem(posted.len()) else {
                    continue;
                };
                let (mut to, mut packet) = posted[number].clone();
                match step {
                    // To whom it is not for.
                    5 => to = 1 - to,
                    6 => {
                        let at = which.checked_rem(packet.len()).unwrap_or_default();
                        packet[at] ^= what | 1;
                    }
                    _ => {}
                }
                let (sessions, _, rng) = &mut ends[to];
                let Ok(arrival) = sessions.receive(now, rng, &target, &packet) else {
                    continue;
                };
                posted.extend(arrival.reply.map(|reply| (1 - to, reply)));
                if arrival.established {
                    let session = arrival.session.expect("it says which");
                    // An answer that comes too late makes a session that is at its end.
                    let confirm = sessions.confirm(now, session);
                    posted.extend(confirm.ok().map(|confirm| (1 - to, confirm)));
                }
                if let Some(Inner {
                    form: InnerForm::Content(content),
                    ..
                }) = arrival.inner
                {
                    assert_eq!(step, 7, "it was altered, or was not for this end");
                    delivered[to].push(content.data().clone());
                }
            }
        }
    }
    for (end, delivered) in delivered.iter_mut().enumerate() {
        let count = delivered.len();
        delivered.sort();
        delivered.dedup();
        assert_eq!(delivered.len(), count, "delivered twice");
        let numbers = delivered
            .iter()
            .map(|data| core::str::from_utf8(data).map(str::parse::<u32>));
        assert!(
            numbers
                .into_iter()
                .all(|number| matches!(number, Ok(Ok(n)) if n < sent[1 - end]))
        );
    }
}
