//! Two parties, their keys and a stream pair, for the integration tests.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use core::time::Duration;
use std::sync::Arc;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Error, Local, Now, Opened, Policy,
    SessionLabel, StaticKey, StreamInitiator, StreamResponder, StreamSession, Suite,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

pub const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];
pub const SUITES: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];
pub const INITIATOR: &str = "//sp.example.com/id-mn/CSensor1";
pub const RESPONDER: &str = "//sp.example.com/id-mn";
pub const STRANGER: &str = "//sp.example.com/id-mn/CStranger";

/// So many seconds after the start of the test, which is noon of some day.
pub fn now(seconds: u64) -> Now {
    at(Duration::from_secs(seconds))
}

pub fn at(monotonic: Duration) -> Now {
    Now::new(
        monotonic,
        UtcTime::from_secs(1_800_000_000 + monotonic.as_secs()),
    )
}

/// HMAC-SHA-256, as an attacker computes it.
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

/// What a pair of entities share, and how their keys are made.
#[derive(Clone)]
pub struct Setting {
    pub backend: Backend,
    pub profile: Profile,
    pub suite: Suite,
    pub policy: Policy,
    pub point: ReferencePoint,
    pub key: [u8; 32],
    pub initiator: &'static str,
    pub responder: &'static str,
    pub static_keys: ([u8; 32], [u8; 32]),
    pub key_id: &'static [u8],
    pub expires: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            profile: Profile::Psk,
            suite: Suite::ChaChaPoly,
            policy: Policy::default(),
            point: ReferencePoint::X,
            key: [7; 32],
            initiator: INITIATOR,
            responder: RESPONDER,
            static_keys: ([1; 32], [2; 32]),
            key_id: b"k001",
            expires: 1_900_000_000,
        }
    }
}

impl Setting {
    pub fn connection_key(&self) -> Arc<ConnectionKey> {
        let validity = Validity::until(UtcTime::from_secs(self.expires));
        let key_id = KeyId::new(self.key_id).expect("a valid key id");
        let (a, b) = (id(self.initiator), id(self.responder));
        let key = ConnectionKey::from_bytes(self.key, key_id, self.point, &a, &b, validity);
        Arc::new(key.expect("two different entities"))
    }

    pub fn statics(&self) -> (StaticKey, StaticKey) {
        let key = |bytes| StaticKey::from_bytes(bytes, self.backend).expect("a valid key");
        (key(&self.static_keys.0), key(&self.static_keys.1))
    }

    pub fn initiator(&self) -> (Local, Credential) {
        let (own, peer) = self.statics();
        let local = Local::new(id(self.initiator)).with_static_key(own);
        (local, self.credential(self.initiator, peer.public_key()))
    }

    pub fn responder(&self) -> (Local, Credential) {
        let (peer, own) = self.statics();
        let local = Local::new(id(self.responder)).with_static_key(own);
        (local, self.credential(self.responder, peer.public_key()))
    }

    fn credential(&self, local: &str, peer: refpoint_association::PublicKey) -> Credential {
        Credential::new(&id(local), self.connection_key(), &[self.profile])
            .expect("one of the two")
            .with_public_key(peer)
            .with_policy(self.policy.clone())
            .with_suites(&[self.suite])
            .expect("one suite")
    }
}

pub fn table(credential: Credential) -> (Credentials, CredentialId) {
    let mut table = Credentials::new();
    let id = table.insert(credential).expect("the first one");
    (table, id)
}

/// The frames of which these bytes are made.
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(prefix) = bytes.first_chunk::<2>() {
        let (frame, rest) = bytes.split_at(2 + usize::from(u16::from_be_bytes(*prefix)));
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// Two ends of a stream association, confirmed.
pub struct StreamPair {
    pub initiator: StreamSession,
    pub responder: StreamSession,
    now: Now,
}

/// A stream handshake up to the initiator's first record.
pub fn handshake(
    a: &Setting,
    b: &Setting,
) -> Result<(StreamSession, StreamSession, Vec<u8>), Error> {
    let (local, credential) = a.initiator();
    let (credentials, credential_id) = table(credential.clone());
    let entry = credentials.find(credential_id).expect("inserted").clone();
    let mut forth = Vec::new();
    let label = SessionLabel::default();
    let initiator = StreamInitiator::new(
        now(0),
        &mut rng(1),
        &local,
        a.backend,
        (credential_id, entry),
        label,
        &mut forth,
    )?;
    let (local, credential) = b.responder();
    let mut back = Vec::new();
    let responder = StreamResponder::receive(
        now(0),
        &mut rng(2),
        &local,
        b.backend,
        &table(credential).0,
        &forth[2..],
        &mut back,
    )?;
    let mut confirm = Vec::new();
    let initiator = initiator.receive(now(0), &back[2..], &mut confirm)?;
    Ok((initiator, responder, confirm))
}

/// A responder and the record that confirms it.
pub fn unconfirmed_responder() -> (StreamSession, Vec<u8>) {
    let setting = Setting::default();
    let (_, responder, confirm) = handshake(&setting, &setting).expect("completes");
    (responder, confirm)
}

/// Handshakes in which one thing differs between the ends, and how they failed.
pub fn mismatched_handshakes() -> Vec<(&'static str, Error)> {
    let mut failures = Vec::new();
    for profile in [Profile::Psk, Profile::Pinned] {
        let base = Setting {
            profile,
            ..Setting::default()
        };
        let cases = [
            (
                "key",
                Setting {
                    key: [8; 32],
                    ..base.clone()
                },
            ),
            (
                "initiator",
                Setting {
                    initiator: STRANGER,
                    ..base.clone()
                },
            ),
            (
                "responder",
                Setting {
                    responder: "//sp.example.com/id-in",
                    ..base.clone()
                },
            ),
            (
                "point",
                Setting {
                    point: ReferencePoint::Y,
                    ..base.clone()
                },
            ),
            (
                "suite",
                Setting {
                    suite: Suite::AesGcm,
                    ..base.clone()
                },
            ),
            (
                "profile",
                Setting {
                    profile: Profile::Known,
                    ..base.clone()
                },
            ),
            (
                "key id",
                Setting {
                    key_id: b"k002",
                    ..base.clone()
                },
            ),
            (
                "expired",
                Setting {
                    expires: 1_700_000_000,
                    ..base.clone()
                },
            ),
        ];
        for (what, other) in cases {
            let failed = handshake(&base, &other).err();
            failures.push((
                what,
                failed.unwrap_or_else(|| panic!("{what}: it completed")),
            ));
        }
    }
    failures
}

impl Default for StreamPair {
    fn default() -> Self {
        Self::with_policy(Policy::default())
    }
}

impl StreamPair {
    pub fn with_policy(policy: Policy) -> Self {
        Self::new(Backend::default(), Profile::Psk, Suite::ChaChaPoly, policy)
    }

    pub fn new(backend: Backend, profile: Profile, suite: Suite, policy: Policy) -> Self {
        let setting = Setting {
            backend,
            profile,
            suite,
            policy,
            ..Setting::default()
        };
        let (mut initiator, mut responder, mut confirm) =
            handshake(&setting, &setting).expect("completes");
        let mut answer = Vec::new();
        responder
            .receive(now(0), &mut confirm, &mut answer)
            .expect("confirms");
        initiator
            .receive(now(0), &mut answer, &mut Vec::new())
            .expect("opens");
        Self {
            initiator,
            responder,
            now: now(0),
        }
    }

    /// Moves the clock.
    pub fn at(&mut self, seconds: u64) {
        self.now = now(seconds);
    }

    pub fn deliver_to_responder(&mut self, data: &[u8]) {
        deliver(self.now, &mut self.initiator, &mut self.responder, data);
    }

    pub fn deliver_to_initiator(&mut self, data: &[u8]) {
        deliver(self.now, &mut self.responder, &mut self.initiator, data);
    }
}

fn deliver(now: Now, from: &mut StreamSession, to: &mut StreamSession, data: &[u8]) {
    let mut frame = Vec::new();
    from.send(now, data, &mut frame).expect("may send");
    let opened = to.receive(now, &mut frame, &mut Vec::new()).expect("opens");
    assert_eq!(opened, Opened::Data(data));
}
