//! Security associations between machine-to-machine entities, on Noise.
//!
//! An association gives two entities mutual authentication and confidentiality at one reference
//! point. This crate makes the handshake, derives the keys, seals and opens records, and ends the
//! association when its lifetime is over. It is sans-IO: time, packets and randomness are
//! arguments, and what comes out goes into an argument too.
//!
//! ```text
//!   Credentials ─┐                         ┌─ Endpoint       datagrams, many associations
//!                ├─ negotiation ─ handshake┤
//!   Local ───────┘       │        (snow)   └─ StreamSession  a byte stream, one association
//!                        ▼
//!     Split ─▶ Master ─▶ Traffic n ─▶ EpochKey n     (the key schedule; a type per arrow)
//!                           └──▶ Traffic n+1
//! ```
//!
//! | profile | Noise pattern | who it is for |
//! |---|---|---|
//! | `psk` | NNpsk0 | a constrained device with a service-layer key: one DH a side |
//! | `pinned` | KKpsk2 | both static keys known beforehand |
//! | `known` | IKpsk2 | the initiator stays hidden from eavesdroppers |
//!
//! # A whole association
//!
//! ```
//! use std::sync::Arc;
//! use refpoint_association::*;
//! use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
//! # let now = Now::new(core::time::Duration::ZERO, UtcTime::from_secs(1_800_000_000));
//!
//! let (ae, cse) = (EntityId::parse("//sp.example/id-mn/C1")?, EntityId::parse("//sp.example/id-mn")?);
//! let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
//! let key = ConnectionKey::from_bytes([7; 32], KeyId::new(b"k1")?, ReferencePoint::X, &ae, &cse, valid)?;
//! let key = Arc::new(key);
//! let mine = Arc::new(Credential::new(&ae, key.clone(), &[Profile::Psk])?);
//! let mut theirs = Credentials::new();
//! let id = theirs.insert(Credential::new(&cse, key, &[Profile::Psk])?)?;
//!
//! let (mut to_cse, mut to_ae, backend) = (Vec::new(), Vec::new(), Backend::default());
//! let label = SessionLabel::default();
//! let ae = StreamInitiator::new(now, &mut rng, &Local::new(ae), backend, (id, mine), label, &mut to_cse)?;
//! let cse = StreamResponder::receive(now, &mut rng, &Local::new(cse), backend, &theirs, &to_cse[2..], &mut to_ae);
//! let (mut cse, mut to_cse) = (cse?, Vec::new());
//! let mut ae = ae.receive(now, &to_ae[2..], &mut to_cse)?; // to_cse: the record that confirms
//! cse.receive(now, &mut to_cse, &mut to_ae)?;
//! let mut frame = Vec::new();
//! ae.send(now, b"21.5", &mut frame)?;
//! assert_eq!(cse.receive(now, &mut frame, &mut to_ae)?, Opened::Data(b"21.5"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is deliberately absent
//!
//! No clock, socket, file or generator of randomness. No negotiation: the initiator states its
//! terms, the responder accepts what the credential allows. No fall-back. No knowledge of oneM2M:
//! what a peer may claim in its messages is for the layers X, Y and Z.
//!
//! # Backends
//!
//! | feature | library | for |
//! |---|---|---|
//! | `aws-lc` (default, needs `std`) | AWS-LC | servers and gateways |
//! | `rustcrypto` | the RustCrypto crates | `no_std` devices |
//!
//! # Wiping
//!
//! Every secret has a type that wipes itself. snow wipes nothing, so its state lives in memory that
//! is wiped after it, and the stack below each handshake step is overwritten. Claimed for the heap
//! and that stack; not for registers, swap or a core dump taken in the middle.
//!
//! The rules that the code cites (H1 to L3) are those of `proto/README.md`, the wire specification.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod admission;
mod authenticated;
mod backend;
mod backoff;
mod bucket;
mod content_key;
mod contexts;
mod cookie;
mod credential;
mod endpoint;
mod epoch;
mod error;
mod grants;
mod handshake;
mod held;
mod issued;
mod letters;
mod lifetime;
mod light;
mod negotiation;
mod one_way;
mod policy;
mod prologue;
mod receiver;
mod redemption;
mod renewal;
mod schedule;
mod scrub;
mod sender;
mod slot_token;
mod static_key;
mod stream;
mod time;
mod window;

pub use admission::{
    Admission, AdmissionConfig, AdmissionStatistics, Claim, Claimant, Class, SlotTime,
    SourcePrefix, Tenant, Verdict,
};
pub use authenticated::Authenticated;
pub use backend::Backend;
pub use backoff::Backoff;
pub use content_key::{ContentKey, SpentContentKey};
pub use credential::{Credential, CredentialId, Credentials, Local};
pub use endpoint::{
    AssociationId, AttemptId, Config, Endpoint, Event, Outbox, ReservedSlot, ResponderKeys,
    Statistics,
};
pub use error::Error;
pub use grants::Grants;
pub use held::HeldHandle;
pub use issued::{HandleChange, IssuedHandles, StoredHandle};
pub use letters::{
    LETTER_OVERHEAD, Letter, LetterInitiator, LetterLimits, LetterPost, LetterResponder,
    LetterSession, OpenedLetter,
};
pub use lifetime::Lifetime;
pub use one_way::{MAX_ONE_WAY_PAYLOAD, OneWay, Revealed};
pub use policy::Policy;
pub use refpoint_wire::{
    Carriage, CloseReason, HandleId, Index, Mode, Modes, SessionLabel, Suite, Terms,
};
pub use renewal::{RenewalPlan, Turn, Window};
pub use slot_token::{SlotTokenKey, TokenSubject};
pub use static_key::{PublicKey, StaticKey};
pub use stream::{
    Due, MAX_STREAM_PAYLOAD, Opened, STREAM_HEADROOM, STREAM_TAILROOM, StreamAnswer,
    StreamInitiator, StreamRedemption, StreamResponder, StreamSession, StreamUnconfirmed,
};
pub use time::Now;
