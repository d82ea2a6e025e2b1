//! Two entities of refpoint, their keys and their associations.

use core::time::Duration;
use std::sync::Arc;

use anyhow::Context as _;
use getrandom::SysRng;
use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng as _, UnwrapErr};
use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, Policy, PublicKey, SessionLabel,
    StaticKey, StreamInitiator, StreamResponder, StreamSession, Suite,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

/// Some day, which stays: the cores read no clock.
pub(crate) fn now() -> Now {
    after(Duration::ZERO)
}

/// So long after [`now`].
pub(crate) fn after(elapsed: Duration) -> Now {
    Now::new(
        Duration::from_secs(1000) + elapsed,
        UtcTime::from_secs(1_800_000_000 + elapsed.as_secs()),
    )
}

/// The system's generator, as an application would use it.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// A generator in this process, seeded by the system's, which takes a system call for each draw.
pub(crate) fn seeded() -> ChaCha20Rng {
    ChaCha20Rng::from_rng(&mut rng())
}

/// One end: its entity and what it knows of the other.
pub(crate) struct End {
    pub(crate) local: Local,
    pub(crate) credentials: Credentials,
    pub(crate) peer: CredentialId,
}

impl End {
    fn new(
        entity: &EntityId,
        own: StaticKey,
        key: &Arc<ConnectionKey>,
        peer: PublicKey,
        (profile, suite): (Profile, Suite),
    ) -> anyhow::Result<Self> {
        let credential = Credential::new(entity, key.clone(), &[profile])?
            .with_public_key(peer)
            .with_suites(&[suite])?;
        let mut credentials = Credentials::new();
        let peer = credentials.insert(credential)?;
        Ok(Self {
            local: Local::new(entity.clone()).with_static_key(own),
            credentials,
            peer,
        })
    }

    fn credential(&self) -> anyhow::Result<(CredentialId, Arc<Credential>)> {
        let credential = self.credentials.find(self.peer).context("inserted")?;
        Ok((self.peer, credential.clone()))
    }
}

/// Two entities that share a key: one initiates, the other responds.
pub(crate) struct Pair {
    pub(crate) device: End,
    pub(crate) gateway: End,
}

impl Pair {
    /// A device and its gateway.
    pub(crate) fn new(profile: Profile, suite: Suite) -> anyhow::Result<Self> {
        let device = "//sp.example.com/id-mn/CSensor1";
        let ends = (device, "//sp.example.com/id-mn");
        Self::between(ends, ReferencePoint::X, profile, suite, *b"k001")
    }

    /// A gateway and its core.
    pub(crate) fn of_servers(suite: Suite) -> anyhow::Result<Self> {
        let ends = ("//sp.example.com/id-mn", "//sp.example.com/id-in");
        Self::between(ends, ReferencePoint::Y, Profile::Psk, suite, *b"k001")
    }

    pub(crate) fn between(
        (device, gateway): (&str, &str),
        point: ReferencePoint,
        profile: Profile,
        suite: Suite,
        key_id: [u8; 4],
    ) -> anyhow::Result<Self> {
        let (device, gateway) = (EntityId::parse(device)?, EntityId::parse(gateway)?);
        let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
        let key_id = KeyId::new(&key_id)?;
        let key = ConnectionKey::from_bytes([7; 32], key_id, point, &device, &gateway, validity)?;
        let key = Arc::new(key);
        let (a, _) = StaticKey::generate(&mut rng(), Backend::AwsLc)?;
        // Of every gateway, so that all devices of one know it.
        let b = StaticKey::from_bytes(&[9; 32], Backend::AwsLc)?;
        let (of_a, of_b) = (a.public_key(), b.public_key());
        Ok(Self {
            device: End::new(&device, a, &key, of_b, (profile, suite))?,
            gateway: End::new(&gateway, b, &key, of_a, (profile, suite))?,
        })
    }

    /// Both with this policy.
    pub(crate) fn with_policy(mut self, policy: &Policy) -> anyhow::Result<Self> {
        for end in [&mut self.device, &mut self.gateway] {
            let credential = end.credentials.find(end.peer).context("inserted")?;
            let credential = (**credential).clone().with_policy(policy.clone());
            end.credentials = Credentials::new();
            end.peer = end.credentials.insert(credential)?;
        }
        Ok(self)
    }

    /// Message 1, appended to `out`.
    pub(crate) fn initiate(&self, out: &mut Vec<u8>) -> anyhow::Result<StreamInitiator> {
        Ok(StreamInitiator::new(
            now(),
            &mut rng(),
            &self.device.local,
            Backend::AwsLc,
            self.device.credential()?,
            SessionLabel::default(),
            out,
        )?)
    }

    /// Message 2, appended to `out`, to message 1 as it came from the stream.
    pub(crate) fn respond(&self, frame: &[u8], out: &mut Vec<u8>) -> anyhow::Result<StreamSession> {
        Ok(StreamResponder::receive(
            now(),
            &mut rng(),
            &self.gateway.local,
            Backend::AwsLc,
            &self.gateway.credentials,
            &frame[2..],
            out,
        )?)
    }

    /// Both ends of a confirmed association.
    pub(crate) fn associate(&self) -> anyhow::Result<(StreamSession, StreamSession)> {
        let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
        let initiator = self.initiate(&mut forth)?;
        let mut gateway = self.respond(&forth, &mut back)?;
        let mut device = initiator.receive(now(), &back[2..], &mut confirm)?;
        let mut answer = Vec::new();
        gateway.receive(now(), &mut confirm, &mut answer)?;
        device.receive(now(), &mut answer, &mut Vec::new())?;
        Ok((device, gateway))
    }
}
