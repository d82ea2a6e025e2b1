use core::fmt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_keys::EntityId;

use crate::{Association, Link, Service};

/// The links over associations that peers have made, by peer.
pub struct Links<S: Service>(Arc<Mutex<Table<S>>>);

struct Table<S: Service> {
    /// The newest last.
    by_peer: HashMap<EntityId, Vec<Link<S>>>,
    is_stopping: bool,
}

impl<S: Service> Links<S> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table {
            by_peer: HashMap::new(),
            is_stopping: false,
        })))
    }

    /// The link with `peer`: the newest, if it has made several associations.
    #[must_use]
    pub fn find(&self, peer: &EntityId) -> Option<Link<S>> {
        let table = self.table();
        let links = table.by_peer.get(peer)?;
        let open = links.iter().rev().find(|link| link.association().is_some());
        open.cloned()
    }

    /// The peers with links.
    #[must_use]
    pub fn peers(&self) -> Vec<EntityId> {
        self.table().by_peer.keys().cloned().collect()
    }

    /// Lists a link while the returned value lives; none if its association has one.
    pub(crate) fn hold(&self, link: Link<S>) -> Option<Held<S>> {
        let association = link.association()?;
        let peer = association.peer().entity;
        let mut table = self.table();
        if table.is_stopping {
            return None;
        }
        let links = table.by_peer.entry(peer.clone()).or_default();
        if links.iter().any(|other| other.is_over(&association)) {
            return None;
        }
        links.push(link);
        let links = self.clone();
        Some(Held {
            links,
            peer,
            association,
        })
    }

    /// Ends the streams on which this end asks; no further ones are taken.
    pub(crate) fn stop(&self) {
        let mut table = self.table();
        table.is_stopping = true;
        let links: Vec<_> = table.by_peer.values().flatten().cloned().collect();
        drop(table);
        links.iter().for_each(Link::stop);
    }

    fn table(&self) -> MutexGuard<'_, Table<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listed link.
pub(crate) struct Held<S: Service> {
    links: Links<S>,
    peer: EntityId,
    association: Association,
}

impl<S: Service> Drop for Held<S> {
    fn drop(&mut self) {
        let mut table = self.links.table();
        if let Some(links) = table.by_peer.get_mut(&self.peer) {
            links.retain(|link| !link.is_over(&self.association));
            if links.is_empty() {
                table.by_peer.remove(&self.peer);
            }
        }
    }
}

impl<S: Service> Clone for Links<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Service> fmt::Debug for Links<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links").field(&self.peers()).finish()
    }
}
