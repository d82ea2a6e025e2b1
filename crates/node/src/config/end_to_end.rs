use core::time::Duration;
use std::path::PathBuf;

use refpoint_e2e::{Padding, PreKeyPolicy, Target};
use refpoint_keys::EntityId;

/// What the AE behind this node seals for others, and opens from them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndToEnd {
    /// The file of the authority's verifying key, by which entity records are checked.
    pub authority: Option<PathBuf>,
    /// The file of the key that signs this entity's pre-keys.
    pub signing_key: Option<PathBuf>,
    /// The container in which they are published.
    pub publish: Option<String>,
    /// The directory of what must outlive a restart.
    pub state: Option<PathBuf>,
    /// How sizes are hidden.
    pub padding: Padding,
    /// How pre-keys come and go.
    pub pre_keys: PreKeyPolicy,
    /// Whether notifications that nobody has sealed reach the AE.
    pub plain_notifications: bool,
    /// How often letter boxes are looked into.
    pub poll: Duration,
    /// The other end points.
    pub contacts: Vec<Contact>,
    /// What is sealed.
    pub sealed: Vec<SealedResource>,
}

/// Another end point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact {
    /// Who it is.
    pub entity: EntityId,
    /// By what it is known.
    pub known_by: KnownBy,
    /// The file of the key that both share.
    pub application_key: Option<PathBuf>,
    /// What to retrieve for its present pre-key.
    pub pre_key: Option<String>,
    /// The container in which this entity's pre-keys are published for it, vouched for by the application key.
    pub publish: Option<String>,
    /// The containers through which sessions with it are begun and renewed: where this end posts, and where it does.
    pub boxes: Option<Boxes>,
}

/// The two containers of two ends that have sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boxes {
    /// Where this end posts.
    pub to: String,
    /// Where the other end does.
    pub from: String,
}

/// By what the keys of another end point are known to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    /// The file of a record that the authority signed.
    Record(PathBuf),
    /// The file of its X25519 public key, which this configuration vouches for.
    PublicKey(PathBuf),
}

/// How content is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As objects, which need nothing of their receiver but a pre-key.
    Object,
    /// As letters of a session, which both ends must have begun.
    Session,
}

/// Resources whose content is sealed end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedResource {
    /// The resources, and all below them, as the AE addresses them: forms of `to`.
    pub resources: Vec<String>,
    /// The name that both ends bind what they seal to.
    pub target: Target,
    /// For whom contentInstances that the AE creates there are sealed.
    pub to: Vec<EntityId>,
    /// From whom contentInstances that the AE reads there are taken.
    pub from: Vec<EntityId>,
    /// How the AE's content is sealed, and how others' must be.
    pub form: Form,
    /// For how long what is sealed opens.
    pub expires: Duration,
}

impl SealedResource {
    /// The length of the longest of the resources that `to` is, or lies below.
    pub fn covers(&self, to: &str) -> Option<usize> {
        let below = |resource: &&String| {
            let rest = to.strip_prefix(resource.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.resources.iter().filter(below).map(String::len).max()
    }
}
