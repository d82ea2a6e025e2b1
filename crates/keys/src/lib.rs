//! Entity ids and the key hierarchy of refpoint: root key, connection key, association PSK.
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod application_key;
mod association_psk;
mod connection_key;
mod derivation;
mod entity_id;
mod error;
mod key_id;
mod network_key;
pub mod onem2m;
mod pair;
mod profile;
mod reference_point;
mod role;
mod root_key;
mod secret;
mod tag_key;
pub mod threegpp;
mod validity;
mod version;

pub use application_key::ApplicationKey;
pub use association_psk::{AssociationPsk, PskContext};
pub use connection_key::ConnectionKey;
pub use entity_id::{EntityId, EntityKind};
pub use error::Error;
pub use key_id::KeyId;
pub use network_key::{NetworkKey, NetworkKeyRecord, NetworkKeySource};
pub use profile::Profile;
pub use reference_point::ReferencePoint;
pub use role::Role;
pub use root_key::RootKey;
pub use tag_key::{HintKey, TagKey};
pub use validity::{UtcTime, Validity};
pub use version::Version;
