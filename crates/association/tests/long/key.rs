use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{
    Backend, Credential, Local, Modes, Policy, PublicKey, StaticKey, Suite,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_sim::Entropy;

use super::clock::EPOCH;

/// One of the two ends of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Device,
    Gateway,
}

/// What stays the same between a device and its gateway.
#[derive(Debug)]
pub struct Pair {
    pub number: u32,
    pub device: EntityId,
    pub gateway: EntityId,
    pub point: ReferencePoint,
    profile: Profile,
    suite: Suite,
    pub epoch_bits: [u8; 2],
    ratchets: [Option<Duration>; 2],
    modes: [Modes; 2],
    statics: [StaticKey; 2],
}

/// A connection key.
#[derive(Debug)]
pub struct Key {
    bytes: [u8; 32],
    pub expires: Duration,
    pub generation: u32,
}

pub const GATEWAY: &str = "//sp.example.com/id-gw";

/// Lifetimes that a policy may give; powers of two are what the wire can say exactly.
const LIFETIMES: [u64; 4] = [1 << 15, 1 << 16, 1 << 16, 1 << 17];

pub fn lifetime(rng: &mut Entropy) -> Duration {
    Duration::from_secs(LIFETIMES[rng.below(4) as usize])
}

impl Pair {
    pub fn new(number: u32, rng: &mut Entropy) -> Self {
        // One in eight is a node by its own, and either end may initiate; of these some have an id
        // above the gateway's.
        let (name, point) = match number % 16 {
            0 => (format!("//sp.example.com/id-aa{number}"), ReferencePoint::Y),
            8 => (format!("//sp.example.com/id-zz{number}"), ReferencePoint::Y),
            _ => (format!("{GATEWAY}/C{number}"), ReferencePoint::X),
        };
        let profile = match rng.below(20) {
            0 => Profile::Pinned,
            1 => Profile::Known,
            _ => Profile::Psk,
        };
        let secret = |last: u32| {
            let mut bytes = [9; 32];
            bytes[1..5].copy_from_slice(&last.to_be_bytes());
            StaticKey::from_bytes(&bytes, Backend::default()).expect("a valid key")
        };
        let ratchet = |rng: &mut Entropy| {
            let spans = [Some(2), Some(5), Some(120), Some(120), Some(3600), None];
            spans[rng.below(6) as usize].map(Duration::from_secs)
        };
        let modes = |rng: &mut Entropy| match rng.below(10) {
            0 => Modes::NONE,
            1..=3 => Modes::FRESH,
            _ => Modes::BOTH,
        };
        let bits = |rng: &mut Entropy| 16 + rng.below(5) as u8;
        Self {
            number,
            device: EntityId::parse(&name).expect("a valid id"),
            gateway: EntityId::parse(GATEWAY).expect("a valid id"),
            point,
            profile,
            suite: [Suite::ChaChaPoly, Suite::AesGcm][rng.below(2) as usize],
            epoch_bits: [bits(rng), bits(rng)],
            ratchets: [ratchet(rng), ratchet(rng)],
            modes: [modes(rng), modes(rng)],
            statics: [secret(number + 1), secret(0)],
        }
    }

    pub fn local(&self, end: End) -> Local {
        let (entity, key) = match end {
            End::Device => (&self.device, &self.statics[0]),
            End::Gateway => (&self.gateway, &self.statics[1]),
        };
        Local::new(entity.clone()).with_static_key(key.clone())
    }

    /// The credential of one end for this key, the number of which is part of its id.
    pub fn credential(
        &self,
        end: End,
        (version, key): (usize, &Key),
        lifetime: Duration,
    ) -> Credential {
        let validity = Validity::until(UtcTime::from_secs(EPOCH + key.expires.as_secs()));
        let mut id = self.number.to_be_bytes().to_vec();
        id.push(version as u8);
        let id = KeyId::new(&id).expect("five bytes");
        let (device, gateway) = (&self.device, &self.gateway);
        let connection =
            ConnectionKey::from_bytes(key.bytes, id, self.point, device, gateway, validity);
        let connection = Arc::new(connection.expect("two different entities"));
        let (local, peer, at): (_, PublicKey, _) = match end {
            End::Device => (device, self.statics[1].public_key(), 0),
            End::Gateway => (gateway, self.statics[0].public_key(), 1),
        };
        let policy = Policy::default()
            .with_lifetime(lifetime)
            .and_then(|policy| policy.with_epoch_bits(self.epoch_bits[at]))
            .and_then(|policy| policy.with_ratchet(self.ratchets[at]))
            .expect("valid")
            .with_resumption(self.modes[at], Duration::from_secs(3 * 24 * 3600));
        let both = self.point == ReferencePoint::Y;
        Credential::new(local, connection, &[self.profile])
            .expect("one of the two")
            .with_public_key(peer)
            .with_policy(policy)
            .with_suites(&[self.suite])
            .expect("one suite")
            .with_initiators(both || end == End::Device, both || end == End::Gateway)
            .with_generation(key.generation)
    }
}

/// Device and number of the key that a key id names.
pub fn named(id: KeyId) -> (u32, usize) {
    let bytes: [u8; 5] = id.as_bytes().try_into().expect("five bytes");
    let [a, b, c, d, version] = bytes;
    (u32::from_be_bytes([a, b, c, d]), version.into())
}

impl Key {
    pub fn new(expires: Duration, rng: &mut Entropy) -> Self {
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            *byte = rng.below(256) as u8;
        }
        Self {
            bytes,
            expires,
            generation: 0,
        }
    }
}
