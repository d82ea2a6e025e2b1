//! The keys of a configuration's end points, loaded and checked against it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refpoint_association::{Backend, PublicKey, StaticKey, Suite};
use refpoint_e2e::{
    Contacts, EntityRecord, Opener, PreKey, PreKeyRing, Recipient, Sealer, SigningKey, VerifyingKey,
};
use refpoint_keys::{ApplicationKey, EntityId, UtcTime};

use crate::config::{Config, Contact, EndToEnd, KnownBy};
use crate::key_file::KeyFile;
use crate::{entropy, utc};

/// What objects and pre-keys are made with.
const SUITE: Suite = Suite::ChaChaPoly;

/// Who this end point is and whom it knows.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) signing: Option<SigningKey>,
    pub(super) known: Vec<Known>,
    pub(super) contacts: Contacts,
}

/// Another end point.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) contact: Contact,
    record: EntityRecord,
    pub(super) key: Option<Arc<ApplicationKey>>,
}

impl Known {
    /// Whom to seal for, if `pre_key` is this end point's.
    pub(super) fn recipient(
        &self,
        pre_key: &PreKey,
        now: UtcTime,
    ) -> Result<Recipient, refpoint_e2e::Error> {
        use refpoint_e2e::Error;
        match (pre_key.verify(&self.record, now), &self.key) {
            (Err(Error::Authentication), Some(key)) => pre_key.verify_voucher(key, now),
            (outcome, _) => outcome,
        }
    }
}

impl Keys {
    pub(super) fn load(
        config: &Config,
        settings: &EndToEnd,
        backend: Backend,
    ) -> anyhow::Result<Self> {
        let (entity, now) = (&config.entity, utc::now());
        let path = config.static_key.as_ref();
        let path = path.context("end to end needs static_key in [node]")?;
        let sealing = match KeyFile::load(path)? {
            KeyFile::Static { entity: owner, key } if owner == *entity => {
                StaticKey::from_bytes(key.expose_bytes(), backend)?
            }
            _ => bail!("{}: not the static key of {entity}", path.display()),
        };
        let signing = settings.signing_key.as_deref();
        let signing = signing.map(|path| signing_key(path, entity)).transpose()?;
        let authority = settings.authority.as_deref().map(verifying_key);
        let authority = authority.transpose()?;
        let known = settings.contacts.iter();
        let known = known.map(|contact| known_as(contact, entity, authority.as_ref(), now));
        let known: Vec<_> = known.collect::<anyhow::Result<_>>()?;
        let mut contacts = Contacts::new();
        for known in &known {
            let added = match &known.key {
                Some(key) => contacts.insert_key(Arc::clone(key), known.record.clone()),
                None => contacts.insert_record(known.record.clone()),
            };
            added.with_context(|| format!("contact {}", known.contact.entity))?;
        }
        let ring = PreKeyRing::new(&mut entropy::system(), backend, SUITE, settings.pre_keys)?;
        Ok(Self {
            sealer: Sealer::new(entity.clone(), sealing).with_padding(settings.padding),
            opener: Opener::new(entity.clone(), ring),
            signing,
            known,
            contacts,
        })
    }
}

fn known_as(
    contact: &Contact,
    local: &EntityId,
    authority: Option<&VerifyingKey>,
    now: UtcTime,
) -> anyhow::Result<Known> {
    let entity = &contact.entity;
    let key = contact.application_key.as_deref();
    let key = key.map(|path| application_key(path, local, entity));
    let key = key.transpose()?.map(Arc::new);
    let record = match (&contact.known_by, authority, &key) {
        (KnownBy::Record(path), Some(authority), _) => match KeyFile::load(path)? {
            KeyFile::Record {
                entity: owner,
                record,
            } if owner == *entity => {
                let record = EntityRecord::verify(&record, authority, now)
                    .with_context(|| path.display().to_string())?;
                if record.id() != entity {
                    bail!("{}: not the record of {entity}", path.display());
                }
                record
            }
            _ => bail!("{}: not the record of {entity}", path.display()),
        },
        (KnownBy::PublicKey(path), _, Some(key)) => match KeyFile::load(path)? {
            KeyFile::Public {
                entity: owner,
                key: public,
            } if owner == *entity => {
                EntityRecord::pinned(owner, PublicKey::new(public), key.validity())
            }
            _ => bail!("{}: not the public key of {entity}", path.display()),
        },
        _ => bail!("contact {entity}: nothing vouches for its keys"),
    };
    Ok(Known {
        contact: contact.clone(),
        record,
        key,
    })
}

fn application_key(
    path: &Path,
    local: &EntityId,
    contact: &EntityId,
) -> anyhow::Result<ApplicationKey> {
    match KeyFile::load(path)? {
        KeyFile::Application(key) if key.peer_of(local) == Some(contact) => {
            if key.validity().is_over(utc::now()) {
                tracing::warn!(%contact, file = %path.display(), "the application key has expired: make a new one");
            }
            Ok(key)
        }
        _ => bail!(
            "{}: not the application key of {local} and {contact}",
            path.display()
        ),
    }
}

fn signing_key(path: &Path, owner: &EntityId) -> anyhow::Result<SigningKey> {
    match KeyFile::load(path)? {
        KeyFile::Signing { entity, key } if entity == *owner => {
            Ok(SigningKey::from_bytes(*key.expose_bytes()))
        }
        _ => bail!("{}: not the signing key of {owner}", path.display()),
    }
}

fn verifying_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    match KeyFile::load(path)? {
        KeyFile::Verifying { key, .. } => {
            VerifyingKey::from_bytes(&key).with_context(|| path.display().to_string())
        }
        _ => bail!("{}: not a verifying key", path.display()),
    }
}
