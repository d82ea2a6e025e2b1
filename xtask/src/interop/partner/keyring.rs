//! Keys and ids of both sides, from the file that the Python peer reads too.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refpoint_association::{Backend, Credential, Credentials, Local, Policy, PublicKey, StaticKey};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use serde_json::Value;

/// The shortest ratchet, so that the test need not wait for long.
const RATCHET: Duration = Duration::from_secs(2);

/// The gateway, and a credential for each of its applications.
pub(crate) fn read(file: &Path) -> anyhow::Result<(Local, Credentials)> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let file: Value = serde_json::from_str(&text)?;
    let gateway = entity(&file["gateway"])?;
    let local = Local::new(gateway.clone()).with_static_key(static_key(&file["gateway"])?);
    let mut credentials = Credentials::new();
    for application in file["applications"].as_array().context("no applications")? {
        credentials.insert(credential(&gateway, application)?)?;
    }
    Ok((local, credentials))
}

fn credential(gateway: &EntityId, application: &Value) -> anyhow::Result<Credential> {
    let profile = match text(application, "profile")? {
        "psk" => Profile::Psk,
        "pinned" => Profile::Pinned,
        "known" => Profile::Known,
        other => bail!("no profile is called {other}"),
    };
    let key = ConnectionKey::from_bytes(
        array(application, "connection_key")?,
        KeyId::new(&bytes(application, "key_id")?)?,
        ReferencePoint::X,
        gateway,
        &entity(application)?,
        Validity::until(UtcTime::from_secs(u64::MAX)),
    )?;
    let policy = Policy::default()
        .with_ratchet(Some(RATCHET))?
        .with_epoch_bits(16)?;
    let public: PublicKey = static_key(application)?.public_key();
    Ok(Credential::new(gateway, Arc::new(key), &[profile])?
        .with_public_key(public)
        .with_policy(policy))
}

fn static_key(value: &Value) -> anyhow::Result<StaticKey> {
    Ok(StaticKey::from_bytes(
        &array(value, "static")?,
        Backend::default(),
    )?)
}

pub(crate) fn entity(value: &Value) -> anyhow::Result<EntityId> {
    Ok(EntityId::parse(text(value, "id")?)?)
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("no text `{field}`"))
}

pub(crate) fn bytes(value: &Value, field: &str) -> anyhow::Result<Vec<u8>> {
    let text = text(value, field)?;
    let digits = |at| u8::from_str_radix(text.get(at..at + 2).unwrap_or("?"), 16);
    let bytes: Result<_, _> = (0..text.len()).step_by(2).map(digits).collect();
    bytes.with_context(|| format!("`{field}` is not hexadecimal"))
}

pub(crate) fn array(value: &Value, field: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = bytes(value, field)?;
    bytes
        .try_into()
        .ok()
        .with_context(|| format!("`{field}` has not 32 bytes"))
}
