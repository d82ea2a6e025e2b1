//! The two ends that the targets attack.

use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, PublicKey, StaticKey, Suite,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

/// What runs everywhere, so that a crash repeats everywhere.
pub(super) const BACKEND: Backend = Backend::RustCrypto;

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];
const SUITES: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];
/// How many pairs of profile and suite there are.
pub(super) const CHOICES: usize = PROFILES.len() * SUITES.len();

const START: u64 = 1_800_000_000;

/// An end: who it is, and the one credential it holds.
pub(super) struct Party {
    pub(super) local: Local,
    pub(super) credentials: Credentials,
    pub(super) credential: (CredentialId, Arc<Credential>),
}

/// The initiator and the responder of the profile and suite that `choice` stands for.
pub(super) fn parties(choice: u8) -> (Party, Party) {
    let profile = PROFILES[usize::from(choice % 3)];
    let suite = SUITES[usize::from(choice / 3 % 2)];
    let ids = ["//sp.example.com/id-mn/CSensor1", "//sp.example.com/id-mn"];
    let [device, gateway] = ids.map(|id| EntityId::parse(id).expect("a valid id"));
    let [of_device, of_gateway] = [[1; 32], [2; 32]]
        .map(|bytes| StaticKey::from_bytes(&bytes, BACKEND).expect("a valid static key"));
    let public = [of_device.public_key(), of_gateway.public_key()];
    let validity = Validity::until(UtcTime::from_secs(START + 1_000_000));
    let key_id = KeyId::new(b"k001").expect("a valid key id");
    let key = ConnectionKey::from_bytes(
        [7; 32],
        key_id,
        ReferencePoint::X,
        &device,
        &gateway,
        validity,
    );
    let key = Arc::new(key.expect("two entities"));
    let party = |id: &EntityId, own: StaticKey, peer: PublicKey| {
        let credential = Credential::new(id, key.clone(), &[profile])
            .expect("one of the key's entities")
            .with_public_key(peer)
            .with_suites(&[suite])
            .expect("one suite");
        let mut credentials = Credentials::new();
        let number = credentials.insert(credential).expect("the only credential");
        let credential = credentials.find(number).expect("it was inserted").clone();
        Party {
            local: Local::new(id.clone()).with_static_key(own),
            credentials,
            credential: (number, credential),
        }
    };
    let [device_public, gateway_public] = public;
    (
        party(&device, of_device, gateway_public),
        party(&gateway, of_gateway, device_public),
    )
}

/// So many seconds after the start.
pub(super) fn now(seconds: u64) -> Now {
    now_at(seconds * 1_000)
}

/// So many milliseconds after the start.
pub(super) fn now_at(millis: u64) -> Now {
    let utc = UtcTime::from_secs(START + millis / 1_000);
    Now::new(Duration::from_millis(millis), utc)
}
