//! The configuration as it is written: one struct a table. What it means is checked in [`super::check`].

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use refpoint_association::{Mode, Suite};
use refpoint_keys::{EntityId, Profile, ReferencePoint};
use refpoint_store::MissingKeys;
use serde::Deserialize;
use toml::Spanned;

use super::read::{Parsed, PlainNotifications, Size};
use super::{Carriage, Form, Initiator, Relation};
use crate::http::Authority;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) node: Node,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) store: Option<Store>,
    #[serde(default)]
    pub(super) policy: Policies,
    #[serde(default)]
    pub(super) listen: Vec<Listen>,
    #[serde(default)]
    pub(super) peer: Vec<Peer>,
    #[serde(default)]
    pub(super) egress: Vec<Egress>,
    #[serde(default)]
    pub(super) ingress: Vec<Ingress>,
    pub(super) end_to_end: Option<Spanned<EndToEnd>>,
    #[serde(default)]
    pub(super) contact: Vec<Contact>,
    #[serde(default)]
    pub(super) sealed: Vec<Sealed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) entity: Parsed<EntityId>,
    pub(super) static_key: Option<Spanned<PathBuf>>,
    pub(super) drain: Option<Parsed<Duration>>,
    pub(super) metrics: Option<Spanned<Parsed<SocketAddr>>>,
    pub(super) log: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) head: Option<Spanned<Parsed<Size>>>,
    pub(super) headers: Option<Spanned<usize>>,
    pub(super) body: Option<Spanned<Parsed<Size>>>,
    pub(super) head_time: Option<Parsed<Duration>>,
    pub(super) body_time: Option<Parsed<Duration>>,
    pub(super) idle_time: Option<Parsed<Duration>>,
    pub(super) connect_time: Option<Parsed<Duration>>,
    pub(super) answer_time: Option<Parsed<Duration>>,
    pub(super) connections: Option<Spanned<usize>>,
    pub(super) exchange_time: Option<Parsed<Duration>>,
    pub(super) in_flight: Option<Spanned<usize>>,
    pub(super) queue: Option<usize>,
    pub(super) datagram: Option<Spanned<Parsed<Size>>>,
    pub(super) renewal_time: Option<Parsed<Duration>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) directory: Spanned<PathBuf>,
    pub(super) key_directory: Option<PathBuf>,
    pub(super) missing_keys: Option<Spanned<Parsed<MissingKeys>>>,
    pub(super) bucket: Option<Spanned<Parsed<Duration>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Policies {
    #[serde(default)]
    pub(super) x: Policy,
    #[serde(default)]
    pub(super) y: Policy,
    #[serde(default)]
    pub(super) y_prime: Policy,
    #[serde(default)]
    pub(super) z: Policy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) address: Spanned<Parsed<SocketAddr>>,
    pub(super) carriage: Parsed<Carriage>,
    pub(super) points: Spanned<Vec<Parsed<ReferencePoint>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) entity: Spanned<Parsed<EntityId>>,
    pub(super) point: Spanned<Parsed<ReferencePoint>>,
    pub(super) address: Option<Spanned<Parsed<SocketAddr>>>,
    pub(super) carriage: Option<Spanned<Parsed<Carriage>>>,
    pub(super) initiator: Spanned<Parsed<Initiator>>,
    pub(super) profiles: Spanned<Vec<Parsed<Profile>>>,
    pub(super) suite: Option<Parsed<Suite>>,
    pub(super) connection_key: Option<Spanned<PathBuf>>,
    pub(super) public_key: Option<Spanned<PathBuf>>,
    pub(super) relation: Option<Spanned<Parsed<Relation>>>,
    pub(super) subtree: Option<Spanned<Vec<Spanned<Parsed<EntityId>>>>>,
    pub(super) aes: Option<Spanned<Vec<Spanned<Parsed<EntityId>>>>>,
    pub(super) state: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) policy: Policy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) lifetime: Option<Spanned<Parsed<Duration>>>,
    pub(super) ratchet: Option<Spanned<Parsed<Duration>>>,
    pub(super) keepalive: Option<Spanned<Parsed<Duration>>>,
    pub(super) bytes: Option<Spanned<Parsed<Size>>>,
    pub(super) messages: Option<Spanned<u64>>,
    pub(super) failed_opens: Option<Spanned<u64>>,
    pub(super) resume: Option<Vec<Parsed<Mode>>>,
    pub(super) resume_age: Option<Spanned<Parsed<Duration>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Egress {
    pub(super) listen: Spanned<Parsed<SocketAddr>>,
    pub(super) peer: Spanned<Parsed<EntityId>>,
    pub(super) point: Option<Spanned<Parsed<ReferencePoint>>>,
    pub(super) from: Option<Vec<Parsed<EntityId>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingress {
    pub(super) cse: Parsed<Authority>,
    pub(super) points: Spanned<Vec<Parsed<ReferencePoint>>>,
    pub(super) bearer_token: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndToEnd {
    pub(super) authority: Option<PathBuf>,
    pub(super) signing_key: Option<PathBuf>,
    pub(super) publish: Option<Spanned<String>>,
    pub(super) state: Option<PathBuf>,
    pub(super) padding: Option<Spanned<String>>,
    pub(super) rotation: Option<Parsed<Duration>>,
    pub(super) grace: Option<Parsed<Duration>>,
    pub(super) plain_notifications: Option<Parsed<PlainNotifications>>,
    pub(super) poll: Option<Spanned<Parsed<Duration>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contact {
    pub(super) entity: Spanned<Parsed<EntityId>>,
    pub(super) record: Option<PathBuf>,
    pub(super) public_key: Option<PathBuf>,
    pub(super) application_key: Option<PathBuf>,
    pub(super) pre_key: Option<Spanned<String>>,
    pub(super) publish: Option<Spanned<String>>,
    pub(super) letters_to: Option<Spanned<String>>,
    pub(super) letters_from: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    pub(super) resources: Spanned<Vec<Spanned<String>>>,
    pub(super) target: Spanned<String>,
    pub(super) to: Option<Vec<Spanned<Parsed<EntityId>>>>,
    pub(super) from: Option<Vec<Spanned<Parsed<EntityId>>>>,
    pub(super) form: Option<Parsed<Form>>,
    pub(super) expires: Option<Parsed<Duration>>,
}
