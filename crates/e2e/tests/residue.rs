//! What is left in memory once end-to-end secrets are gone: no pre-key, no content key, no key of a session,
//! no application key, nothing that was opened, on either backend.

#[path = "support/memory.rs"]
mod memory;
#[path = "support/noise_x.rs"]
mod noise_x;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;
use std::sync::Arc;

use memory::{Alone, Injected, MASK, Needle, bare, found, hidden};
use refpoint_association::{
    Backend, CloseReason, Credential, CredentialId, Credentials, Local, Now, Policy, StaticKey,
    Suite,
};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Group, Inner, InnerForm, Opener, Padding, PreKeyPolicy,
    PreKeyRing, Sealer, SessionId, Sessions, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, KeyId, Profile};
use refpoint_primitive::{Content, MediaType, RequestId};
use serde_json::Value;
use support::{BACKENDS, DAY, METER, SENSOR, SUITES, id, target, utc, valid};

/// The test's own secrets, by their salts.
const SHARED: u8 = 1;
const STATIC: u8 = 2;
const SIGNING: u8 = 3;
const PRE_KEY: u8 = 4;
const EPHEMERAL: u8 = 5;
const CONTENT: u8 = 6;
const CONTENT_KEY: u8 = 7;
const NEXT_PRE_KEY: u8 = 8;

fn needles() -> Vec<Needle> {
    let own = [
        ("application key", SHARED),
        ("static key", STATIC),
        ("signing key", SIGNING),
        ("pre-key", PRE_KEY),
        ("ephemeral key", EPHEMERAL),
        ("content", CONTENT),
        ("content key", CONTENT_KEY),
        ("next pre-key", NEXT_PRE_KEY),
    ];
    let own = own.map(|(name, salt)| Needle::masked(name, &hidden(salt)));
    let [pre_key, own_key, ephemeral] = [PRE_KEY, STATIC, EPHEMERAL].map(|salt| bare(hidden(salt)));
    let receiver = noise_x::public(&pre_key);
    let shared = shared();
    let derived = [
        Needle::of("es", &noise_x::dh(&ephemeral, &receiver)),
        Needle::of("ss", &noise_x::dh(&own_key, &receiver)),
        Needle::of(
            "object psk",
            shared
                .object_psk(&id(SENSOR), &id(METER))
                .expect("two")
                .expose_bytes(),
        ),
    ];
    own.into_iter().chain(derived).collect()
}

fn shared() -> ApplicationKey {
    let (key_id, key) = (KeyId::new(b"a001").expect("an id"), bare(hidden(SHARED)));
    ApplicationKey::from_bytes(key, key_id, &id(SENSOR), &id(METER), valid()).expect("two ends")
}

/// A sensor that seals, a display that opens, and the key that they may share.
struct Ends {
    sealer: Sealer,
    opener: Opener,
    contacts: Contacts,
    signing: SigningKey,
    record: EntityRecord,
    key: Option<Arc<ApplicationKey>>,
}

impl Ends {
    fn new(backend: Backend, suite: Suite, is_shared: bool) -> Self {
        let static_key = || StaticKey::from_bytes(&bare(hidden(STATIC)), backend).expect("a key");
        let signing = SigningKey::from_bytes(bare(hidden(SIGNING)));
        let sender = EntityRecord::pinned(id(SENSOR), static_key().public_key(), valid());
        let record = EntityRecord::pinned(id(METER), static_key().public_key(), valid())
            .with_signing_key(signing.verifying_key());
        let mut contacts = Contacts::new();
        let key = is_shared.then(|| Arc::new(shared()));
        match &key {
            Some(key) => contacts.insert_key(key.clone(), sender).expect("its key"),
            None => contacts.insert_record(sender).expect("one owner"),
        }
        let mut rng = Injected::new(&[hidden(PRE_KEY)]);
        let ring = PreKeyRing::new(&mut rng, backend, suite, PreKeyPolicy::default());
        let mut ring = ring.expect("a policy");
        ring.tend(utc(0), &mut rng).expect("numbers");
        Self {
            sealer: Sealer::new(id(SENSOR), static_key()).with_padding(Padding::Padme),
            opener: Opener::new(id(METER), ring),
            contacts,
            signing,
            record,
            key,
        }
    }

    /// An object for the display, or a group of one.
    fn seal(&self, group: Option<(Backend, Suite)>) -> Result<Vec<u8>, Group> {
        let ring = self.opener.ring();
        let pre_key = ring
            .signed(&id(METER), &self.signing)
            .expect("one is there");
        let recipient = pre_key.verify(&self.record, utc(0)).expect("genuine");
        let delivery = Delivery {
            recipient: &recipient,
            key: self.key.as_deref(),
            target: &target(),
            expires: utc(DAY),
        };
        let content = bare(hidden(CONTENT));
        match group {
            None => {
                let mut rng = Injected::new(&[hidden(EPHEMERAL)]);
                let sealed = self.sealer.seal(utc(0), &mut rng, &delivery, &content);
                Ok(sealed.expect("valid"))
            }
            Some(with) => {
                let mut rng = Injected::new(&[hidden(CONTENT_KEY), hidden(EPHEMERAL)]);
                let to = [delivery];
                Err(
                    Group::seal(&self.sealer, utc(0), &mut rng, with, &to, &content)
                        .expect("valid"),
                )
            }
        }
    }
}

fn kinds() -> impl Iterator<Item = (Backend, Suite, bool)> {
    let suites = SUITES.into_iter();
    suites.flat_map(|suite| {
        let backends = BACKENDS.into_iter();
        backends.flat_map(move |backend| [true, false].map(|shared| (backend, suite, shared)))
    })
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_an_object_are_gone_with_its_pre_key_and_its_ends() {
    let _alone = Alone::new();
    let needles = needles();
    for kind in kinds() {
        let mut ends = Ends::new(kind.0, kind.1, kind.2);
        let object = ends.seal(None).expect("an object");
        let alive = found(&needles);
        let has = |alive: &[String], name: &str| alive.iter().any(|found| found == name);
        assert_eq!(
            has(&alive, "application key"),
            kind.2,
            "{kind:?}: the scan finds what is there"
        );
        for name in ["static key", "pre-key"] {
            assert!(has(&alive, name), "{kind:?}: {name} is there");
        }
        for name in ["ephemeral key", "es", "ss", "object psk", "content"] {
            assert!(!has(&alive, name), "{kind:?}: {name} outlives the sealing");
        }
        let opened = ends
            .opener
            .open(Some(utc(1)), &ends.contacts, &target(), &object)
            .expect("genuine");
        assert!(has(&found(&needles), "content"), "{kind:?}: it is there");
        drop(opened);
        for name in found(&needles) {
            let transient = ["ephemeral key", "es", "ss", "object psk", "content"];
            assert!(
                !transient.contains(&&*name),
                "{kind:?}: {name} outlives the opening"
            );
        }
        // Kept, restored, and destroyed when its time is over.
        let kept = ends.opener.ring().to_bytes(1);
        let mut rng = Injected::new(&[hidden(NEXT_PRE_KEY)]);
        let ring = PreKeyRing::new(&mut rng, kind.0, kind.1, PreKeyPolicy::default());
        let restored = ring.expect("a policy").restore(&kept, 0).expect("a state");
        drop(kept);
        *ends.opener.ring_mut() = restored;
        assert!(has(&found(&needles), "pre-key"), "{kind:?}: it was kept");
        ends.opener
            .ring_mut()
            .tend(utc(60 * DAY), &mut rng)
            .expect("numbers");
        let alive = found(&needles);
        assert!(
            !has(&alive, "pre-key"),
            "{kind:?}: a pre-key outlives its time"
        );
        assert!(has(&alive, "next pre-key"), "{kind:?}: there is another");
        let number = ends.opener.ring().numbers().next().expect("one");
        ends.opener.ring_mut().destroy(number);
        assert!(
            !has(&found(&needles), "next pre-key"),
            "{kind:?}: it was destroyed"
        );
        drop(ends);
        let left = found(&needles);
        assert!(left.is_empty(), "{kind:?}: {left:?}");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_content_key_is_gone_when_its_group_is_sealed_and_when_it_is_opened() {
    let _alone = Alone::new();
    let needles = needles();
    for kind in kinds() {
        let mut ends = Ends::new(kind.0, kind.1, kind.2);
        let group = ends.seal(Some((kind.0, kind.1))).expect_err("a group");
        let transient = [
            "content key",
            "ephemeral key",
            "es",
            "ss",
            "object psk",
            "content",
        ];
        for name in found(&needles) {
            assert!(
                !transient.contains(&&*name),
                "{kind:?}: {name} outlives the sealing"
            );
        }
        let at = (kind.0, Some(utc(1)));
        let opened = group.open(&mut ends.opener, at, &ends.contacts, &target());
        let alive = found(&needles);
        assert!(
            alive.iter().any(|name| name == "content"),
            "{kind:?}: it is there"
        );
        assert!(
            !alive.iter().any(|name| name == "content key"),
            "{kind:?}: {alive:?}"
        );
        drop(opened.expect("genuine"));
        for name in found(&needles) {
            assert!(
                !transient.contains(&&*name),
                "{kind:?}: {name} outlives the opening"
            );
        }
        drop((ends, group));
        let left = found(&needles);
        assert!(left.is_empty(), "{kind:?}: {left:?}");
    }
}

const SESSION: &str = include_str!("vectors/session.json");

fn masked(value: &Value) -> [u8; 32] {
    let text = value.as_str().expect("a text").as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    core::array::from_fn(|at| (digit(text[2 * at]) << 4 | digit(text[2 * at + 1])) ^ MASK)
}

/// Every secret of a session's key schedule, and the application key.
fn schedule(case: &Value) -> Vec<Needle> {
    let stages = ["psk", "k1", "k2", "master", "exporter"];
    let stages = stages.map(|stage| Needle::masked(stage, &masked(&case[stage])));
    let epochs = case["epochs"].as_array().expect("a list").iter();
    let epochs = epochs.flat_map(|epoch| {
        let of = format!(
            "{} {}",
            epoch["direction"].as_str().expect("a text"),
            epoch["epoch"]
        );
        ["traffic", "key"].map(|part| Needle::masked(format!("{part} {of}"), &masked(&epoch[part])))
    });
    stages.into_iter().chain(epochs).collect()
}

struct Correspondent {
    sessions: Sessions,
    peer: CredentialId,
    rng: Injected,
    target: Target,
}

impl Correspondent {
    fn new(file: &Value, case: &Value, backend: Backend, role: &str) -> Self {
        let name = |of: &str| id(file[of].as_str().expect("a text"));
        let (a, b) = (name("initiator"), name("responder"));
        let text = file["key_id"].as_str().expect("a text");
        let key_id = KeyId::new(&hex::decode(text).expect("hexadecimal")).expect("an id");
        let shared = masked(&file["application_key"]).map(|byte| byte ^ MASK);
        let key = ApplicationKey::from_bytes(shared, key_id, &a, &b, valid()).expect("two ends");
        let policy = match role {
            "responder" => Policy::default().with_epoch_bits(16).expect("valid"),
            _ => Policy::default(),
        };
        let suite = Suite::try_from(case["suite"].as_u64().expect("a number") as u8);
        let connection = Arc::new(key.connection_key());
        let credential = Credential::new(&name(role), connection, &[Profile::Psk])
            .and_then(|credential| credential.with_suites(&[suite.expect("a suite")]))
            .expect("its key")
            .with_policy(policy);
        let mut credentials = Credentials::new();
        let peer = credentials.insert(credential).expect("the first");
        let index = file[format!("{role}_index")].as_str().expect("a text");
        let number = u32::from_str_radix(index, 16).expect("hexadecimal");
        let ephemeral = masked(&file[format!("{role}_ephemeral")]);
        Self {
            sessions: Sessions::new(Local::new(name(role)), backend, credentials),
            peer,
            rng: Injected::new(&[ephemeral]).with_number(number),
            target: Target::new(file["target"].as_str().expect("a text")).expect("a target"),
        }
    }

    fn receive(&mut self, at: Now, packet: &[u8]) -> (Option<SessionId>, Option<Vec<u8>>) {
        let arrival = self
            .sessions
            .receive(at, &mut self.rng, &self.target, packet);
        let arrival = arrival.expect("genuine");
        (arrival.session, arrival.reply)
    }

    fn send(&mut self, at: Now, session: SessionId) -> Vec<u8> {
        let inner = Inner {
            target: self.target.clone(),
            request_id: RequestId::new("r1").expect("an id"),
            expires: utc(300 * DAY),
            form: InnerForm::Content(Content::new(MediaType::Json, "21.5").expect("content")),
        };
        self.sessions.send(at, session, inner).expect("may send")
    }
}

fn at(seconds: u64) -> Now {
    Now::new(Duration::from_secs(seconds), utc(seconds))
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_session_are_gone_with_its_epochs_and_when_it_is_closed() {
    let _alone = Alone::new();
    let file: Value = serde_json::from_str(SESSION).expect("JSON");
    for case in file["cases"].as_array().expect("a list") {
        for backend in BACKENDS {
            let what = format!("{backend:?}, suite {}", case["suite"]);
            let needles = schedule(case);
            let has = |name: &str| found(&needles).iter().any(|found| found == name);
            let [mut a, mut b] = ["initiator", "responder"]
                .map(|role| Correspondent::new(&file, case, backend, role));
            let begun = a.sessions.initiate(at(0), &mut a.rng, a.peer, &a.target);
            let (session, initiate) = begun.expect("allowed");
            let (_, respond) = b.receive(at(0), &initiate);
            a.receive(at(0), &respond.expect("an answer"));
            let letter = a.send(at(1), session);
            let (theirs, answer) = b.receive(at(1), &letter);
            a.receive(at(1), &answer.expect("it was asked for"));
            assert!(
                has("traffic i2r 0") && has("traffic r2i 0"),
                "{what}: it is there"
            );
            for name in ["psk", "k1", "k2", "master"] {
                assert!(!has(name), "{what}: {name} outlives the handshake");
            }
            // The next epoch, both ways: of the one before, only keys for late letters are kept.
            let letter = a.send(at(130), session);
            b.receive(at(130), &letter);
            let theirs = theirs.expect("it says which");
            let letter = b.send(at(130), theirs);
            a.receive(at(130), &letter);
            for name in ["traffic i2r 0", "traffic r2i 0"] {
                assert!(!has(name), "{what}: {name} outlives its epoch");
            }
            assert!(has("traffic i2r 1"), "{what}: the next one is there");
            // What is kept of it, and what is restored, goes too.
            drop(b.sessions.to_bytes(at(130), 1).expect("a clock"));
            // Keys of the first epoch, when no late letter can come any more.
            for end in [&mut a, &mut b] {
                end.sessions.tend(at(8 * DAY));
            }
            for name in found(&needles) {
                assert!(
                    !name.ends_with(" 0"),
                    "{what}: {name} outlives its retention"
                );
            }
            drop((a, b));
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?}");

            // Closed: what remains is for what is on its way, and ends with it.
            let [mut a, mut b] = ["initiator", "responder"]
                .map(|role| Correspondent::new(&file, case, backend, role));
            let begun = a.sessions.initiate(at(0), &mut a.rng, a.peer, &a.target);
            let (session, initiate) = begun.expect("allowed");
            let (_, respond) = b.receive(at(0), &initiate);
            a.receive(at(0), &respond.expect("an answer"));
            let letter = a.send(at(1), session);
            b.receive(at(1), &letter);
            let close = a.sessions.close(at(2), session, CloseReason::Done);
            b.receive(at(2), &close.expect("may close"));
            assert_eq!(b.sessions.iter().count(), 0, "{what}");
            a.sessions
                .end_with(&id(file["responder"].as_str().expect("a text")));
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the close");
        }
    }
}
