//! End points with their keys, for the integration tests.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::sync::Arc;

use refpoint_association::{Backend, StaticKey, Suite};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Error, Opened, Opener, PreKey, PreKeyPolicy, PreKeyRing,
    Recipient, Sealer, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, UtcTime, Validity};
use refpoint_sim::Entropy;

pub const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];
pub const SUITES: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];
pub const SENSOR: &str = "//sp.example.com/id-mn/CSensor1";
pub const METER: &str = "//sp.example.com/id-in/CDisplay1";
pub const INSIDER: &str = "//sp.example.com/id-mn/CInsider1";
pub const HOUR: u64 = 3_600;
pub const DAY: u64 = 24 * HOUR;

/// So many seconds after noon of some day.
pub fn utc(seconds: u64) -> UtcTime {
    UtcTime::from_secs(1_800_000_000 + seconds)
}

pub fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

pub fn target() -> Target {
    Target::new("//sp.example.com/id-in/cse-in/display/readings").expect("a target")
}

pub fn valid() -> Validity {
    Validity::until(utc(365 * DAY))
}

/// The authority that issues records; a file, until there is one.
pub fn authority() -> SigningKey {
    SigningKey::from_bytes([0xaa; 32])
}

/// Ka of two end points.
pub fn application_key(a: &str, b: &str) -> Arc<ApplicationKey> {
    let key_id = KeyId::new(b"a001").expect("an id");
    let key = ApplicationKey::from_bytes([7; 32], key_id, &id(a), &id(b), valid());
    Arc::new(key.expect("two end points"))
}

/// An entity: seals, opens, signs pre-keys.
pub struct Party {
    pub id: EntityId,
    pub seed: u8,
    pub sealer: Sealer,
    pub signing: SigningKey,
    pub opener: Opener,
    pub contacts: Contacts,
    pub rng: Entropy,
}

impl Party {
    pub fn new(name: &'static str, seed: u8) -> Self {
        Self::with(name, seed, Backend::default(), Suite::ChaChaPoly)
    }

    pub fn with(name: &'static str, seed: u8, backend: Backend, suite: Suite) -> Self {
        Self::with_policy(name, seed, (backend, suite), PreKeyPolicy::default())
    }

    pub fn with_policy(
        name: &'static str,
        seed: u8,
        (backend, suite): (Backend, Suite),
        policy: PreKeyPolicy,
    ) -> Self {
        let mut rng = Entropy::new(u64::from(seed), name);
        let mut ring = PreKeyRing::new(&mut rng, backend, suite, policy).expect("a policy");
        ring.tend(utc(0), &mut rng).expect("numbers");
        let key = StaticKey::from_bytes(&[seed; 32], backend).expect("a key");
        Self {
            id: id(name),
            seed,
            sealer: Sealer::new(id(name), key),
            signing: SigningKey::from_bytes([seed ^ 0xff; 32]),
            opener: Opener::new(id(name), ring),
            contacts: Contacts::new(),
            rng,
        }
    }

    pub fn static_key(&self) -> StaticKey {
        StaticKey::from_bytes(&[self.seed; 32], Backend::default()).expect("a key")
    }

    /// Its record, issued by the authority and verified.
    pub fn record(&self) -> EntityRecord {
        let record = EntityRecord::pinned(self.id.clone(), self.static_key().public_key(), valid())
            .with_signing_key(self.signing.verifying_key());
        let bytes = record.issue(&authority()).expect("complete");
        EntityRecord::verify(&bytes, &authority().verifying_key(), utc(0)).expect("genuine")
    }

    pub fn pre_key(&self) -> PreKey {
        self.opener
            .ring()
            .signed(&self.id, &self.signing)
            .expect("one is there")
    }

    /// Whom a sender seals for, after it has verified what was published.
    pub fn recipient(&self, now: UtcTime) -> Recipient {
        let published = self.pre_key().encode();
        let pre_key = PreKey::decode(&published).expect("well-formed");
        pre_key.verify(&self.record(), now).expect("genuine")
    }

    /// Knows `other` by its record.
    pub fn knows(&mut self, other: &Self) {
        self.contacts
            .insert_record(other.record())
            .expect("one owner");
    }

    /// Shares `key` with `other`.
    pub fn shares(&mut self, key: &Arc<ApplicationKey>, other: &Self) {
        self.contacts
            .insert_key(key.clone(), other.record())
            .expect("a new id");
    }

    pub fn seal(
        &mut self,
        now: UtcTime,
        recipient: &Recipient,
        key: Option<&ApplicationKey>,
        content: &[u8],
    ) -> Vec<u8> {
        let delivery = Delivery {
            recipient,
            key,
            target: &target(),
            expires: utc(7 * DAY),
        };
        self.sealer
            .seal(now, &mut self.rng, &delivery, content)
            .expect("valid")
    }

    pub fn open(&mut self, now: UtcTime, object: &[u8]) -> Result<Opened, Error> {
        self.opener
            .open(Some(now), &self.contacts, &target(), object)
    }

    /// What it gets to read, or why it refuses.
    pub fn reads(&mut self, now: UtcTime, object: &[u8]) -> Result<Vec<u8>, Error> {
        self.open(now, object).map(|opened| opened.content.to_vec())
    }
}

/// A sensor and a display that know each other by their records.
pub fn pair() -> (Party, Party) {
    pair_with(Backend::default(), Suite::ChaChaPoly)
}

pub fn pair_with(backend: Backend, suite: Suite) -> (Party, Party) {
    let mut sensor = Party::with(SENSOR, 1, backend, suite);
    let mut display = Party::with(METER, 2, backend, suite);
    sensor.knows(&display);
    display.knows(&sensor);
    (sensor, display)
}

/// The same with an application key, and no records to fall back on.
pub fn keyed_pair() -> (Party, Party, Arc<ApplicationKey>) {
    let key = application_key(SENSOR, METER);
    let mut sensor = Party::new(SENSOR, 1);
    let mut display = Party::new(METER, 2);
    sensor.shares(&key, &display);
    display.shares(&key, &sensor);
    (sensor, display, key)
}
