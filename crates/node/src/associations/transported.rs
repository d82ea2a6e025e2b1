//! A node's associations as `refpoint-transport` makes them.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use refpoint_association::CloseReason;
use refpoint_keys::{EntityId, EntityKind, ReferencePoint};
use refpoint_transport::{
    Connector, DatagramLimits, Datagrams, DeviceFile, Incoming, Keyring, Limits, Link, Persistence,
    Server, X, Y, Z,
};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Associations;
use super::answering::{Answering, Shared, UNDER_WAY};
use super::handles::{Handles, Left};
use super::ways::{AllWays, Routed, Transport};
use crate::config::{Carriage, Config, Initiator, Listen, Peer, Relation};
use crate::drain::Drain;
use crate::identity::{Identity, Known};
use crate::inbound::Inbound;
use crate::layers::Layers;

/// How often the number of live associations is noted.
const NOTE: Duration = Duration::from_secs(1);

/// How often it is looked at while a node stops.
const LOOK: Duration = Duration::from_millis(20);

/// Associations over TCP (X, Y and Z, in gRPC) and over UDP (X).
///
/// ```text
/// Transport (a Carrier) ─► Ways ─► Link ═══ association ═══ peer
/// Inbound ◄─ Answering ◄─ layer ◄─ Link or Server ═══ the same ═══ peer
/// ```
#[derive(Debug)]
pub struct Transported {
    keyring: Keyring,
    shared: Arc<Shared>,
    ways: Arc<AllWays>,
    limits: Limits,
    datagram_limits: DatagramLimits,
    addresses: Vec<SocketAddr>,
    handles: Vec<Handles>,
    known: tokio::sync::Mutex<(Config, Vec<Known>)>,
    /// What ends with this value: listeners and the note-taker.
    tasks: Mutex<JoinSet<()>>,
}

impl Associations for Transported {
    type Carrier = Transport;

    async fn start(
        config: &Config,
        identity: Identity,
        inbound: Arc<Inbound>,
        drain: Drain,
    ) -> anyhow::Result<Self> {
        let credentials = identity.credentials()?;
        let patience = config.limits.exchange_time;
        let Left {
            mut datagrams,
            streams,
            handles,
        } = Left::open(config)?;
        let keyring = Keyring::new(identity.local, credentials).with_persistence(streams);
        let mut this = Self {
            keyring,
            shared: Arc::new(Shared {
                layers: Layers::new(config)?,
                inbound,
                patience,
                begun: Instant::now(),
                drain: drain.clone(),
                under_way: Semaphore::new(UNDER_WAY),
            }),
            ways: Arc::default(),
            limits: limits(config),
            datagram_limits: datagram_limits(config),
            addresses: Vec::new(),
            handles,
            known: tokio::sync::Mutex::new((config.clone(), identity.peers)),
            tasks: Mutex::default(),
        };
        for listen in &config.listen {
            // The configuration has one listener on UDP at most when there is a store.
            let kept = match listen.carriage {
                Carriage::Udp => core::mem::take(&mut datagrams),
                Carriage::Tcp => Persistence::default(),
            };
            let address = this.listen(listen, kept, &drain).await?;
            tracing::info!(%address, points = ?listen.points, "associations come in");
            this.addresses.push(address);
        }
        for peer in &config.peers {
            this.connect(peer, config).await?;
        }
        let (keyring, ways) = (this.keyring.clone(), Arc::clone(&this.ways));
        this.tasks().spawn(async move {
            loop {
                note(&keyring);
                count(&ways).await;
                sleep(NOTE).await;
            }
        });
        Ok(this)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    fn carrier(&self, peer: &EntityId, point: ReferencePoint) -> Transport {
        Transport::new(&self.ways, (peer.clone(), point), self.shared.patience)
    }

    async fn reload(&self, config: &Config, identity: Identity) -> anyhow::Result<()> {
        // Refused here rather than half-way.
        Layers::new(config)?;
        identity.credentials()?;
        let mut known = self.known.lock().await;
        let (old_config, old) = &mut *known;
        let unchanged = |one: &Known, others: &[Known]| {
            others
                .iter()
                .any(|other| same_place(&one.peer, &other.peer) && one.is_same_as(other))
        };
        let gone = || old.iter().filter(|old| !unchanged(old, &identity.peers));
        let come = || identity.peers.iter().filter(|new| !unchanged(new, old));
        for known in gone() {
            self.disconnect(&known.peer).await;
        }
        self.shared.layers.reload(old_config, config)?;
        let local = identity.local;
        self.keyring.update(|present, credentials| {
            *present = local;
            for known in gone() {
                let (entity, point) = (&known.peer.entity, known.peer.point);
                let ids = credentials.of_peer(entity, point).to_vec();
                for id in ids {
                    credentials.remove(id);
                }
            }
            come().try_for_each(|known| credentials.insert(known.credential.clone()).map(drop))
        })?;
        for known in come() {
            self.connect(&known.peer, config).await?;
        }
        for (what, list) in [("gone", gone().count()), ("come", come().count())] {
            tracing::debug!(what, peers = list, "peers differ");
        }
        *known = (config.clone(), identity.peers);
        Ok(())
    }

    async fn close(&self) {
        let patience = self.known.lock().await.0.drain / 2;
        // What peers have asked is answered first: no more is taken since the drain has begun.
        let all = u32::try_from(UNDER_WAY).unwrap_or(u32::MAX);
        let _ = timeout(patience, self.shared.under_way.acquire_many(all)).await;
        // The last answers are on their way to a socket.
        sleep(2 * LOOK).await;
        X::ways(&self.ways).close();
        Y::ways(&self.ways).close();
        Z::ways(&self.ways).close();
        let datagrams = self.ways.datagrams().close();
        for (peer, datagrams) in datagrams {
            datagrams.forget(peer).await;
        }
        // Both ends of a stream say good-bye by themselves, most often.
        let end = Instant::now() + patience;
        while self.keyring.associations() > 0 && Instant::now() < end {
            sleep(LOOK).await;
        }
        self.keyring.close(CloseReason::Done);
        while self.keyring.associations() > 0 {
            sleep(LOOK).await;
        }
        note(&self.keyring);
        for handles in &self.handles {
            handles.flush().await;
        }
    }
}

impl Transported {
    /// How many associations live.
    pub fn live(&self) -> usize {
        self.keyring.associations()
    }

    /// Has all associations renewed within about so long, evenly: a key may have become known to others.
    pub async fn renew_all(&self, within: Duration) {
        let sockets = self.ways.datagrams().sockets();
        for datagrams in sockets {
            datagrams.renew_all(within).await;
        }
        let mut renewals = self.ways.renewals();
        let pause = within / u32::try_from(renewals.len().max(1)).unwrap_or(u32::MAX);
        self.tasks().spawn(async move {
            while let Some(renew) = renewals.pop() {
                renew();
                sleep(pause).await;
            }
        });
    }

    async fn listen(
        &self,
        listen: &Listen,
        kept: Persistence,
        drain: &Drain,
    ) -> anyhow::Result<SocketAddr> {
        let context = || format!("cannot listen on {}", listen.address);
        if listen.carriage == Carriage::Udp {
            let datagrams = self.datagrams(listen.address, kept).await;
            let datagrams = datagrams.with_context(context)?;
            let address = datagrams.local_addr();
            self.ways.datagrams().listen(datagrams);
            return Ok(address);
        }
        let listener = TcpListener::bind(listen.address)
            .await
            .with_context(context)?;
        let address = listener.local_addr()?;
        let incoming = Incoming::new(listener, self.keyring.clone());
        match listen.points.first() {
            Some(ReferencePoint::X) => self.serve::<X>(incoming, listen, drain),
            Some(ReferencePoint::Z) => self.serve::<Z>(incoming, listen, drain),
            _ => self.serve::<Y>(incoming, listen, drain),
        }
        Ok(address)
    }

    fn serve<S: Routed>(&self, incoming: Incoming, listen: &Listen, drain: &Drain) {
        let handler = Answering::<S>::new(&self.shared, &listen.points);
        let server = Server::new(handler, self.limits);
        S::ways(&self.ways).listen(server.links());
        let drain = drain.clone();
        self.tasks().spawn(async move {
            let stop = async move { drain.begun().await };
            if let Err(error) = server.serve(incoming, stop).await {
                tracing::error!(%error, service = S::NAME, "a listener failed");
            }
        });
    }

    async fn datagrams(&self, address: SocketAddr, kept: Persistence) -> anyhow::Result<Datagrams> {
        let socket = UdpSocket::bind(address).await?;
        let handler = Answering::<X>::new(&self.shared, &[ReferencePoint::X]);
        let (config, limits) = (
            refpoint_association::Config::default(),
            self.datagram_limits,
        );
        Ok(Datagrams::start_persistent(
            socket,
            &self.keyring,
            config,
            handler,
            limits,
            kept,
        )?)
    }

    /// Makes associations with `peer` from now on, if that is this node's part.
    async fn connect(&self, peer: &Peer, config: &Config) -> anyhow::Result<()> {
        if peer.carriage == Carriage::Udp {
            return self.reach(peer).await;
        }
        match peer.point {
            ReferencePoint::X => self.link::<X>(peer, config),
            ReferencePoint::Y | ReferencePoint::YPrime => self.link::<Y>(peer, config),
            ReferencePoint::Z => self.link::<Z>(peer, config),
            ReferencePoint::EndToEnd => Ok(()),
        }
    }

    /// From a socket of its own: the listening ones may be bound to other interfaces.
    async fn reach(&self, peer: &Peer) -> anyhow::Result<()> {
        let Some(address) = to_connect(peer) else {
            return Ok(());
        };
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (core::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (core::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let context = || format!("peer {}", peer.entity);
        let kept = match &peer.state {
            Some(path) => {
                let context = || format!("the state of peer {} in {}", peer.entity, path.display());
                Persistence::default().with_device(DeviceFile::open(path).with_context(context)?)
            }
            None => Persistence::default(),
        };
        let datagrams = self.datagrams(any, kept).await.with_context(context)?;
        datagrams.reach(peer.entity.clone(), address).await;
        self.ways.datagrams().insert(peer.entity.clone(), datagrams);
        Ok(())
    }

    fn link<S: Routed>(&self, peer: &Peer, config: &Config) -> anyhow::Result<()> {
        let Some(address) = to_connect(peer) else {
            return Ok(());
        };
        let target = format!("http://{address}").parse()?;
        let connector = Connector::new(self.keyring.clone(), peer.point, peer.entity.clone());
        let handler = Answering::<S>::new(&self.shared, &[peer.point]);
        let link = Link::<S>::connect(connector, &target, handler, self.limits)
            .with_context(|| format!("peer {}", peer.entity))?;
        let announcement = S::announcement(behind(config)).filter(|_| announces(peer, config));
        if let Some(announcement) = announcement {
            let link = link.clone();
            self.tasks().spawn(async move {
                let _ = link.announce(announcement).await;
            });
        }
        let to = (peer.entity.clone(), peer.point);
        S::ways(&self.ways).insert(to, link);
        Ok(())
    }

    async fn disconnect(&self, peer: &Peer) {
        let datagrams = self.ways.datagrams().remove(&peer.entity);
        if let Some(datagrams) = datagrams.filter(|_| peer.carriage == Carriage::Udp) {
            datagrams.forget(peer.entity.clone()).await;
        }
        let to = (peer.entity.clone(), peer.point);
        match peer.point {
            ReferencePoint::X => self.unlink::<X>(&to),
            ReferencePoint::Y | ReferencePoint::YPrime => self.unlink::<Y>(&to),
            ReferencePoint::Z => self.unlink::<Z>(&to),
            ReferencePoint::EndToEnd => {}
        }
    }

    fn unlink<S: Routed>(&self, to: &super::ways::To) {
        let link = S::ways(&self.ways).remove(to);
        if let Some(link) = link {
            link.close();
        }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Transported {
    fn drop(&mut self) {
        self.keyring.close(CloseReason::Done);
    }
}

/// Where this node connects to, if that is its part.
fn to_connect(peer: &Peer) -> Option<SocketAddr> {
    peer.address.filter(|_| peer.initiator != Initiator::Peer)
}

fn same_place(one: &Peer, other: &Peer) -> bool {
    one.entity == other.entity && one.point == other.point
}

/// Whether `peer` has to be told for whom this node speaks besides itself and its own AEs.
fn announces(peer: &Peer, config: &Config) -> bool {
    peer.relation == Some(Relation::Registrar) && !behind(config).is_empty()
}

/// The CSEs that register here, what is below them, and the AEs here whose stem begins with `S`.
fn behind(config: &Config) -> Vec<EntityId> {
    let registrees = config
        .peers
        .iter()
        .filter(|peer| peer.relation == Some(Relation::Registree))
        .flat_map(|peer| core::iter::once(&peer.entity).chain(&peer.subtree));
    let aes = config
        .peers
        .iter()
        .filter(|peer| peer.point == ReferencePoint::X)
        .flat_map(|peer| core::iter::once(&peer.entity).chain(&peer.aes))
        .filter(|ae| ae.kind() == EntityKind::Ae && ae.cse().is_none());
    registrees.chain(aes).cloned().collect()
}

/// The transport's bounds for this configuration.
fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    let http = &config.limits.http;
    limits.patience = config.limits.exchange_time;
    limits.in_flight = limits.in_flight.max(config.limits.in_flight);
    // A head in protobuf takes a little more than in HTTP.
    limits.largest = http.body.saturating_add(2 * http.head).max(limits.largest);
    limits
}

/// The bounds of X on UDP.
fn datagram_limits(config: &Config) -> DatagramLimits {
    DatagramLimits {
        patience: config.limits.exchange_time,
        largest: config.limits.datagram,
        ..DatagramLimits::default()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge")]
fn note(keyring: &Keyring) {
    metrics::gauge!("refpoint_associations").set(keyring.associations() as f64);
}

/// What the sockets of X on UDP have seen.
async fn count(ways: &AllWays) {
    let mut sums = [("", 0); 11];
    let sockets = ways.datagrams().sockets();
    for datagrams in sockets {
        let seen = datagrams.statistics().await;
        let kinds = [
            ("opened", seen.opened),
            ("handshake", seen.answered),
            ("retried", seen.retried),
            ("resumed", seen.resumed),
            ("refused", seen.refused),
            ("malformed", seen.malformed),
            ("unauthenticated", seen.unauthenticated),
            ("unopened", seen.unopened),
            ("replayed", seen.replayed),
            ("unknown", seen.unknown),
            ("limited", seen.limited),
        ];
        for (sum, (kind, count)) in sums.iter_mut().zip(kinds) {
            *sum = (kind, sum.1 + count);
        }
    }
    for (kind, sum) in sums.into_iter().filter(|(kind, _)| !kind.is_empty()) {
        metrics::counter!("refpoint_datagrams_total", "kind" => kind).absolute(sum);
    }
}
