//! What a configuration means: references between its tables, and what a reference point demands.

use core::ops::Range;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use refpoint_association::Suite;
use refpoint_keys::{EntityId, EntityKind, Profile, ReferencePoint};
use toml::Spanned;

use super::error::LineError;
use super::file;
use super::read::Parsed;
use super::{
    Carriage, Config, Egress, Ingress, Initiator, Limits, Listen, Peer, PolicyOverrides, Relation,
};

/// Rule R5: with fewer, who can inject packets could force refreshes.
const FAILED_OPENS: u64 = 1 << 30;

type Checked<T> = Result<T, LineError>;

pub(super) struct Check<'a> {
    text: &'a str,
    directory: &'a Path,
}

impl<'a> Check<'a> {
    pub(super) fn new(text: &'a str, directory: &'a Path) -> Self {
        Self { text, directory }
    }

    pub(super) fn config(&self, file: file::File) -> Checked<Config> {
        let entity = file.node.entity.0;
        let has_static_key = file.node.static_key.is_some();
        let mut peers: Vec<Peer> = Vec::new();
        for peer in file.peer {
            let at = peer.entity.span();
            let peer = self.peer(peer, &entity, has_static_key)?;
            if peers.iter().any(|other| other.entity == peer.entity && other.point == peer.point) {
                return self.refuse(at, "this peer has a table at this reference point already");
            }
            self.distinct_holders(&peer, &peers, at)?;
            peers.push(peer);
        }
        let limits = self.limits(file.limits)?;
        let mut addresses = HashSet::new();
        let mut listen = Vec::new();
        for table in file.listen {
            let at = table.address.span();
            let table = self.listen(table)?;
            if !addresses.insert((table.address, table.carriage)) {
                return self.refuse(at, "this address is listened on already");
            }
            listen.push(table);
        }
        let mut egress = Vec::new();
        for table in file.egress {
            let at = table.listen.span();
            let table = self.egress(table, &peers)?;
            if !addresses.insert((table.listen, Carriage::Tcp)) {
                return self.refuse(at, "this address is listened on already");
            }
            egress.push(table);
        }
        let metrics = match file.node.metrics {
            Some(metrics) if !addresses.insert((metrics.get_ref().0, Carriage::Tcp)) => {
                return self.refuse(metrics.span(), "this address is listened on already");
            }
            metrics => metrics.map(|metrics| metrics.into_inner().0),
        };
        Ok(Config {
            entity,
            static_key: file.node.static_key.map(|path| self.path(path.into_inner())),
            drain: file.node.drain.map_or(core::time::Duration::from_secs(10), |drain| drain.0),
            metrics,
            log: file.node.log.unwrap_or_else(|| "info".to_owned()),
            limits,
            listen,
            peers,
            egress,
            ingress: self.ingress(file.ingress)?,
        })
    }

    fn listen(&self, table: file::Listen) -> Checked<Listen> {
        let (carriage, span) = (table.carriage.0, table.points.span());
        let points: Vec<_> = table.points.into_inner().into_iter().map(|point| point.0).collect();
        if points.is_empty() {
            return self.refuse(span, "name at least one reference point");
        }
        if carriage == Carriage::Udp && points.iter().any(|point| *point != ReferencePoint::X) {
            return self.refuse(span, "only x travels in datagrams: use carriage = \"tcp\" for the others");
        }
        Ok(Listen { address: table.address.into_inner().0, carriage, points })
    }

    fn peer(&self, table: file::Peer, local: &EntityId, has_static_key: bool) -> Checked<Peer> {
        let (at, entity) = (table.entity.span(), table.entity.into_inner().0);
        let (point_at, point) = (table.point.span(), table.point.into_inner().0);
        if entity == *local {
            return self.refuse(at, "this is the node's own entity");
        }
        if !fits(point, local, &entity) {
            return self.refuse(point_at, ends(point));
        }
        let carriage = match table.carriage {
            Some(carriage) if carriage.get_ref().0 == Carriage::Udp && point != ReferencePoint::X => {
                return self.refuse(carriage.span(), "only x travels in datagrams: write \"tcp\"");
            }
            carriage => carriage.map_or(Carriage::Tcp, |carriage| carriage.into_inner().0),
        };
        let initiator = table.initiator.get_ref().0;
        if initiator != Initiator::Peer && table.address.is_none() {
            return self.refuse(table.initiator.span(), "who initiates needs the peer's address");
        }
        let profiles: Vec<_> = table.profiles.get_ref().iter().map(|profile| profile.0).collect();
        if profiles.is_empty() {
            return self.refuse(table.profiles.span(), "name at least one profile");
        }
        if profiles.iter().any(|profile| *profile != Profile::Psk) {
            if !has_static_key {
                return self.refuse(table.profiles.span(), "pinned and known need static_key in [node]");
            }
            if table.public_key.is_none() {
                return self.refuse(table.profiles.span(), "pinned and known need the peer's public_key");
            }
        }
        let Some(connection_key) = table.connection_key else {
            return self.refuse(at, "every profile needs the peer's connection_key");
        };
        let relation = match (point, table.relation) {
            (ReferencePoint::Y, None) => {
                return self.refuse(point_at, "y needs relation = \"registrar\" or \"registree\"");
            }
            (ReferencePoint::Y, Some(relation)) => Some(relation.into_inner().0),
            (_, Some(relation)) => return self.refuse(relation.span(), "relation belongs to y only"),
            (_, None) => None,
        };
        let subtree = self.subtree(table.subtree, relation, local)?;
        let aes = self.aes(table.aes, point)?;
        Ok(Peer {
            entity,
            point,
            address: table.address.map(|address| address.into_inner().0),
            carriage,
            initiator,
            profiles,
            suite: table.suite.map_or(Suite::ChaChaPoly, |suite| suite.0),
            connection_key: self.path(connection_key.into_inner()),
            public_key: table.public_key.map(|path| self.path(path.into_inner())),
            relation,
            subtree,
            aes,
            policy: self.policy(table.policy)?,
        })
    }

    fn subtree(&self, list: Ids, relation: Option<Relation>, local: &EntityId) -> Checked<Vec<EntityId>> {
        let Some(list) = list else { return Ok(Vec::new()) };
        if relation != Some(Relation::Registree) {
            return self.refuse(list.span(), "only a registree on y has a subtree");
        }
        let mut ids = Vec::new();
        for id in list.into_inner() {
            if id.get_ref().0.kind() != EntityKind::Cse {
                return self.refuse(id.span(), "a subtree lists CSEs: their AEs are included");
            }
            if id.get_ref().0 == *local {
                return self.refuse(id.span(), "this node is in nobody's subtree");
            }
            ids.push(id.into_inner().0);
        }
        Ok(ids)
    }

    fn aes(&self, list: Ids, point: ReferencePoint) -> Checked<Vec<EntityId>> {
        let Some(list) = list else { return Ok(Vec::new()) };
        if point != ReferencePoint::X {
            return self.refuse(list.span(), "only a peer on x lists AEs");
        }
        let mut ids = Vec::new();
        for id in list.into_inner() {
            if id.get_ref().0.kind() != EntityKind::Ae {
                return self.refuse(id.span(), "not the id of an AE");
            }
            ids.push(id.into_inner().0);
        }
        Ok(ids)
    }

    /// An id has one holder, so that two peers cannot both speak as it.
    fn distinct_holders(&self, peer: &Peer, others: &[Peer], at: Range<usize>) -> Checked<()> {
        let same_point = |other: &&Peer| other.point == peer.point;
        for other in others.iter().filter(same_point) {
            let held: HashSet<_> = speaks_as(other).collect();
            if let Some(twice) = speaks_as(peer).find(|id| held.contains(id)) {
                let problem = format!("{twice} is held by the peer {} already", other.entity);
                return self.refuse(at, problem);
            }
        }
        Ok(())
    }

    fn policy(&self, table: file::Policy) -> Checked<PolicyOverrides> {
        let mut policy = PolicyOverrides::default();
        let times = [
            (table.lifetime, &mut policy.lifetime, 10),
            (table.ratchet, &mut policy.ratchet, 2),
            (table.keepalive, &mut policy.keepalive, 1),
        ];
        for (time, place, least) in times {
            let Some(time) = time else { continue };
            if time.get_ref().0.as_secs() < least {
                return self.refuse(time.span(), format!("too short: write at least {least}s"));
            }
            *place = Some(time.into_inner().0);
        }
        let size = table.bytes.map(|size| (size.span(), size.into_inner().0.0));
        let count = |count: Option<Spanned<u64>>| count.map(|count| (count.span(), count.into_inner()));
        let numbers = [
            (size, &mut policy.bytes, 1 << 16),
            (count(table.messages), &mut policy.messages, 16),
            (count(table.failed_opens), &mut policy.failed_opens, FAILED_OPENS),
        ];
        for (number, place, least) in numbers {
            let Some((at, number)) = number else { continue };
            if number < least {
                return self.refuse(at, format!("too few: write at least {least}"));
            }
            *place = Some(number);
        }
        Ok(policy)
    }

    fn egress(&self, table: file::Egress, peers: &[Peer]) -> Checked<Egress> {
        let (at, entity) = (table.peer.span(), table.peer.into_inner().0);
        let mut known = peers.iter().filter(|peer| peer.entity == entity).map(|peer| peer.point);
        let point = match (table.point, known.next(), known.next()) {
            (_, None, _) => return self.refuse(at, "no [[peer]] has this entity"),
            (None, Some(point), None) => point,
            (None, Some(_), Some(_)) => {
                return self.refuse(at, "this peer has several reference points: add point");
            }
            (Some(point), Some(_), _) => {
                if !peers.iter().any(|peer| peer.entity == entity && peer.point == point.get_ref().0) {
                    return self.refuse(point.span(), "no [[peer]] has this entity at this reference point");
                }
                point.into_inner().0
            }
        };
        let from = table.from.unwrap_or_default().into_iter().map(|id| id.0).collect();
        Ok(Egress { listen: table.listen.into_inner().0, peer: entity, point, from })
    }

    fn ingress(&self, tables: Vec<file::Ingress>) -> Checked<Vec<Ingress>> {
        let mut served = HashSet::new();
        let mut ingress = Vec::new();
        for table in tables {
            let at = table.points.span();
            let points: Vec<_> = table.points.into_inner().into_iter().map(|point| point.0).collect();
            if points.is_empty() || !points.iter().all(|point| served.insert(*point)) {
                return self.refuse(at, "each reference point has one ingress, each ingress at least one");
            }
            let bearer_token = table.bearer_token.map(|path| self.path(path));
            ingress.push(Ingress { cse: table.cse.0, points, bearer_token });
        }
        Ok(ingress)
    }

    fn limits(&self, table: file::Limits) -> Checked<Limits> {
        let mut limits = Limits::default();
        let sizes = [
            (table.head, &mut limits.http.head, 1 << 10, 1 << 20),
            (table.body, &mut limits.http.body, 1 << 10, 1 << 30),
            (table.datagram, &mut limits.datagram, 256, 65_000),
        ];
        for (size, limit, least, most) in sizes {
            if let Some(size) = size {
                *limit = self.within(size.span(), size.get_ref().0.0, least, most)?;
            }
        }
        let counts = [
            (table.headers, &mut limits.http.headers, 1 << 10),
            (table.connections, &mut limits.http.connections, 1 << 16),
            (table.in_flight, &mut limits.in_flight, 1 << 16),
        ];
        for (count, limit, most) in counts {
            if let Some(count) = count {
                *limit = self.within(count.span(), *count.get_ref() as u64, 1, most)?;
            }
        }
        limits.queue = table.queue.unwrap_or(limits.queue);
        let times = [
            (table.head_time, &mut limits.http.head_time),
            (table.body_time, &mut limits.http.body_time),
            (table.idle_time, &mut limits.http.idle_time),
            (table.connect_time, &mut limits.http.connect_time),
            (table.answer_time, &mut limits.http.answer_time),
            (table.exchange_time, &mut limits.exchange_time),
        ];
        for (time, limit) in times {
            *limit = time.map_or(*limit, |Parsed(time)| time);
        }
        Ok(limits)
    }

    fn within(&self, at: Range<usize>, value: u64, least: u64, most: u64) -> Checked<usize> {
        match usize::try_from(value) {
            Ok(fits) if (least..=most).contains(&value) => Ok(fits),
            _ => self.refuse(at, format!("out of range: write {least} to {most}")),
        }
    }

    fn path(&self, path: PathBuf) -> PathBuf {
        self.directory.join(path)
    }

    fn refuse<T>(&self, at: Range<usize>, problem: impl Into<String>) -> Checked<T> {
        Err(LineError::at(self.text, at, problem))
    }
}

type Ids = Option<Spanned<Vec<Spanned<Parsed<EntityId>>>>>;

/// The entities as which a peer may speak at its reference point.
fn speaks_as(peer: &Peer) -> impl Iterator<Item = &EntityId> {
    core::iter::once(&peer.entity).chain(&peer.subtree).chain(&peer.aes)
}

/// Whether the reference point lies between two such entities.
fn fits(point: ReferencePoint, local: &EntityId, peer: &EntityId) -> bool {
    use EntityKind::{Ae, Cse, Nse};
    let same_provider = local.service_provider() == peer.service_provider();
    match (point, local.kind(), peer.kind()) {
        (ReferencePoint::X, Ae, Cse) => true,
        (ReferencePoint::X, Cse, Ae) => true,
        (ReferencePoint::Y, Cse, Cse) => same_provider,
        (ReferencePoint::YPrime, Cse, Cse) => !same_provider,
        (ReferencePoint::Z, Cse, Nse) => true,
        (ReferencePoint::Z, Nse, Cse) => true,
        _ => false,
    }
}

fn ends(point: ReferencePoint) -> &'static str {
    match point {
        ReferencePoint::X => "x lies between an AE and a CSE",
        ReferencePoint::Y => "y lies between two CSEs of one service provider",
        ReferencePoint::YPrime => "y-prime lies between CSEs of two service providers",
        ReferencePoint::Z => "z lies between a CSE and a network service entity",
        ReferencePoint::EndToEnd => "a node has no end-to-end associations of its own",
    }
}
