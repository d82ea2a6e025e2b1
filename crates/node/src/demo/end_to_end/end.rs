//! An end point: an AE that seals what it sends through the nodes, and opens what it gets.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use base64::prelude::{BASE64_STANDARD, Engine};
use refpoint_association::{
    Backend, Credential, CredentialId, Credentials, Local, Now, StaticKey, Suite,
};
use refpoint_e2e::{
    Arrival, Contacts, Delivery, EntityRecord, Error, Inner, InnerForm, MEDIA_TYPE, Opener, PreKey,
    PreKeyPolicy, PreKeyRing, Recipient, Sealed, Sealer, SessionId, Sessions, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, Profile, UtcTime, Validity};
use refpoint_primitive::{Content, MediaType, RequestId};
use serde_json::{Value, json};

use crate::demo::Ae;
use crate::{entropy, utc};

/// How long what is sealed may be on its way, unless it is to be held back.
pub(super) const LIFE: Duration = Duration::from_secs(3600);

/// The keys of an end point, which nobody else has.
pub(super) struct Keys {
    pub(super) entity: EntityId,
    pub(super) sealing: StaticKey,
    signing: SigningKey,
    /// What others know of it: out of band, in the demo.
    pub(super) record: EntityRecord,
}

impl Keys {
    pub(super) fn make(entity: &str) -> anyhow::Result<Self> {
        let entity = EntityId::parse(entity)?;
        let rng = &mut entropy::system();
        let (sealing, _) = StaticKey::generate(rng, Backend::AwsLc)?;
        let (signing, _) = SigningKey::generate(rng);
        let valid = Validity::until(after(24 * LIFE));
        let record = EntityRecord::pinned(entity.clone(), sealing.public_key(), valid)
            .with_signing_key(signing.verifying_key());
        Ok(Self {
            entity,
            sealing,
            signing,
            record,
        })
    }
}

/// An end point that runs.
pub(super) struct End {
    pub(super) keys: Keys,
    opener: Opener,
    contacts: Contacts,
    sessions: Sessions,
    begun: Instant,
}

impl End {
    /// The end point with `keys`, which shares `application_key` with `other`.
    pub(super) fn new(
        keys: Keys,
        application_key: &ApplicationKey,
        other: &EntityRecord,
    ) -> anyhow::Result<(Self, CredentialId)> {
        let rng = &mut entropy::system();
        let policy = PreKeyPolicy::default();
        let mut ring = PreKeyRing::new(rng, Backend::AwsLc, Suite::ChaChaPoly, policy)?;
        ring.tend(utc::now(), rng)?;
        let mut contacts = Contacts::new();
        contacts.insert_record(other.clone())?;
        let key = Arc::new(application_key.connection_key());
        let mut credentials = Credentials::new();
        let peer = Credential::new(&keys.entity, key, &[Profile::Psk])?;
        let peer = credentials.insert(peer)?;
        let local = Local::new(keys.entity.clone());
        let this = Self {
            opener: Opener::new(keys.entity.clone(), ring),
            contacts,
            sessions: Sessions::new(local, Backend::AwsLc, credentials),
            begun: Instant::now(),
            keys,
        };
        Ok((this, peer))
    }

    /// Its present pre-key, signed, to be published.
    pub(super) fn pre_key(&self) -> Result<PreKey, Error> {
        self.signed_as(&self.keys)
    }

    /// Its present pre-key, signed by somebody who says that it is theirs.
    pub(super) fn signed_as(&self, keys: &Keys) -> Result<PreKey, Error> {
        self.opener.ring().signed(&keys.entity, &keys.signing)
    }

    /// Everything that it keeps while it is off.
    pub(super) fn turn_off(&self) -> Vec<u8> {
        self.opener.ring().to_bytes(0).to_vec()
    }

    /// It is on again, with what it has kept.
    pub(super) fn turn_on(&mut self, kept: &[u8]) -> anyhow::Result<()> {
        let (rng, policy) = (&mut entropy::system(), PreKeyPolicy::default());
        let ring = PreKeyRing::new(rng, Backend::AwsLc, Suite::ChaChaPoly, policy)?;
        self.opener = Opener::new(self.keys.entity.clone(), ring.restore(kept, 0)?);
        Ok(())
    }

    /// Opens what came for `target`: the content.
    pub(super) fn open(&mut self, target: &Target, sealed: &[u8]) -> Result<String, Error> {
        let Sealed::Object(object) = Sealed::decode(sealed)? else {
            return Err(Error::Malformed("object"));
        };
        let now = Some(utc::now());
        let opened = self.opener.open(now, &self.contacts, target, &object)?;
        Ok(String::from_utf8_lossy(&opened.content).into_owned())
    }

    /// Begins a session: what to post.
    pub(super) fn initiate(
        &mut self,
        peer: CredentialId,
        target: &Target,
    ) -> Result<(SessionId, Vec<u8>), Error> {
        let (now, rng) = (self.now(), &mut entropy::system());
        let (session, packet) = self.sessions.initiate(now, rng, peer, target)?;
        Ok((session, Sealed::Packet(packet).encode()))
    }

    /// The session in which something can be sent.
    pub(super) fn session(&self, with: &EntityId, target: &Target) -> anyhow::Result<SessionId> {
        let session = self.sessions.with(with, target);
        session.context("there is no session")
    }

    /// The next letter of a session.
    pub(super) fn letter(
        &mut self,
        session: SessionId,
        target: &Target,
        number: u32,
        text: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let content = json!({ "number": number, "text": text }).to_string();
        let inner = Inner {
            target: target.clone(),
            request_id: RequestId::new(&format!("letter-{number}"))?,
            expires: after(LIFE),
            form: InnerForm::Content(Content::new(MediaType::Json, content)?),
        };
        let packet = self.sessions.send(self.now(), session, inner)?;
        Ok(Sealed::Packet(packet).encode())
    }

    /// Takes a packet of a session.
    pub(super) fn receive(&mut self, target: &Target, sealed: &[u8]) -> Result<Arrival, Error> {
        let Sealed::Packet(packet) = Sealed::decode(sealed)? else {
            return Err(Error::Malformed("packet"));
        };
        let (now, rng) = (self.now(), &mut entropy::system());
        self.sessions.receive(now, rng, target, &packet)
    }

    fn now(&self) -> Now {
        Now::new(self.begun.elapsed(), utc::now())
    }
}

/// Seals `text` with `keys`, as `sender`, which is expected to be theirs.
pub(super) fn seal(
    keys: &Keys,
    sender: &EntityId,
    recipient: &Recipient,
    target: &Target,
    expires: UtcTime,
    text: &str,
) -> Result<Vec<u8>, Error> {
    let delivery = Delivery {
        recipient,
        key: None,
        target,
        expires,
    };
    let (now, rng) = (utc::now(), &mut entropy::system());
    let sealer = Sealer::new(sender.clone(), keys.sealing.clone());
    let object = sealer.seal(now, rng, &delivery, text.as_bytes())?;
    Ok(Sealed::Object(object).encode())
}

/// The number and text of a letter.
pub(super) fn read_letter(arrival: &Arrival) -> Option<(u64, String)> {
    let InnerForm::Content(content) = &arrival.inner.as_ref()?.form else {
        return None;
    };
    let content: Value = serde_json::from_slice(content.data()).ok()?;
    let text = content["text"].as_str()?.to_owned();
    Some((content["number"].as_u64()?, text))
}

/// Puts something sealed into a container.
pub(super) async fn put(ae: &Ae, container: &str, name: &str, sealed: &[u8]) -> anyhow::Result<()> {
    put_as(ae, MEDIA_TYPE, container, name, sealed).await
}

/// Puts a pre-key there.
pub(super) async fn put_key(
    ae: &Ae,
    container: &str,
    name: &str,
    key: &PreKey,
) -> anyhow::Result<()> {
    put_as(
        ae,
        "application/octet-stream",
        container,
        name,
        &key.encode(),
    )
    .await
}

async fn put_as(
    ae: &Ae,
    media_type: &str,
    container: &str,
    name: &str,
    bytes: &[u8],
) -> anyhow::Result<()> {
    let instance = json!({ "m2m:cin": {
        "rn": name, "cnf": format!("{media_type}:2"), "con": BASE64_STANDARD.encode(bytes),
    }});
    let answer = ae.create(container, 4, &instance).await?;
    anyhow::ensure!(
        answer.code == 2001,
        "{container}/{name} was answered {}",
        answer.code
    );
    Ok(())
}

/// Gets it.
pub(super) async fn get(ae: &Ae, path: &str) -> anyhow::Result<Vec<u8>> {
    let answer = ae.retrieve(path).await?;
    let content = answer.content["m2m:cin"]["con"].as_str();
    let content = content.with_context(|| format!("{path} was answered {}", answer.code))?;
    Ok(BASE64_STANDARD.decode(content)?)
}

pub(super) fn after(time: Duration) -> UtcTime {
    UtcTime::from_secs(utc::now().as_secs() + time.as_secs())
}
