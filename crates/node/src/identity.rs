//! The keys of a configuration, loaded and checked against it: what associations are made with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refpoint_association::{Backend, Credential, Credentials, Local, Policy, PublicKey, StaticKey};
use refpoint_keys::{ConnectionKey, EntityId};

use crate::config::{Config, Initiator, Peer};
use crate::key_file::{KeyFile, KeyFileProblem};
use crate::utc;

/// Who this node is and whom it knows, ready for the association core.
#[derive(Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The entity that this node speaks for, with its static key.
    pub local: Local,
    /// A credential for each peer of the configuration.
    pub credentials: Credentials,
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
        if let Some(path) = &config.static_key {
            local = local.with_static_key(static_key(path, &config.entity, backend)?);
        }
        let mut credentials = Credentials::new();
        for peer in &config.peers {
            let credential = credential(peer, &config.entity)?;
            credentials
                .insert(credential)
                .map_err(|problem| IdentityError::Peer {
                    peer: peer.entity.clone(),
                    problem,
                })?;
        }
        Ok(Self { local, credentials })
    }
}

fn credential(peer: &Peer, local: &EntityId) -> Result<Credential, IdentityError> {
    let refused = |problem| IdentityError::Peer {
        peer: peer.entity.clone(),
        problem,
    };
    let key = connection_key(peer, local)?;
    let policy = peer.policy.apply(Policy::default()).map_err(refused)?;
    let credential = Credential::new(local, Arc::new(key), &peer.profiles)
        .and_then(|credential| credential.with_suites(&[peer.suite]))
        .map_err(refused)?
        .with_initiators(
            peer.initiator != Initiator::Peer,
            peer.initiator != Initiator::Local,
        )
        .with_policy(policy);
    match &peer.public_key {
        Some(path) => Ok(credential.with_public_key(public_key(path, &peer.entity)?)),
        None => Ok(credential),
    }
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
