//! The configuration of a node: TOML, checked as a whole when it is read, immutable after.
//!
//! ```toml
//! [node]
//! entity = "//acme.example.com/id-mn"     # who this node speaks for: a CSE, an AE or an NSE
//! static_key = "keys/mn.static"           # needed for the profiles pinned and known
//! drain = "10s"                           # how long a stop waits for requests under way
//! metrics = "127.0.0.1:9464"              # Prometheus text at GET /metrics; absent: none
//! log = "info"                            # a tracing filter; the environment's RUST_LOG wins
//!
//! [limits]                                # all optional; these are the defaults
//! head = "64KiB"                          # of an HTTP message: its first line and headers
//! headers = 128                           # header lines
//! body = "4MiB"                           # bytes after the head
//! head_time = "5s"                        # from the first byte of a head to its last
//! body_time = "20s"                       # for the rest
//! idle_time = "30s"                       # between two messages of a connection
//! connect_time = "2s"                     # to the CSE
//! answer_time = "8s"                      # of the CSE
//! connections = 256                       # on each HTTP listener, and to the CSE
//! exchange_time = "9s"                    # for one request through an association and back
//! in_flight = 64                          # requests an egress carries at once
//! queue = 256                             # requests that may wait for a place; more are refused
//! datagram = "1200B"                      # the largest UDP payload
//! renewal_time = "1min"                   # over which SIGUSR1 spreads the renewal of all associations
//!
//! [store]                                 # optional: what outlives the process, so that peers resume after a restart
//! directory = "state"                     # made if need be, for its owner only; of this node alone
//! key_directory = "/run/refpoint"         # of the keys that open it; absent: beside what they open
//! missing_keys = "start-empty"            # where a reboot takes them on purpose; or "refuse", the default
//! bucket = "1h"                           # after its expiry a handle can be read for so long at most
//!
//! [policy.x]                              # what all peers on x have; a peer's own policy wins. Also y, y-prime, z
//! resume = ["light", "fresh"]             # the default on x; ["fresh"] elsewhere; [] is a full handshake each time
//! resume_age = "7d"                       # after a full handshake, until another is due
//!
//! [[listen]]                              # where associations come in
//! address = "0.0.0.0:7000"
//! carriage = "tcp"
//! points = ["y"]                          # of one kind: x, or z, or y with y-prime
//!
//! [[listen]]
//! address = "0.0.0.0:7001"
//! carriage = "udp"                        # reference point x only
//! points = ["x"]
//!
//! [[peer]]                                # whom this node knows; nobody else gets an association
//! entity = "//acme.example.com/id-in"
//! point = "y"                             # x, y, y-prime or z
//! address = "192.0.2.1:7000"              # needed when this node initiates
//! initiator = "self"                      # or "peer" or "either"
//! profiles = ["known"]                    # psk, pinned, known: the first is used when initiating
//! connection_key = "keys/mn-in.connection"
//! public_key = "keys/in.public"           # for pinned and known
//! relation = "registrar"                  # y only: what the peer is to this node
//! suite = "aes-gcm"                       # or "chacha-poly", the default on x; the same at both ends
//! policy = { lifetime = "12h", ratchet = "2min" }
//!                                         # also: keepalive, bytes, messages, failed_opens, resume, resume_age
//!
//! [[egress]]                              # HTTP in, association out
//! listen = "127.0.0.1:18090"
//! peer = "//acme.example.com/id-in"
//! from = ["//acme.example.com/id-mn"]     # originators that may use it; absent: any the peer allows
//!
//! [[ingress]]                             # association in, HTTP out
//! cse = "http://127.0.0.1:18081"
//! points = ["y"]
//! bearer_token = "keys/mn.token"          # sent as Authorization; a peer's own is dropped then
//! ```
//!
//! A node beside an AE may also seal what the AE creates, and open what it reads ([`crate::end_to_end`]); the AE, and every
//! node in between, know nothing of it:
//!
//! ```toml
//! [end_to_end]                            # needs static_key in [node], and one [[egress]]
//! authority = "keys/authority.verifying"  # whose signature on entity records counts
//! signing_key = "keys/display.signing"    # signs this entity's pre-keys
//! publish = "cse-in/display/pre-keys"     # the container in which they are published
//! state = "state"                         # what must outlive a restart; absent: it is forgotten
//! padding = "64B"                         # a multiple, or "padme"; absent: none
//! rotation = "1d"                         # a new pre-key so often, good for twice as long
//! grace = "7d"                            # then it is kept for so long, and destroyed
//! plain_notifications = "refuse"          # or "allow": what nobody has sealed reaches the AE
//! poll = "10s"                            # how often letters_from is looked into
//!
//! [[contact]]                             # another end point
//! entity = "//acme.example.com/id-mn/CSensor1"
//! record = "keys/sensor1.record"          # its keys, signed by the authority; or its public_key
//! application_key = "keys/sensor1-display.application" # needed with public_key
//! pre_key = "/id-mn/cse-mn/sensor/pre-keys/la"         # needed to seal for it
//! publish = "cse-in/display/for-sensor1"  # pre-keys for it alone, vouched for by the application key
//! letters_to = "/id-mn/cse-mn/sensor/box" # for sessions: where this end posts what begins and renews them
//! letters_from = "cse-in/display/box"     # and where the other does
//!
//! [[sealed]]                              # contentInstances in these resources, and below them
//! resources = ["/id-mn/cse-mn/sensor/data"] # as the AE addresses them: every form that it uses
//! target = "//acme.example.com/id-mn/cse-mn/sensor/data" # the name that both ends use
//! from = ["//acme.example.com/id-mn/CSensor1"] # whose content is taken
//! to = ["//acme.example.com/id-mn/CSensor1"]   # for whom the AE's is sealed: several share one object
//! form = "object"                         # or "session", with one receiver
//! expires = "1d"                          # for how long it opens
//! ```
//!
//! Paths are relative to the configuration's directory. Durations are written `500ms`, `30s`, `5min`, `2h`, `7d`,
//! sizes `1200B`, `64KiB`, `4MiB`, `1GiB`.
//!
//! A peer on `y` that registers here has `relation = "registree"` and lists in `subtree` the CSEs below it, and the AEs
//! whose stem begins with `S`, for which it may speak besides itself and its own AEs. A peer on `x` lists in `aes` the AEs behind it, if they are more than itself.

mod check;
mod end_to_end;
mod error;
mod file;
mod read;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};

use refpoint_association::{Modes, Policy, Suite};
use refpoint_keys::{EntityId, Profile, ReferencePoint};
use refpoint_store::{BucketLength, MissingKeys};

use crate::http::{Authority, HttpLimits};

pub use end_to_end::{Boxes, Contact, EndToEnd, Form, KnownBy, SealedResource};
pub use error::{ConfigError, LineError};
pub use read::parse_duration;

/// A whole configuration. It is only made by [`Config::load`] and [`Config::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Who this node speaks for.
    pub entity: EntityId,
    /// The file of its X25519 private key.
    pub static_key: Option<PathBuf>,
    /// How long a stop waits for requests under way.
    pub drain: Duration,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The tracing filter.
    pub log: String,
    /// Bounds on bytes, time and queues.
    pub limits: Limits,
    /// Where what outlives the process is kept.
    pub store: Option<Store>,
    /// Where associations come in.
    pub listen: Vec<Listen>,
    /// Whom this node knows.
    pub peers: Vec<Peer>,
    /// Where HTTP comes in.
    pub egress: Vec<Egress>,
    /// Where HTTP goes out.
    pub ingress: Vec<Ingress>,
    /// What is sealed end to end.
    pub end_to_end: Option<EndToEnd>,
}

/// Bounds on what a node takes and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Of HTTP on the CSE's side.
    pub http: HttpLimits,
    /// For one request through an association and back; below the ten seconds that ACME waits.
    pub exchange_time: Duration,
    /// Requests that an egress carries at once.
    pub in_flight: usize,
    /// Requests that may wait for a place in an egress.
    pub queue: usize,
    /// The largest UDP payload that is sent.
    pub datagram: usize,
    /// Over which the renewal of all associations is spread, when it is asked for before its time.
    pub renewal_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: HttpLimits::default(),
            exchange_time: Duration::from_secs(9),
            in_flight: 64,
            queue: 256,
            datagram: 1200,
            renewal_time: Duration::from_secs(60),
        }
    }
}

/// Where a node keeps the handles that it issues, and those that it holds for streams, so that peers are back with one
/// small exchange after a restart of either end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Store {
    /// Its directory, of this node alone.
    pub directory: PathBuf,
    /// The directory of the keys that open it, if they are not in it.
    pub key_directory: Option<PathBuf>,
    /// What it means when they are gone.
    pub missing_keys: MissingKeys,
    /// For how long a handle can be read after its expiry.
    pub bucket: BucketLength,
}

/// An address at which associations come in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// Datagrams or streams.
    pub carriage: Carriage,
    /// The reference points that are served there.
    pub points: Vec<ReferencePoint>,
}

/// What associations travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carriage {
    /// Streams, with gRPC inside.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Who sends the first message of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This node.
    Local,
    /// The peer.
    Peer,
    /// Whoever needs one first.
    Either,
}

/// What a peer on Y is to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// This node's CSE registers with it: it forwards for everybody but this node's own subtree.
    Registrar,
    /// It registers here: it speaks for itself and its subtree.
    Registree,
}

/// An entity with which this node may have associations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Who it is.
    pub entity: EntityId,
    /// The reference point between it and this node.
    pub point: ReferencePoint,
    /// Where to connect.
    pub address: Option<SocketAddr>,
    /// What associations with it travel in.
    pub carriage: Carriage,
    /// Who initiates.
    pub initiator: Initiator,
    /// The profiles that are accepted; the first is used when initiating.
    pub profiles: Vec<Profile>,
    /// The suite that is used and accepted; unless stated, ChaChaPoly on X and AES-GCM elsewhere.
    pub suite: Suite,
    /// The file of the connection key.
    pub connection_key: PathBuf,
    /// The file of its X25519 public key.
    pub public_key: Option<PathBuf>,
    /// On Y, what it is to this node.
    pub relation: Option<Relation>,
    /// On Y, the CSEs and AEs for which it may speak besides itself and its own AEs.
    pub subtree: Vec<EntityId>,
    /// On X, the AEs as which it may speak besides itself.
    pub aes: Vec<EntityId>,
    /// On X over UDP, when this node initiates: the file that brings its association back after a loss of power.
    pub state: Option<PathBuf>,
    /// What differs from the defaults of its reference point.
    pub policy: PolicyOverrides,
}

/// What a peer's associations have other than their reference point's defaults (CM10).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyOverrides {
    /// How long an association lives at most.
    pub lifetime: Option<Duration>,
    /// Between two ratchets of its traffic keys.
    pub ratchet: Option<Duration>,
    /// Between two signs of life on datagrams.
    pub keepalive: Option<Duration>,
    /// Bytes that it carries in a direction.
    pub bytes: Option<u64>,
    /// Messages that it carries in a direction.
    pub messages: Option<u64>,
    /// Failed opens per key after which it is refreshed.
    pub failed_opens: Option<u64>,
    /// By which modes it is resumed.
    pub resume: Option<Modes>,
    /// Until how long after a full handshake.
    pub resume_age: Option<Duration>,
}

impl PolicyOverrides {
    /// The policy `base` with these values in place of its own.
    ///
    /// # Errors
    ///
    /// When a value is out of its range; a checked configuration has none such.
    pub fn apply(&self, mut base: Policy) -> Result<Policy, refpoint_association::Error> {
        if let Some(lifetime) = self.lifetime {
            base = base.with_lifetime(lifetime)?;
        }
        if self.ratchet.is_some() {
            base = base.with_ratchet(self.ratchet)?;
        }
        if self.keepalive.is_some() {
            base = base.with_keepalive(self.keepalive)?;
        }
        if let Some(bytes) = self.bytes {
            base = base.with_bytes(bytes)?;
        }
        if let Some(messages) = self.messages {
            base = base.with_messages(messages)?;
        }
        if let Some(failed) = self.failed_opens {
            base = base.with_failed_opens(failed)?;
        }
        let modes = self.resume.unwrap_or(base.resumption());
        let age = self.resume_age.unwrap_or(base.resumption_age());
        Ok(base.with_resumption(modes, age))
    }

    /// These values, and those of `other` where these say nothing.
    #[must_use]
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            lifetime: self.lifetime.or(other.lifetime),
            ratchet: self.ratchet.or(other.ratchet),
            keepalive: self.keepalive.or(other.keepalive),
            bytes: self.bytes.or(other.bytes),
            messages: self.messages.or(other.messages),
            failed_opens: self.failed_opens.or(other.failed_opens),
            resume: self.resume.or(other.resume),
            resume_age: self.resume_age.or(other.resume_age),
        }
    }
}

/// An HTTP listener whose requests go through an association to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Egress {
    /// The address for HTTP.
    pub listen: SocketAddr,
    /// The peer.
    pub peer: EntityId,
    /// The reference point.
    pub point: ReferencePoint,
    /// The originators that may use this listener; none listed: any.
    pub from: Vec<EntityId>,
}

/// The CSE (or AE) that gets what arrives on some reference points.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ingress {
    /// Its HTTP server.
    pub cse: Authority,
    /// The reference points.
    pub points: Vec<ReferencePoint>,
    /// The file of the bearer token that is added.
    pub bearer_token: Option<PathBuf>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or names the first line and key that cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self::parse(&text, path.parent().unwrap_or(Path::new("")))?)
    }

    /// Checks the configuration `text`, whose paths are relative to `directory`.
    ///
    /// # Errors
    ///
    /// Names the first line and key that cannot be used.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, LineError> {
        let file = toml::from_str(text).map_err(|error| LineError::from_toml(text, &error))?;
        check::Check::new(text, directory).config(file)
    }

    /// The peer `entity` at `point`.
    pub fn peer(&self, entity: &EntityId, point: ReferencePoint) -> Option<&Peer> {
        self.peers
            .iter()
            .find(|peer| peer.entity == *entity && peer.point == point)
    }

    /// The ingress of what arrives on `point`.
    pub fn ingress(&self, point: ReferencePoint) -> Option<&Ingress> {
        self.ingress
            .iter()
            .find(|ingress| ingress.points.contains(&point))
    }
}
