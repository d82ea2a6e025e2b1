//! The ways to peers: links that this node made, and those over associations that peers made.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_primitive::{Failure, RequestMessage, ResponseMessage};
use refpoint_transport::{Datagrams, Link, Links, X, Y, Z};

use super::point::Point;
use crate::carrier::Carrier;

/// Who is meant: one entity may be a peer at several reference points.
pub(super) type To = (EntityId, ReferencePoint);

/// The ways of one service.
#[derive(Debug)]
pub(super) struct Ways<S: Point> {
    made: HashMap<To, Link<S>>,
    taken: Vec<Links<S>>,
}

/// The ways in datagrams: X only.
#[derive(Debug, Default)]
pub(super) struct DatagramWays {
    made: HashMap<EntityId, Datagrams>,
    taken: Vec<Datagrams>,
}

/// The ways of all.
#[derive(Debug, Default)]
pub(super) struct AllWays {
    datagrams: Mutex<DatagramWays>,
    x: Mutex<Ways<X>>,
    y: Mutex<Ways<Y>>,
    z: Mutex<Ways<Z>>,
}

/// A service whose ways are in the table.
pub(super) trait Routed: Point {
    /// Its ways.
    fn ways(all: &AllWays) -> MutexGuard<'_, Ways<Self>>;
}

impl<S: Point> Default for Ways<S> {
    fn default() -> Self {
        Self {
            made: HashMap::new(),
            taken: Vec::new(),
        }
    }
}

impl<S: Point> Ways<S> {
    /// This node makes associations with the peer: over `link`.
    pub(super) fn insert(&mut self, to: To, link: Link<S>) -> Option<Link<S>> {
        self.made.insert(to, link)
    }

    /// This node makes none any more.
    pub(super) fn remove(&mut self, to: &To) -> Option<Link<S>> {
        self.made.remove(to)
    }

    /// Peers make associations: with `links`.
    pub(super) fn listen(&mut self, links: Links<S>) {
        self.taken.push(links);
    }

    /// Ends the links that this node made.
    pub(super) fn close(&mut self) {
        self.made.drain().for_each(|(_, link)| link.close());
    }

    /// Every link, whoever made its association.
    fn links(&self) -> Vec<Link<S>> {
        let taken = self.taken.iter().flat_map(|links| {
            let peers = links.peers();
            peers.into_iter().filter_map(|peer| links.find(&peer))
        });
        self.made.values().cloned().chain(taken).collect()
    }

    /// The link over which to ask: one that is up, whoever made it, or else the one that this node is making.
    fn find(&self, to: &To) -> Option<Link<S>> {
        let made = self.made.get(to);
        if let Some(link) = made.filter(|link| link.association().is_some()) {
            return Some(link.clone());
        }
        let is_at_point = |link: &Link<S>| {
            link.association()
                .is_some_and(|association| association.peer().point == to.1)
        };
        let mut taken = self.taken.iter().filter_map(|links| links.find(&to.0));
        taken.find(is_at_point).or_else(|| made.cloned())
    }
}

impl DatagramWays {
    /// This node makes associations with `peer` from this socket.
    pub(super) fn insert(&mut self, peer: EntityId, from: Datagrams) {
        self.made.insert(peer, from);
    }

    /// This node makes none any more.
    pub(super) fn remove(&mut self, peer: &EntityId) -> Option<Datagrams> {
        self.made.remove(peer)
    }

    /// Peers make associations at this socket.
    pub(super) fn listen(&mut self, datagrams: Datagrams) {
        self.taken.push(datagrams);
    }

    /// Every socket.
    pub(super) fn sockets(&self) -> Vec<Datagrams> {
        self.made.values().chain(&self.taken).cloned().collect()
    }

    /// Lets go of every socket; returns who was to be reached from which.
    pub(super) fn close(&mut self) -> Vec<(EntityId, Datagrams)> {
        self.taken.clear();
        self.made.drain().collect()
    }

    /// The socket from which to ask: the one with an association, or else the one that makes one.
    fn find(&self, peer: &EntityId) -> Option<Datagrams> {
        let made = self.made.get(peer);
        let all = made.into_iter().chain(&self.taken);
        let mut up = all.filter(|datagrams| datagrams.association(peer).is_some());
        up.next().or(made).cloned()
    }
}

impl AllWays {
    /// Those in datagrams.
    pub(super) fn datagrams(&self) -> MutexGuard<'_, DatagramWays> {
        self.datagrams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// For each link what renews its association.
    pub(super) fn renewals(&self) -> Vec<Box<dyn FnOnce() + Send>> {
        fn of<S: Routed>(all: &AllWays) -> impl Iterator<Item = Box<dyn FnOnce() + Send>> {
            let links = S::ways(all).links().into_iter();
            links.map(|link| -> Box<dyn FnOnce() + Send> { Box::new(move || link.renew()) })
        }
        of::<X>(self)
            .chain(of::<Y>(self))
            .chain(of::<Z>(self))
            .collect()
    }
}

impl Routed for X {
    fn ways(all: &AllWays) -> MutexGuard<'_, Ways<Self>> {
        all.x.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routed for Y {
    fn ways(all: &AllWays) -> MutexGuard<'_, Ways<Self>> {
        all.y.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routed for Z {
    fn ways(all: &AllWays) -> MutexGuard<'_, Ways<Self>> {
        all.z.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries requests to one peer, over whatever association there is with it at that moment.
#[derive(Debug)]
pub struct Transport {
    ways: Arc<AllWays>,
    to: To,
    patience: Duration,
}

impl Transport {
    pub(super) fn new(ways: &Arc<AllWays>, to: To, patience: Duration) -> Self {
        Self {
            ways: Arc::clone(ways),
            to,
            patience,
        }
    }

    async fn over<S: Routed>(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        let link = S::ways(&self.ways).find(&self.to);
        let link = link.ok_or(Failure::NoAssociation)?;
        let ask = S::message(request.clone())?;
        let response = link.exchange_within(self.patience, ask).await?;
        S::read_answer(response, &request)
    }

    async fn over_x(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        let datagrams = self.ways.datagrams().find(&self.to.0);
        let Some(datagrams) = datagrams else {
            return self.over::<X>(request).await;
        };
        let ask = X::message(request.clone())?;
        let exchange = datagrams.exchange_within(self.patience, &self.to.0, ask);
        let response = exchange.await.map_err(|error| {
            tracing::debug!(peer = %self.to.0, %error, "not carried");
            error.failure()
        })?;
        X::read_answer(response, &request)
    }
}

impl Carrier for Transport {
    async fn exchange(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        match self.to.1 {
            ReferencePoint::X => self.over_x(request).await,
            ReferencePoint::Y | ReferencePoint::YPrime => self.over::<Y>(request).await,
            ReferencePoint::Z => self.over::<Z>(request).await,
            ReferencePoint::EndToEnd => Err(Failure::Internal),
        }
    }
}
