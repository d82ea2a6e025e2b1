//! Two entities of refpoint, their keys and their associations.

use std::sync::Arc;

use anyhow::Context as _;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, PublicKey, SessionLabel, StaticKey,
    StreamInitiator, StreamResponder, StreamSession, Suite,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

/// Some day, which never changes: the cores read no clock.
pub(crate) fn now() -> Now {
    Now::new(
        core::time::Duration::from_secs(1000),
        UtcTime::from_secs(1_800_000_000),
    )
}

/// The system's generator, as an application would use it.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
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

/// A device and its gateway.
pub(crate) struct Pair {
    pub(crate) device: End,
    pub(crate) gateway: End,
}

impl Pair {
    pub(crate) fn new(profile: Profile, suite: Suite) -> anyhow::Result<Self> {
        let device = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
        let gateway = EntityId::parse("//sp.example.com/id-mn")?;
        let key = ConnectionKey::from_bytes(
            [7; 32],
            KeyId::new(b"k001")?,
            ReferencePoint::X,
            &device,
            &gateway,
            Validity::until(UtcTime::from_secs(1_900_000_000)),
        )?;
        let key = Arc::new(key);
        let (a, _) = StaticKey::generate(&mut rng(), Backend::AwsLc)?;
        let (b, _) = StaticKey::generate(&mut rng(), Backend::AwsLc)?;
        let (of_a, of_b) = (a.public_key(), b.public_key());
        Ok(Self {
            device: End::new(&device, a, &key, of_b, (profile, suite))?,
            gateway: End::new(&gateway, b, &key, of_a, (profile, suite))?,
        })
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
