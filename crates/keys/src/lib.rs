//! Entity ids and the key hierarchy of refpoint: who may share which key, and how each key is made
//! of the one above it.
//!
//! An M2M system has its own keys, below no certificate and above every transport. This crate
//! gives each of them a type and makes each in one place, so that an association can say whose it
//! is, at which reference point, and until when:
//!
//! ```text
//! RootKey (Kmr, Ke)                  one entity and who provisioned it
//!  ├─ ConnectionKey (Kc)             two entities, one reference point, a validity
//!  │   ├─ AssociationPsk             one version, profile and direction: enters the Noise handshake
//!  │   ├─ TagKey                     same context: tags an Initiate for a loaded responder
//!  │   └─ HintKey                    same context: authenticates that responder's hints
//!  └─ ApplicationKey (Ka)            two end points, a validity
//!      ├─ ConnectionKey              the same two, at ReferencePoint::EndToEnd
//!      ├─ ObjectPsk                  one direction: enters Kpsk0, which seals an object
//!      └─ VoucherKey                 one of the two: vouches for its pre-keys
//!
//! NetworkKey ──── ConnectionKey      imported: GBA, AKMA, BEST or static     (see threegpp)
//! EnrolmentKey ── RootKey            imported: TS-0003 enrolment             (see onem2m)
//!  └─ ProvisionedKey ── ConnectionKey
//! ```
//!
//! Every arrow is one HKDF, written out at the method that draws it.
//!
//! # Example
//! A sensor and its gateway hold the same connection key, and make the same pre-shared key of it:
//!
//! ```
//! use refpoint_keys::{
//!     EntityId, KeyId, Profile, PskContext, ReferencePoint, RootKey, UtcTime, Validity, Version,
//! };
//!
//! # fn main() -> Result<(), refpoint_keys::Error> {
//! let gateway = EntityId::parse("//sp.example.com/id-mn")?;
//! let sensor = EntityId::resolve("CSensor1", "sp.example.com", Some(&gateway))?;
//!
//! // The bytes come from a vault; these are an example's.
//! let root = RootKey::new([0x5a; 32]);
//! let key = root.connection_key(
//!     KeyId::new(&[0x0a, 0x0b, 0x0c, 0x0d])?,
//!     ReferencePoint::X,
//!     &sensor,
//!     &gateway,
//!     Validity::until(UtcTime::from_secs(1_893_456_000)),
//! )?;
//!
//! let context = PskContext {
//!     version: Version::CURRENT,
//!     profile: Profile::Psk,
//!     point: ReferencePoint::X,
//!     initiator: &sensor,
//!     responder: &gateway,
//! };
//! let psk = key.association_psk(&context)?;
//! assert_eq!(format!("{psk:?}"), "AssociationPsk(..)");
//!
//! // Initiated the other way round, it would be another key.
//! let reversed = PskContext { initiator: &gateway, responder: &sensor, ..context };
//! assert_ne!(psk.expose_bytes(), key.association_psk(&reversed)?.expose_bytes());
//! # Ok(())
//! # }
//! ```
//!
//! # The derivation
//! A peer in any language needs an HKDF and these lines:
//!
//! ```text
//! derive(key, label, field, ..) = HKDF-SHA256(salt = "refpoint keys v1", ikm = key, info, L = 32)
//! info  = lp(label) ‖ lp(field) ‖ ..
//! lp(x) = length of x in one byte ‖ x
//! ```
//!
//! Labels and texts are UTF-8, ids are their absolute form, codes are one byte, times are 8 bytes
//! (big-endian, seconds since 1970). No two derivations share a label, and lengths make the info
//! injective, so keys of different contexts never coincide. `tests/vectors/derivations.json`, which
//! an independent implementation computed, holds exact values.
//!
//! # Rules
//! * **K1** An [`AssociationPsk`] is bound to version, profile, reference point, key id and the
//!   *ordered* absolute ids. [`ConnectionKey`] makes none for a point or a pair that is not its own.
//! * **K2** Ids are ASCII, or in NFKC: already (`no_std` without tables) or by the feature
//!   `normalize`. See [`EntityId`].
//! * **K3** No association outlives its connection key: [`Validity::remaining`] is what clamps it.
//!
//! # Secrets
//! Keys cannot be copied or compared, so each is where it was put and nowhere else; share a
//! [`ConnectionKey`] by `Arc`. They lie on the heap at one place, which is wiped when they are
//! dropped. Their bytes leave by `expose_bytes` only. An array passed to a constructor is wiped, the
//! caller's own copy of it (arrays are `Copy`) is the caller's to wipe. What the primitives leave on the *stack* while
//! they compute is not wiped here: `sha2` and `hmac` wipe their states, not every temporary.
//!
//! ```compile_fail,E0599
//! let key = refpoint_keys::RootKey::new([0; 32]);
//! let copy = key.clone();
//! ```
//!
//! ```compile_fail,E0382
//! let key = refpoint_keys::RootKey::new([0; 32]);
//! let moved = key;
//! key.expose_bytes();
//! ```
//!
//! ```compile_fail,E0369
//! # use refpoint_keys::RootKey;
//! let same = RootKey::new([0; 32]) == RootKey::new([0; 32]);
//! ```
//!
//! ```compile_fail,E0277
//! fn keep<T: Clone>() {}
//! keep::<refpoint_keys::ConnectionKey>();
//! ```
//!
//! # What it leaves out
//! * Static (Diffie-Hellman) keys, the handshake and the keys of an association: those are
//!   `refpoint-association`'s.
//! * Storing, sealing and issuing keys, and any file format.
//! * Clocks and randomness: the time is an argument, key bytes come from the caller and must be
//!   uniformly random. A pass phrase is no key, and nothing here stretches one.
//! * TS-0003's handshakes (TLS exporters, `ESPrim`): only the derivations that lead into this tree.
//!
//! # Features
//! `std` (default) only switches on the `std` of `thiserror`. `normalize` brings ids to NFKC; its tables
//! cost 130 kB. Without both the crate is `no_std` with `alloc`.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod application_key;
mod association_psk;
mod connection_key;
mod derivation;
mod entity_id;
mod error;
mod key_id;
mod network_key;
mod object_key;
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
pub use object_key::{ObjectPsk, VoucherKey};
pub use profile::Profile;
pub use reference_point::ReferencePoint;
pub use role::Role;
pub use root_key::RootKey;
pub use tag_key::{HintKey, TagKey};
pub use validity::{UtcTime, Validity};
pub use version::Version;
