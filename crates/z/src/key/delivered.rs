//! Keys delivered.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use refpoint_keys::{EntityId, UtcTime, Validity};
use refpoint_primitive::Error;
use zeroize::{Zeroize, Zeroizing};

use super::NetworkKeyName;
use crate::proto;
use crate::reference::{invalid, visible};

/// A key as the network delivers it. Its bytes are wiped, and never printed.
pub struct DeliveredKey {
    name: NetworkKeyName,
    key: Zeroizing<[u8; 32]>,
    validity: Validity,
    subscriber: Option<String>,
    entity: Option<EntityId>,
}

impl DeliveredKey {
    /// The key of this name.
    #[must_use]
    pub fn new(name: NetworkKeyName, key: [u8; 32], validity: Validity) -> Self {
        let key = Zeroizing::new(key);
        Self {
            name,
            key,
            validity,
            subscriber: None,
            entity: None,
        }
    }

    /// The subscriber it belongs to: IMPI, GPSI or external id.
    ///
    /// # Errors
    /// [`Error`] that names `subscriber` when it is empty, too long or holds other characters than visible ASCII.
    pub fn with_subscriber(mut self, subscriber: &str) -> Result<Self, Error> {
        self.subscriber = Some(visible(subscriber, 255, "subscriber")?);
        Ok(self)
    }

    /// The entity that the network takes the subscriber for.
    #[must_use]
    pub fn with_entity(mut self, entity: EntityId) -> Self {
        self.entity = Some(entity);
        self
    }

    /// The network's name of it.
    #[must_use]
    pub const fn name(&self) -> &NetworkKeyName {
        &self.name
    }

    /// When it may be used.
    #[must_use]
    pub const fn validity(&self) -> &Validity {
        &self.validity
    }

    /// The subscriber it belongs to.
    #[must_use]
    pub fn subscriber(&self) -> Option<&str> {
        self.subscriber.as_deref()
    }

    /// The entity that the network takes the subscriber for.
    #[must_use]
    pub const fn entity(&self) -> Option<&EntityId> {
        self.entity.as_ref()
    }

    /// The key's bytes, to derive from.
    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) fn from_proto(response: &proto::KeyResponse) -> Result<Self, Error> {
        let name = NetworkKeyName::new(&response.key_id)?;
        let key = response.key[..].try_into();
        let key = Zeroizing::new(key.map_err(|_| invalid("key", "write 32 bytes"))?);
        let not_before = response.not_before.map(UtcTime::from_secs);
        let validity = Validity::new(not_before, UtcTime::from_secs(response.expires_at));
        let validity = validity.map_err(|_| invalid("expires_at", "let it be after not_before"))?;
        let subscriber = Some(&response.subscriber[..]).filter(|text| !text.is_empty());
        let entity = Some(&response.entity[..]).filter(|text| !text.is_empty());
        let entity = entity.map(EntityId::parse).transpose();
        Ok(Self {
            name,
            key,
            validity,
            subscriber: subscriber
                .map(|text| visible(text, 255, "subscriber"))
                .transpose()?,
            entity: entity.map_err(|_| invalid("entity", "write a canonical absolute id"))?,
        })
    }

    pub(crate) fn into_proto(self) -> proto::KeyResponse {
        proto::KeyResponse {
            key_id: self.name.0,
            key: self.key.to_vec(),
            not_before: self.validity.not_before().map(UtcTime::as_secs),
            expires_at: self.validity.not_after().as_secs(),
            subscriber: self.subscriber.unwrap_or_default(),
            entity: self
                .entity
                .map_or_else(String::new, |entity| entity.as_str().to_owned()),
        }
    }
}

impl fmt::Debug for DeliveredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveredKey(..)")
    }
}

impl fmt::Debug for proto::KeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyResponse(..)")
    }
}

impl Drop for proto::KeyResponse {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}
