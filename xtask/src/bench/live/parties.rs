//! Who takes part. Both processes derive names and keys from a device's number.

use core::net::Ipv4Addr;
use std::sync::Arc;

use refpoint_association::{Backend, Credential, Policy, StaticKey};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};

const CORE: &str = "//sp.example.com/id-mn";

/// The core, or a device.
pub(crate) fn entity(device: Option<u32>) -> anyhow::Result<EntityId> {
    Ok(match device {
        None => EntityId::parse(CORE)?,
        Some(number) => EntityId::parse(&format!("{CORE}/C{number}"))?,
    })
}

/// Where a device is: an address of loopback that is its own.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number)
}

/// Which device is at this address.
pub(crate) fn number(address: Ipv4Addr) -> Option<u32> {
    u32::from(address).checked_sub(u32::from(Ipv4Addr::new(127, 1, 0, 0)))
}

/// Which device this is.
pub(super) fn number_of(entity: &EntityId) -> Option<u32> {
    let stem = entity.as_str().strip_prefix(CORE)?.strip_prefix("/C")?;
    stem.parse().ok()
}

/// The key of a device and the core. It is no secret: nothing but this bench has it.
pub(crate) fn key(number: u32, secret: u8) -> anyhow::Result<Arc<ConnectionKey>> {
    let mut bytes = [secret; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    let key_id = KeyId::new(&number.to_be_bytes())?;
    let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
    let (device, core) = (entity(Some(number))?, entity(None)?);
    let key =
        ConnectionKey::from_bytes(bytes, key_id, ReferencePoint::X, &device, &core, validity)?;
    Ok(Arc::new(key))
}

/// What the device (or the core, of it) knows: `psk`, and only the device initiates.
pub(crate) fn device(number: u32, at_core: bool, policy: &Policy) -> anyhow::Result<Credential> {
    let local = entity((!at_core).then_some(number))?;
    let credential = Credential::new(&local, key(number, SECRET)?, &[Profile::Psk])?;
    Ok(credential
        .with_initiators(!at_core, at_core)
        .with_policy(policy.clone()))
}

const SECRET: u8 = 7;

/// The core's, so that whoever knows its public key may begin a handshake by `known`.
pub(crate) fn static_key() -> anyhow::Result<StaticKey> {
    Ok(StaticKey::from_bytes(&[9; 32], Backend::AwsLc)?)
}
