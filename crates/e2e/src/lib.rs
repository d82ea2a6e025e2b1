//! End to end: what a gateway carries, it cannot read (countermeasure CM25).
//!
//! Associations on X and Y end at every node. What two *end points* want to keep from the nodes between
//! them, they seal for each other, and the nodes carry it as content that means nothing to them.
//!
//! ```text
//!   AE ─ seal ─▶ [ outer primitive │ Sealed ]        gateway, core: route, size, expiry; no more
//!                        │ X            │ Y                  (store and forward, hours later)
//!                        ▼              ▼
//!                    gateway ──▶ core ──▶ mailbox ──▶ AE ─ open ─▶ Inner
//! ```
//!
//! | form | for | Noise | bytes added | forward secrecy | replay |
//! |---|---|---|---|---|---|
//! | [`Sealer`], [`Opener`] with an application key | a receiver that is away | `Kpsk0` to a pre-key | 60 (key id of 4) | once the pre-key is destroyed | every ephemeral is remembered until then |
//! | the same without | a sender known by its record | `X` to a pre-key | 135 (sender's id of 31) | the same | the same |
//! | [`Group`] | many receivers | one of the above for each | 37 and 16, and for each receiver 32 more than above | the same | the same |
//! | [`Sessions`] | two that answer each other, if hours later | `psk`, `pinned` or `known` | 26 | epochs, and each session's own DH | exact windows of 64 epochs |
//!
//! ```
//! # use refpoint_association::{Backend, StaticKey, Suite};
//! use refpoint_e2e::{Contacts, Delivery, EntityRecord, Opener, PreKeyPolicy, PreKeyRing, Sealer, SigningKey, Target};
//! use refpoint_keys::{EntityId, UtcTime, Validity};
//!
//! # let mut rng = refpoint_sim::Entropy::new(1, "docs");
//! # let rng = &mut rng;
//! # let (backend, suite) = (Backend::default(), Suite::ChaChaPoly);
//! # let now = UtcTime::from_secs(1_800_000_000);
//! # let valid = Validity::until(UtcTime::from_secs(1_900_000_000));
//! let (sensor, display) = (EntityId::parse("//sp.example/id-mn/CSensor")?, EntityId::parse("//sp.example/SDisplay")?);
//! let (sensor_key, _) = StaticKey::generate(rng, backend)?;
//! let (display_key, _) = StaticKey::generate(rng, backend)?;
//! let (signing, _) = SigningKey::generate(rng);
//! let sensor_record = EntityRecord::pinned(sensor.clone(), sensor_key.public_key(), valid);
//! let display_record = EntityRecord::pinned(display.clone(), display_key.public_key(), valid)
//!     .with_signing_key(signing.verifying_key());
//!
//! // The display makes a pre-key, publishes it, and goes away.
//! let mut ring = PreKeyRing::new(rng, backend, suite, PreKeyPolicy::default())?;
//! ring.tend(now, rng)?;
//! let published = ring.signed(&display, &signing)?;
//!
//! // The sensor seals to it. Any node may keep the object.
//! let recipient = published.verify(&display_record, now)?;
//! let target = Target::new("//sp.example/id-in/cse-in/display/readings")?;
//! let expires = UtcTime::from_secs(1_800_086_400);
//! let delivery = Delivery { recipient: &recipient, key: None, target: &target, expires };
//! let object = Sealer::new(sensor, sensor_key).seal(now, rng, &delivery, b"21.5")?;
//!
//! // The display comes back and opens it: once, as what it is, from whom it is.
//! let mut contacts = Contacts::new();
//! contacts.insert_record(sensor_record)?;
//! let mut opener = Opener::new(display, ring);
//! let opened = opener.open(Some(now), &contacts, &target, &object)?;
//! assert_eq!(opened.content.as_slice(), b"21.5");
//! assert!(opener.open(Some(now), &contacts, &target, &object).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a gateway needs, and what it never sees
//!
//! The parameters of a request (TS-0004, table 7.2.1-1), of what an [`Outer`] request carries and what is in
//! the [`Inner`] alone. `tests/fields.rs` fails when one leaks.
//!
//! | parameter | outer | inner | why |
//! |---|---|---|---|
//! | `op` | Create (of a contentInstance) or Notify, always the same | the real one | nodes must handle it somehow |
//! | `to` | the mailbox or receiver | the real target | the route |
//! | `fr` | as whom the sender is known on X | the real one, if it differs | X and Y check it; transit rewrites its form |
//! | `rqi` | a new one | the real one | responses on the way |
//! | `rqet` | when nodes may drop it | the real expiry is in the object's head, and in the [`Inner`] | expiry |
//! | `rvi` | of the outer request | the real one | the rules that nodes follow |
//! | `ty` | 4, contentInstance | the real one | |
//! | `pc` | [`Sealed`]: its size, and in its head key id, pre-key number, suite, expiry | the content | size |
//! | `ot`, `rset`, `oet`, `rp` | – | all | when, is content |
//! | `rt` (with `nu`), `rcn`, `fc`, `drt`, `sqi` | – | all | what is asked is content |
//! | `rids`, `tkns`, `tids`, `ltids`, `tqi`, `asi`, `aus`, `auri` | – | all | credentials for the receiver |
//! | `ec`, `da`, `gid`, `grtm`, `vsi` | – | all | no node acts on them for what it cannot read |
//!
//! A node sees sizes, unless [`Padding`] makes them alike, and times. It sees key ids and pre-key
//! numbers, which are stable for a while (rule H9), so that it can tell which objects are of one pair.
//!
//! # What is bound
//!
//! Target, expiry, receiver, sender, key id, pre-key number and suite, for an object by its prologue; for a session the
//! target by the handshake's prologue, key id and ids by its keys, and expiry and request id inside the letter. *Not* bound: what
//! honest nodes rewrite (the literal form of `from`, release version, timestamps).
//!
//! # What an attacker gets
//!
//! Each paragraph is a test in `tests/attacker.rs`.
//!
//! * **A gateway** (or anybody on the way): sizes, times, key ids. It can drop and delay. What it alters,
//!   redirects or replays, and what it holds back past its expiry, is refused, and the receiver says why. It can hand out an
//!   *old* pre-key while that is valid, so that objects live as long as that key, not longer.
//! * **An insider's pre-key** (E signs B's pre-key as its own, or vouches for it): objects for E. B does not open them, since the
//!   receiver's id is bound; without that, B would take them for its own (`proto/model/`, the model without ids).
//! * **The current pre-key** stolen from the receiver: all objects sealed to it, past and to come until the next
//!   rotation. In `X` the thief can also feign any sender *to that receiver*; in `Kpsk0` it cannot, and cannot read either, without Ka.
//!   Nothing sealed to earlier pre-keys that were destroyed.
//! * **The receiver's static key**: nothing that was sealed to a pre-key. The thief can seal *as* that entity, in
//!   `X`; in `Kpsk0` not without Ka. If the fall-back was allowed, everything ever sealed to the static key.
//! * **Ka**: no object, past or to come, opens with it alone. Its thief can vouch for a pre-key of its own, where pre-keys are vouched for and not signed, and
//!   read what is sealed to *that*; and begin sessions as either end (profile `psk`; in `pinned` and `known` it needs the static key,
//!   too). Recorded sessions stay closed.
//! * **The mailbox's file**: what a gateway gets. Objects in it are opened by nobody but the receiver, and once only.
//! * **The receiver's kept state**, if it was not sealed: the private pre-keys and the receiving keys of sessions; so seal it.
//!
//! # Rules
//!
//! * **E1** The sending direction of a session is never kept: a restored snapshot would use nonces again. The receiving
//!   direction may be, in one transaction with the acknowledgement to the mailbox ([`Sessions::to_bytes`],
//!   [`PreKeyRing::to_bytes`]); a state from before the mailbox's last acknowledgement is refused ([`Error::Stale`]).
//! * **E2** Records are signed by an authority, pre-keys by their owner's Ed25519 key or vouched for under Ka; both ids, number,
//!   target and expiry are bound; a receiver remembers every ephemeral until the pre-key is destroyed.
//!
//! # For who builds a node on it
//!
//! `refpoint-node` is such a node (its module `end_to_end`): content of contentInstances, by object, group or session, across CSEs that
//! know nothing of it. The form between our own nodes ([`Outer::notify`]) and whole requests ([`InnerForm::Request`]) it does not use.
//!
//! *Egress*, for an AE that knows nothing of it: configuration says which resources (a prefix of `to`) are sealed, to whom, by
//! object, group or session, and the [`Target`]'s spelling. The AE's request becomes an [`Inner`]; `Inner::encode` goes into [`Sealer::seal`],
//! [`Group::seal`] or [`Sessions::send`]; the result, as [`Sealed`], into [`Outer::content_instance`] (across unmodified CSEs, in base64) or [`Outer::notify`]
//! (between our own nodes). Pre-keys are fetched as content like any other, and verified before use.
//! *Ingress*: content of [`MEDIA_TYPE`] goes to [`Sealed::decode`] and, by its form, to [`Opener::open`], [`Group::open`] or
//! [`Sessions::receive`], with the target of the resource that it came for. What opens is checked once more ([`Inner::check`]; sessions do it) and handed
//! to the AE. Then, in one transaction: the state kept, the mailbox acknowledged. Where a CSE's resource takes the mailbox's place, nothing
//! acknowledges: the state is kept before anything is handed out, and what is read again in the same resource is opened by
//! [`Opener::open_again`]. What is refused is reported, acknowledged and dropped; [`Error::failure`] says by which result code a primitive is refused.
//!
//! # What is deliberately absent
//!
//! Clock, randomness, storage, HTTP and base64: arguments, or the caller's. Directories of records and pre-keys: content
//! that any node may keep. Fall-backs that happen by themselves.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod contacts;
mod entity_record;
mod error;
mod generated;
mod group;
mod inner;
mod layout;
mod object;
mod opener;
mod outer;
mod padding;
mod pre_key;
mod pre_key_ring;
mod sealed;
mod sealer;
mod seen;
mod sessions;
mod signature;
mod target;

pub use contacts::Contacts;
pub use entity_record::EntityRecord;
pub use error::Error;
pub use group::{Group, MAX_PARTS};
pub use inner::{Inner, InnerForm};
pub use object::Head;
pub use opener::{Opened, Opener, Proof};
pub use outer::Outer;
pub use padding::Padding;
pub use pre_key::{PreKey, Recipient};
pub use pre_key_ring::{PreKeyPolicy, PreKeyRing};
pub use sealed::{MEDIA_TYPE, Sealed};
pub use sealer::{Delivery, MAX_OBJECT_CONTENT, Sealer};
pub use sessions::{Arrival, Due, SessionId, Sessions};
pub use signature::{SigningKey, VerifyingKey};
pub use target::Target;
