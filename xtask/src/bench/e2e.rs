//! End to end: bytes added and operations a second, beside HPKE, OSCORE and oneM2M's ESPrim.
//!
//! | | sender proved | forward secrecy | replay | works while the receiver is away | a node in between sees |
//! |---|---|---|---|---|---|
//! | letter | yes | epochs, each session's own DH | exact, 64 epochs | yes, once there is a session | index, sequence, size |
//! | object, `Kpsk0` | yes, by Ka and static key | pre-key, days | every ephemeral | yes | key id, number, expiry, size |
//! | object, `X` | yes, but for who has the pre-key | pre-key, days | every ephemeral | yes | number, expiry, size |
//! | HPKE base, RFC 9180 | no | none against the receiver's key | none | yes | enc, aad, size |
//! | HPKE auth | yes, but for who has the receiver's key | none against the receiver's key | none | yes | enc, aad, size |
//! | OSCORE, RFC 8613 | yes, by a symmetric context | only what made the context | window of 32 | hardly: the window | outer options, kid, sequence, size |
//! | Group OSCORE | signature, or pairwise | by rekeying the group | window of 32 | hardly: the window | the same, and the group |
//! | ESPrim, TS-0003 | yes, symmetric | none | none in its clause | yes | key id, both rand ids, outer primitive |

use core::hint::black_box;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use rand_core::Rng as _;
use refpoint_association::{
    Backend, Index, LETTER_OVERHEAD, LetterInitiator, LetterLimits, LetterPost, LetterResponder,
    LetterSession, SessionLabel, StaticKey, Suite,
};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Group, Opener, PreKeyPolicy, PreKeyRing, Recipient, Sealer,
    SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

use crate::{
    measure::{Contestant, Sides, Stopwatch, compare},
    pair::{Pair, now, rng},
    row::{Row, Target as Reach},
};

const ROUNDS: usize = 60;
const BATCH: usize = 32;
const SIZES: [usize; 2] = [64, 1_024];
const SENSOR: &str = "//sp.example.com/id-mn/CSensor1";
const DISPLAY: &str = "//sp.example.com/id-in/CDisplay1";

/// A request with a tag of 8 bytes: lwig-wg/protocol-comparison at a0d541f, section 3 (sequence 1005); a tag of 16 adds 8.
const OSCORE: usize = 14;
/// Pairwise mode, the same source.
const GROUP_OSCORE_PAIRWISE: usize = 15;
/// Group mode adds an Ed25519 signature (draft-ietf-core-oscore-groupcomm).
const GROUP_OSCORE: usize = GROUP_OSCORE_PAIRWISE + 64;
const LONGER_TAG: usize = 8;

pub(crate) fn run() -> anyhow::Result<()> {
    let mut ends = Ends::new()?;
    let mut hpke = Hpke::new();
    let mut esprim = EsPrim::new()?;
    bytes(&mut ends, &mut hpke, &esprim)?;
    for size in SIZES {
        let content = vec![0x5a; size];
        let mut letters = Letters::new()?;
        let (mut shared, mut alone) = (Ends::new()?, Ends::new()?);
        let mut base = Hpke::new();
        let contestants = vec![
            Contestant::new("HPKE auth, rust-hpke", || hpke.batch(true, &content)),
            Contestant::new("HPKE base, rust-hpke", || base.batch(false, &content)),
            Contestant::new("object, Kpsk0", || shared.batch(true, &content)),
            Contestant::new("object, X", || alone.batch(false, &content)),
            Contestant::new("letter", || letters.batch(&content)),
            Contestant::new("ESPrim, JWE A128GCM", || esprim.batch(&content)),
        ];
        let measured = compare(ROUNDS, contestants);
        let peer = &measured[0];
        for own in &measured[1..] {
            for (side, verb) in ["seal", "open"].into_iter().enumerate() {
                let rate = |sides: Sides| 1e9 / sides[side];
                Row::new(
                    format!("{verb} {size} B, {}", own.name),
                    rate(own.sides),
                    "/s",
                )
                .beside(peer.name, rate(peer.sides))
                .print();
            }
        }
    }
    Ok(())
}

/// Bytes that each adds to a payload of 64: raw, and where it has to go into a `con` as text.
fn bytes(ends: &mut Ends, hpke: &mut Hpke, esprim: &EsPrim) -> anyhow::Result<()> {
    let content = [0x5a; 64];
    let object = |ends: &mut Ends, shared| ends.seal(shared, &content).len() - content.len();
    let (shared, alone) = (object(ends, true), object(ends, false));
    let (enc, sealed) = hpke.seal(false, &content);
    let base = enc.len() + sealed.len() - content.len();
    let (enc, sealed) = hpke.seal(true, &content);
    let auth = enc.len() + sealed.len() - content.len();
    let group = ends.group(&content, 10)?;
    let parts: usize = group.parts().iter().map(Vec::len).sum();
    let each = (group.encode().len() - content.len()) as f64 / 10.0;
    let rows = [
        ("letter", LETTER_OVERHEAD, Some(26)),
        ("object, Kpsk0", shared, Some(88)),
        ("object, X", alone, Some(136)),
        ("HPKE base", base, None),
        ("HPKE auth", auth, None),
        ("OSCORE, tag of 16", OSCORE + LONGER_TAG, None),
        (
            "Group OSCORE, pairwise, tag of 16",
            GROUP_OSCORE_PAIRWISE + LONGER_TAG,
            None,
        ),
        (
            "Group OSCORE, signed, tag of 16",
            GROUP_OSCORE + LONGER_TAG,
            None,
        ),
    ];
    for (name, added, most) in rows {
        let target = most.map(|most| Reach::AtMost(f64::from(most)));
        Row::new(format!("bytes added, {name}"), added as f64, "B")
            .reaching(target)
            .print();
        let text = STANDARD.encode(vec![0; content.len() + added]).len() - content.len();
        Row::new(format!("bytes added as base64, {name}"), text as f64, "B").print();
    }
    let jwe = esprim.seal(&content).len() - content.len();
    Row::new("bytes added as text, ESPrim (JWE compact)", jwe as f64, "B").print();
    Row::new("bytes added a receiver, group of 10, X", each, "B").print();
    Row::new("bytes of a part, group of 10, X", parts as f64 / 10.0, "B").print();
    Ok(())
}

fn utc() -> UtcTime {
    UtcTime::from_secs(1_800_000_000)
}

/// A sensor that seals and a display that opens.
struct Ends {
    sealer: Sealer,
    opener: Opener,
    recipient: Recipient,
    contacts: Contacts,
    key: Arc<ApplicationKey>,
    target: Target,
}

impl Ends {
    fn new() -> anyhow::Result<Self> {
        let (sensor, display) = (EntityId::parse(SENSOR)?, EntityId::parse(DISPLAY)?);
        let valid = Validity::until(UtcTime::from_secs(4_000_000_000));
        let (backend, suite) = (Backend::AwsLc, Suite::ChaChaPoly);
        let (static_key, _) = StaticKey::generate(&mut rng(), backend)?;
        let (own, _) = StaticKey::generate(&mut rng(), backend)?;
        let (signing, _) = SigningKey::generate(&mut rng());
        let record = EntityRecord::pinned(display.clone(), own.public_key(), valid)
            .with_signing_key(signing.verifying_key());
        let policy = PreKeyPolicy {
            objects: 1 << 24,
            ..PreKeyPolicy::default()
        };
        let mut ring = PreKeyRing::new(&mut rng(), backend, suite, policy)?;
        ring.tend(utc(), &mut rng())?;
        let recipient = ring.signed(&display, &signing)?.verify(&record, utc())?;
        let key_id = KeyId::new(b"a001")?;
        let key = ApplicationKey::from_bytes([7; 32], key_id, &sensor, &display, valid)?;
        let key = Arc::new(key);
        let of_sensor = EntityRecord::pinned(sensor.clone(), static_key.public_key(), valid);
        let mut contacts = Contacts::new();
        contacts.insert_key(key.clone(), of_sensor.clone())?;
        contacts.insert_record(of_sensor)?;
        Ok(Self {
            sealer: Sealer::new(sensor, static_key),
            opener: Opener::new(display, ring),
            recipient,
            contacts,
            key,
            target: Target::new("//sp.example.com/id-in/cse-in/display/readings")?,
        })
    }

    fn delivery(&self, shared: bool) -> Delivery<'_> {
        Delivery {
            recipient: &self.recipient,
            key: shared.then_some(&*self.key),
            target: &self.target,
            expires: UtcTime::from_secs(1_800_086_400),
        }
    }

    fn seal(&self, shared: bool, content: &[u8]) -> Vec<u8> {
        let sealed = self
            .sealer
            .seal(utc(), &mut rng(), &self.delivery(shared), content);
        sealed.expect("valid")
    }

    fn group(&self, content: &[u8], receivers: usize) -> anyhow::Result<Group> {
        let deliveries = vec![self.delivery(false); receivers];
        let suite = (Backend::AwsLc, Suite::ChaChaPoly);
        Ok(Group::seal(
            &self.sealer,
            utc(),
            &mut rng(),
            suite,
            &deliveries,
            content,
        )?)
    }

    fn batch(&mut self, shared: bool, content: &[u8]) -> Sides {
        let mut watch = Stopwatch::default();
        let mut objects = Vec::with_capacity(BATCH);
        watch.first(|| objects.extend((0..BATCH).map(|_| self.seal(shared, content))));
        watch.second(|| {
            for object in &objects {
                let opened = self
                    .opener
                    .open(Some(utc()), &self.contacts, &self.target, object);
                assert!(opened.is_ok(), "it is genuine");
            }
        });
        watch.mean(BATCH)
    }
}

/// An established session by letters.
struct Letters {
    sensor: LetterSession,
    display: LetterSession,
}

impl Letters {
    fn new() -> anyhow::Result<Self> {
        let ends = (SENSOR, DISPLAY);
        let point = ReferencePoint::EndToEnd;
        let pair = Pair::between(ends, point, Profile::Psk, Suite::ChaChaPoly, *b"a001")?;
        let post = |local| LetterPost {
            local,
            backend: Backend::AwsLc,
            target: b"readings",
            limits: LetterLimits::WEEK,
        };
        let (here, there) = (post(&pair.device.local), post(&pair.gateway.local));
        let credential = pair
            .device
            .credentials
            .find(pair.device.peer)
            .context("inserted")?;
        let wanted = (pair.device.peer, credential.clone());
        let label = SessionLabel::default();
        let mut offer =
            LetterInitiator::new(now(), &mut rng(), &here, wanted, label, Index::new(1, 4)?)?;
        let mut respond = Vec::new();
        let display = LetterResponder::receive(
            now(),
            &mut rng(),
            &there,
            &pair.gateway.credentials,
            offer.packet(),
            Index::new(2, 4)?,
            &mut respond,
        )?;
        let mut display = display.context("it is known")?;
        let mut sensor = offer.receive(now(), &here, &respond)?;
        let (mut confirm, mut answer) = (Vec::new(), Vec::new());
        sensor.answer(now(), &mut confirm)?;
        display.open(now(), &mut confirm)?;
        display.answer(now(), &mut answer)?;
        sensor.open(now(), &mut answer)?;
        Ok(Self { sensor, display })
    }

    fn batch(&mut self, content: &[u8]) -> Sides {
        let mut watch = Stopwatch::default();
        let mut letters = core::array::from_fn::<Vec<u8>, BATCH, _>(|_| {
            Vec::with_capacity(content.len() + LETTER_OVERHEAD)
        });
        watch.first(|| {
            for letter in &mut letters {
                let sealed = self.sensor.seal(now(), content, false, letter);
                assert!(sealed.is_ok(), "within all limits");
            }
        });
        watch.second(|| {
            for letter in &mut letters {
                assert!(self.display.open(now(), letter).is_ok(), "it is genuine");
            }
        });
        watch.mean(BATCH)
    }
}

type Kem = X25519HkdfSha256;
type Enc = <Kem as hpke::Kem>::EncappedKey;

/// HPKE with the same curve, hash and cipher.
struct Hpke {
    sender: (
        <Kem as hpke::Kem>::PrivateKey,
        <Kem as hpke::Kem>::PublicKey,
    ),
    receiver: (
        <Kem as hpke::Kem>::PrivateKey,
        <Kem as hpke::Kem>::PublicKey,
    ),
}

impl Hpke {
    fn new() -> Self {
        Self {
            sender: Kem::gen_keypair_with_rng(&mut rng()),
            receiver: Kem::gen_keypair_with_rng(&mut rng()),
        }
    }

    fn seal(&self, auth: bool, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mode = if auth {
            OpModeS::Auth(self.sender.clone())
        } else {
            OpModeS::Base
        };
        let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &mode,
            &self.receiver.1,
            b"refpoint",
            content,
            b"aad",
            &mut rng(),
        );
        let (enc, sealed) = sealed.expect("valid");
        (enc.to_bytes().to_vec(), sealed)
    }

    fn open(&self, auth: bool, (enc, sealed): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
        let mode = if auth {
            OpModeR::Auth(self.sender.1.clone())
        } else {
            OpModeR::Base
        };
        let enc = Enc::from_bytes(enc).expect("well-formed");
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &mode,
            &self.receiver.0,
            &enc,
            b"refpoint",
            sealed,
            b"aad",
        )
        .expect("genuine")
    }

    fn batch(&mut self, auth: bool, content: &[u8]) -> Sides {
        let mut watch = Stopwatch::default();
        let mut sealed = Vec::with_capacity(BATCH);
        watch.first(|| sealed.extend((0..BATCH).map(|_| self.seal(auth, content))));
        watch.second(|| {
            for sealed in &sealed {
                black_box(self.open(auth, sealed));
            }
        });
        watch.mean(BATCH)
    }
}

/// oneM2M's ESPrim as TS-0003, 8.4.2, makes it: a JWE (RFC 7516) in compact form, `dir`, A128GCM, with the key id
/// and both ids of random values as short as can be.
struct EsPrim {
    key: LessSafeKey,
}

impl EsPrim {
    const HEADER: &str = r#"{"alg":"dir","enc":"A128GCM","kid":"a001","ori":"o1","rri":"r1"}"#;

    fn new() -> anyhow::Result<Self> {
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| anyhow!("no key"))?;
        let esprim = Self {
            key: LessSafeKey::new(key),
        };
        anyhow::ensure!(
            esprim.open(&esprim.seal(b"21.5")) == b"21.5",
            "ESPrim does not open"
        );
        Ok(esprim)
    }

    fn seal(&self, content: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(Self::HEADER);
        let mut iv = [0; 12];
        rng().fill_bytes(&mut iv);
        let (mut data, nonce) = (content.to_vec(), Nonce::assume_unique_for_key(iv));
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&header), &mut data);
        let [iv, data] = [&iv[..], &data].map(|part| URL_SAFE_NO_PAD.encode(part));
        let tag = URL_SAFE_NO_PAD.encode(tag.expect("short").as_ref());
        format!("{header}..{iv}.{data}.{tag}")
    }

    fn open(&self, jwe: &str) -> Vec<u8> {
        let parts: Vec<_> = jwe.split('.').collect();
        let bytes = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).expect("base64");
        let nonce = Nonce::try_assume_unique_for_key(&bytes(2)).expect("12 bytes");
        let mut sealed = [bytes(3), bytes(4)].concat();
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(parts[0]), &mut sealed);
        opened.expect("genuine").to_vec()
    }

    fn batch(&mut self, content: &[u8]) -> Sides {
        let mut watch = Stopwatch::default();
        let mut sealed = Vec::with_capacity(BATCH);
        watch.first(|| sealed.extend((0..BATCH).map(|_| self.seal(content))));
        watch.second(|| {
            for jwe in &sealed {
                black_box(self.open(jwe));
            }
        });
        watch.mean(BATCH)
    }
}
