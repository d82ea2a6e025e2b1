//! The keys of a configuration, loaded and checked against it: what associations are made with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refpoint_association::{Backend, Credential, Credentials, Local, PublicKey, StaticKey};
use refpoint_keys::{ConnectionKey, EntityId, ReferencePoint};

use crate::config::{Config, Initiator, Peer};
use crate::key_file::{KeyFile, KeyFileProblem};
use crate::layers::default_policy;
use crate::utc;

/// Who this node is and whom it knows, ready for the association core.
#[derive(Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The entity that this node speaks for, with its static key.
    pub local: Local,
    /// The public half of that static key.
    pub public_key: Option<PublicKey>,
    /// The peers of the configuration, in its order.
    pub peers: Vec<Known>,
}

/// A peer of the configuration with its credential.
#[derive(Debug)]
#[non_exhaustive]
pub struct Known {
    /// What the configuration says of it.
    pub peer: Peer,
    /// What its associations are made with.
    pub credential: Credential,
    key: Arc<ConnectionKey>,
    public_key: Option<PublicKey>,
}

/// Why the keys of a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileProblem),
    /// A key file holds another key than the configuration says.
    #[error("{}: {problem}", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        problem: String,
    },
    /// The association core refuses a peer.
    #[error("peer {peer}: {problem}")]
    Peer {
        /// The peer.
        peer: EntityId,
        /// Why.
        problem: refpoint_association::Error,
    },
}

impl Identity {
    /// Loads the key files that `config` names.
    ///
    /// A connection key that has expired is no error here: its peer gets no association, and a warning says so.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, holds another kind of key, or the key of others.
    pub fn load(config: &Config, backend: Backend) -> Result<Self, IdentityError> {
        let mut local = Local::new(config.entity.clone());
        let mut own = None;
        if let Some(path) = &config.static_key {
            let key = static_key(path, &config.entity, backend)?;
            own = Some(key.public_key());
            local = local.with_static_key(key);
        }
        let peers = config.peers.iter().map(|peer| known(peer, &config.entity));
        let identity = Self {
            local,
            public_key: own,
            peers: peers.collect::<Result<_, _>>()?,
        };
        // The table refuses what no handshake could tell apart: better now than later.
        identity.credentials()?;
        Ok(identity)
    }

    /// The credentials as a table.
    ///
    /// # Errors
    ///
    /// When two peers share a key id at a reference point, or a public key.
    pub fn credentials(&self) -> Result<Credentials, IdentityError> {
        let mut credentials = Credentials::new();
        for known in &self.peers {
            credentials
                .insert(known.credential.clone())
                .map_err(|problem| IdentityError::Peer {
                    peer: known.peer.entity.clone(),
                    problem,
                })?;
        }
        Ok(credentials)
    }

    /// The peer `entity` at `point`.
    pub fn known(&self, entity: &EntityId, point: ReferencePoint) -> Option<&Known> {
        self.peers
            .iter()
            .find(|known| known.peer.entity == *entity && known.peer.point == point)
    }
}

impl Known {
    /// Whether nothing about the peer differs, its keys included, so that its associations can go on.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.key, &other.key);
        // In constant time: which key differs is nobody's business, nor where.
        let difference = mine
            .expose_bytes()
            .iter()
            .zip(theirs.expose_bytes())
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        self.peer == other.peer
            && mine.id() == theirs.id()
            && mine.validity() == theirs.validity()
            && core::hint::black_box(difference) == 0
            && self.public_key == other.public_key
    }
}

fn known(peer: &Peer, local: &EntityId) -> Result<Known, IdentityError> {
    let refused = |problem| IdentityError::Peer {
        peer: peer.entity.clone(),
        problem,
    };
    let key = Arc::new(connection_key(peer, local)?);
    let policy = default_policy(peer.point)
        .and_then(|policy| peer.policy.apply(policy))
        .map_err(refused)?;
    let mut credential = Credential::new(local, Arc::clone(&key), &peer.profiles)
        .and_then(|credential| credential.with_suites(&[peer.suite]))
        .map_err(refused)?
        .with_initiators(
            peer.initiator != Initiator::Peer,
            peer.initiator != Initiator::Local,
        )
        .with_policy(policy);
    let public_key = match &peer.public_key {
        Some(path) => Some(public_key(path, &peer.entity)?),
        None => None,
    };
    if let Some(key) = public_key {
        credential = credential.with_public_key(key);
    }
    Ok(Known {
        peer: peer.clone(),
        credential,
        key,
        public_key,
    })
}

fn static_key(path: &Path, owner: &EntityId, backend: Backend) -> Result<StaticKey, IdentityError> {
    match KeyFile::load(path)? {
        KeyFile::Static { entity, key } if entity == *owner => {
            StaticKey::from_bytes(key.expose_bytes(), backend).map_err(|problem| {
                IdentityError::Peer {
                    peer: entity,
                    problem,
                }
            })
        }
        _ => Err(wrong(path, format!("not the static key of {owner}"))),
    }
}

fn public_key(path: &Path, owner: &EntityId) -> Result<PublicKey, IdentityError> {
    match KeyFile::load(path)? {
        KeyFile::Public { entity, key } if entity == *owner => Ok(PublicKey::new(key)),
        _ => Err(wrong(path, format!("not the public key of {owner}"))),
    }
}

fn connection_key(peer: &Peer, local: &EntityId) -> Result<ConnectionKey, IdentityError> {
    let path = &peer.connection_key;
    match KeyFile::load(path)? {
        KeyFile::Connection(key)
            if key.peer_of(local) == Some(&peer.entity) && key.point() == peer.point =>
        {
            if key.validity().is_over(utc::now()) {
                tracing::warn!(peer = %peer.entity, file = %path.display(), "the connection key has expired: make a new one");
            }
            Ok(key)
        }
        _ => Err(wrong(
            path,
            format!(
                "not the connection key of {local} and {} at {}",
                peer.entity, peer.point
            ),
        )),
    }
}

fn wrong(path: &Path, problem: String) -> IdentityError {
    IdentityError::WrongKey {
        path: path.to_owned(),
        problem,
    }
}
