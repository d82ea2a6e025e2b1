//! What must outlive a process: the handles by which peers resume their associations, the keys
//! that must be the same after a restart, and messages for receivers that are away.
//!
//! A responder that restarts under a million associations has lost a million sets of traffic keys,
//! and should. What it must not lose is the handles that it issued: with them its peers are back
//! after one symmetric exchange each, instead of a full handshake. This crate keeps them, sealed,
//! and so that what is deleted is gone.
//!
//! ```text
//!   the table of issued handles, in memory ── Change ──▶ WriteBehind ── batches ──▶ Store
//!                     ▲                                  (a thread)                  ├─ Memory
//!                     └──────────────── replay, once at start ──────────────────────┼─ Redb
//!                                                                                    └─ yours
//! ```
//!
//! # Example
//!
//! ```
//! use refpoint_keys::UtcTime;
//! use refpoint_store::{Batching, Change, Entry, HandleId, Redb, RedbOptions, Store, WriteBehind};
//! use zeroize::Zeroizing;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let now = UtcTime::from_secs(1_800_000_000);
//! let entry = Entry::new(UtcTime::from_secs(1_800_086_400), Zeroizing::new(vec![7; 120]))?;
//!
//! let store = Redb::open(directory, now, &RedbOptions::default())?;
//! let behind = WriteBehind::start(store, Batching::default())?;
//! behind.submit(Change::Issued { id: HandleId(*b"handle 1"), entry })?;
//! behind.stop()?; // or drop it, or be killed: then what was not flushed is lost
//!
//! let mut store = Redb::open(directory, now, &RedbOptions::default())?;
//! store.replay(now, &mut |id, entry| println!("{id:?} {entry:?}"))?;
//! assert_eq!(store.standing_keys().generation.number(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! An end point needs no more than a [`Journal`]: it gives what the store has kept to the end point
//! that starts, and takes its changes.
//!
//! A [`Journal`] does this for an end point of `refpoint-association`: it hands over the keys and the
//! handles that the end point starts with, and takes what its table tells.
//!
//! # What a crash costs
//!
//! A crash is the end of the process at any instruction (`SIGKILL`), or of the machine where the
//! disk keeps what it has confirmed. The tests kill real processes at each of these moments, and at
//! every single system call that writes.
//!
//! | the moment | what is found at the next start |
//! |---|---|
//! | an issued handle was not written yet | it is unknown: its holder is refused once and makes a full handshake |
//! | that a handle was redeemed was not written yet | the handle may be redeemed again, under fresh keys; a replayed Resume still reaches no confirmation (S2) |
//! | that a handle was revoked was not written yet | it is there: the credential's revocation generation refuses it (S5); flush to be sure |
//! | [`WriteBehind::flush`] has returned | everything submitted before it is there |
//! | in the middle of a transaction | all of the batch or nothing of it |
//! | between a new bucket key and the entries under it | a key without entries |
//! | between the key file's copy and its rename | the old key file; the copy is overwritten at the next start |
//! | between the rename and the overwriting | the new key file; the old one is overwritten at the next start |
//! | between a key's destruction and the removal of its rows | rows that nobody can open, which count as expired |
//! | while a new store is made | a new store is made |
//!
//! | while a message is put into a [`RedbMailbox`] | the message or nothing; the sender puts it again and gets the same position |
//! | [`Mailbox::put`] has returned | the message is there until it is acknowledged or expires |
//! | while messages are acknowledged | all of them or none; the receiver acknowledges again |
//! | [`Mailbox::acknowledge`] has returned | they are gone, and a repeated put does not bring one back |
//!
//! No handle is ever half there, and no secret is ever in the database in clear.
//!
//! # Forward secrecy at rest (S4)
//!
//! A database keeps old pages, so what is deleted can be read until they are written over. Entries
//! are therefore sealed under keys that are kept outside of it, in the key file; each serves the
//! entries whose *expiry* falls into one bucket of time ([`BucketLength`], an hour by default), and
//! is destroyed when the bucket is over.
//!
//! Said plainly: who copies both files has all handles that have not expired, and also the secrets
//! of those that were *redeemed or revoked* but whose bucket is not over: at most one handle
//! lifetime and one bucket length after they were issued. With `light` resumption such a secret opens the
//! traffic that was resumed from it. Shorter handle lifetimes narrow that, shorter buckets only
//! the last part of it. Who copies the database alone has nothing.
//!
//! Destroying a key means: a new key file takes the place of the old one, which is then overwritten
//! in place. Where the medium does not write in place, old blocks live on: flash translation layers
//! (SSD, SD, eMMC), copy-on-write file systems (Btrfs, ZFS), journals with data, snapshots and
//! backups. There, put the key file elsewhere ([`RedbOptions::with_key_file`]):
//!
//! * on a memory file system (`tmpfs`, without swap): it outlives the process, not the machine;
//!   [`MissingKeys::StartEmpty`] then makes a reboot cost full handshakes;
//! * on a volume whose key a TPM or a systemd credential releases at boot, so that its blocks are
//!   worth nothing elsewhere;
//! * and never into a backup: a restored key file brings destroyed keys back.
//!
//! # Mailbox
//!
//! A [`Mailbox`] holds sealed messages for receivers that are not there: [`RedbMailbox`] on a disk,
//! [`MemoryMailbox`] in memory. Puts that come while the disk is busy share its next transaction, so
//! many senders cost one sync.
//!
//! ```
//! use refpoint_keys::{EntityId, UtcTime};
//! use refpoint_store::{Mailbox, MailboxOptions, Message, MessageId, Position, RedbMailbox};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let now = UtcTime::from_secs(1_800_000_000);
//! let sensor = EntityId::parse("//sp.example/id-mn/C1")?;
//! let mailbox = RedbMailbox::open(directory, &MailboxOptions::default())?;
//! mailbox.put(now, Message {
//!     receiver: sensor.clone(),
//!     sender: EntityId::parse("//sp.example/id-in/C2")?,
//!     id: MessageId::new([7; 16]),
//!     expiry: UtcTime::from_secs(1_800_003_600),
//!     bytes: b"sealed end to end".to_vec(),
//! })?; // durable
//!
//! let waiting = mailbox.fetch(now, &sensor, Position::START, 10, 65_536)?;
//! assert_eq!(waiting[0].bytes, b"sealed end to end");
//! mailbox.acknowledge(&sensor, waiting[0].position)?; // gone
//! # Ok(())
//! # }
//! ```
//!
//! Who takes the mailbox file reads who wrote to whom, when a message expires and how long it is,
//! also of messages that were acknowledged, until their pages are written over. What is inside is
//! sealed end to end, and stays so.
//!
//! # State
//!
//! A [`StateFile`] holds what an end point of `refpoint-e2e` must not forget: its pre-keys, what they have
//! opened, and what its sessions receive. Never what they send (rule E1).
//!
//! # Files
//!
//! Files are for their owner only (0600), and refused otherwise. A file that is damaged, cut off,
//! of another kind or of another store is refused with an error that says what to do, and is left as
//! it was found: it is opened over an overlay in memory first, where redb may repair what it likes.
//! A second process is refused.
//!
//! # What it leaves out
//!
//! * What an entry means, and whether a handle may be redeemed: the association's. Redemption
//!   happens in memory (S7).
//! * Clocks for expiry: the time is an argument. (The writing thread measures its own pauses.)
//! * Long-term keys: they belong into a vault. A store may be lost; it costs handshakes.
#![forbid(unsafe_code)]

mod bucket;
mod embedded;
mod error;
mod handle;
mod journal;
mod key_file;
mod mailbox;
mod memory;
mod secret;
mod standing;
mod state_file;
mod store;
mod write_behind;

pub use bucket::BucketLength;
pub use embedded::{MissingKeys, Redb, RedbOptions};
pub use error::{Error, KeyFileProblem};
pub use handle::{Change, Entry};
pub use journal::{Journal, Kept};
pub use key_file::KeyFileSummary;
pub use mailbox::{
    Done, Mailbox, MailboxError, MailboxOptions, MemoryMailbox, Message, MessageId, Position,
    Quota, RedbMailbox, Waiting,
};
pub use memory::Memory;
pub use refpoint_association::HandleId;
pub use standing::{Generation, StandingKey, StandingKeys};
pub use state_file::StateFile;
pub use store::{Claim, Committed, Replayed, Store};
pub use write_behind::{Batching, Overloaded, Statistics, WriteBehind};
