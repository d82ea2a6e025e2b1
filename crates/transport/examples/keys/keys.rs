//! The keys of both examples: `LOCAL PEER KEY` on the command line, two entities and 32 bytes in hex that only they know.

use core::error::Error;
use std::{env::args, sync::Arc};

use refpoint_association::{Credential, Credentials, Local};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_transport::Keyring;

pub(crate) const POINT: ReferencePoint = ReferencePoint::Y;

/// The keyring of this end, and its peer.
pub(crate) fn keyring() -> Result<(Keyring, EntityId), Box<dyn Error>> {
    let [local, peer, key] = [1, 2, 3].map(|place| args().nth(place).unwrap_or_default());
    let (local, peer) = (EntityId::parse(&local)?, EntityId::parse(&peer)?);
    let key: Vec<u8> = hex::decode(key)?;
    let key = key.try_into().map_err(|_| "a key has 32 bytes")?;
    let (name, until) = (KeyId::new(b"example")?, UtcTime::from_secs(4_000_000_000));
    let key = ConnectionKey::from_bytes(key, name, POINT, &local, &peer, Validity::until(until))?;
    let mut credentials = Credentials::new();
    credentials.insert(Credential::new(&local, Arc::new(key), &[Profile::Psk])?)?;
    Ok((Keyring::new(Local::new(local), credentials), peer))
}
