//! What a reference point demands of a peer's table.

use core::ops::Range;
use std::collections::HashSet;

use refpoint_association::Suite;
use refpoint_keys::{EntityId, EntityKind, Profile, ReferencePoint};
use toml::Spanned;

use super::super::file;
use super::super::read::Parsed;
use super::super::{Carriage, Initiator, Peer, Relation};
use super::policy::PointPolicies;
use super::{Check, Checked};

impl Check<'_> {
    pub(super) fn peer(
        &self,
        table: file::Peer,
        local: &EntityId,
        has_static_key: bool,
        policies: &PointPolicies,
    ) -> Checked<Peer> {
        let (at, entity) = (table.entity.span(), table.entity.into_inner().0);
        let (point_at, point) = (table.point.span(), table.point.into_inner().0);
        if entity == *local {
            return self.refuse(at, "this is the node's own entity");
        }
        if !fits(point, local, &entity) {
            return self.refuse(point_at, ends(point));
        }
        let carriage = match table.carriage {
            Some(carriage)
                if carriage.get_ref().0 == Carriage::Udp && point != ReferencePoint::X =>
            {
                return self.refuse(
                    carriage.span(),
                    "only x travels in datagrams: write \"tcp\"",
                );
            }
            carriage => carriage.map_or(Carriage::Tcp, |carriage| carriage.into_inner().0),
        };
        let initiator = table.initiator.get_ref().0;
        if initiator != Initiator::Peer && table.address.is_none() {
            return self.refuse(
                table.initiator.span(),
                "who initiates needs the peer's address",
            );
        }
        let profiles: Vec<_> = table
            .profiles
            .get_ref()
            .iter()
            .map(|profile| profile.0)
            .collect();
        if profiles.is_empty() {
            return self.refuse(table.profiles.span(), "name at least one profile");
        }
        if profiles.iter().any(|profile| *profile != Profile::Psk) {
            if !has_static_key {
                return self.refuse(
                    table.profiles.span(),
                    "pinned and known need static_key in [node]",
                );
            }
            if table.public_key.is_none() {
                return self.refuse(
                    table.profiles.span(),
                    "pinned and known need the peer's public_key",
                );
            }
        }
        let Some(connection_key) = table.connection_key else {
            return self.refuse(at, "every profile needs the peer's connection_key");
        };
        let relation = match (point, table.relation) {
            (ReferencePoint::Y, None) => {
                return self.refuse(
                    point_at,
                    "y needs relation = \"registrar\" or \"registree\"",
                );
            }
            (ReferencePoint::Y, Some(relation)) => Some(relation.into_inner().0),
            (_, Some(relation)) => {
                return self.refuse(relation.span(), "relation belongs to y only");
            }
            (_, None) => None,
        };
        let subtree = self.subtree(table.subtree, relation, local)?;
        let aes = self.aes(table.aes, point)?;
        let state = match table.state {
            Some(state) if carriage != Carriage::Udp || initiator == Initiator::Peer => {
                return self.refuse(
                    state.span(),
                    "only who initiates over udp has a state file: a listener has a [store]",
                );
            }
            state => state.map(|path| self.path(path.into_inner())),
        };
        Ok(Peer {
            entity,
            point,
            address: table.address.map(|address| address.into_inner().0),
            carriage,
            initiator,
            profiles,
            suite: table
                .suite
                .map_or_else(|| usual_suite(point), |suite| suite.0),
            connection_key: self.path(connection_key.into_inner()),
            public_key: table.public_key.map(|path| self.path(path.into_inner())),
            relation,
            subtree,
            aes,
            state,
            policy: self.policy(table.policy)?.or(policies.of(point)),
        })
    }

    fn subtree(
        &self,
        list: Ids,
        relation: Option<Relation>,
        local: &EntityId,
    ) -> Checked<Vec<EntityId>> {
        let Some(list) = list else {
            return Ok(Vec::new());
        };
        if relation != Some(Relation::Registree) {
            return self.refuse(list.span(), "only a registree on y has a subtree");
        }
        let mut ids = Vec::new();
        for id in list.into_inner() {
            let is_at_a_cse = id.get_ref().0.cse().is_some();
            if (id.get_ref().0.kind() == EntityKind::Ae) == is_at_a_cse {
                return self.refuse(
                    id.span(),
                    "a subtree lists CSEs, their own AEs included, and AEs whose stem begins with S",
                );
            }
            if id.get_ref().0 == *local {
                return self.refuse(id.span(), "this node is in nobody's subtree");
            }
            ids.push(id.into_inner().0);
        }
        Ok(ids)
    }

    fn aes(&self, list: Ids, point: ReferencePoint) -> Checked<Vec<EntityId>> {
        let Some(list) = list else {
            return Ok(Vec::new());
        };
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
    pub(super) fn distinct_holders(
        &self,
        peer: &Peer,
        others: &[Peer],
        at: Range<usize>,
    ) -> Checked<()> {
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
}

type Ids = Option<Spanned<Vec<Spanned<Parsed<EntityId>>>>>;

/// The entities as which a peer may speak at its reference point.
fn speaks_as(peer: &Peer) -> impl Iterator<Item = &EntityId> {
    core::iter::once(&peer.entity)
        .chain(&peer.subtree)
        .chain(&peer.aes)
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

/// Devices may lack AES instructions; machines that run a service node have them, and there
/// AES-GCM costs a sixth.
const fn usual_suite(point: ReferencePoint) -> Suite {
    match point {
        ReferencePoint::X | ReferencePoint::EndToEnd => Suite::ChaChaPoly,
        ReferencePoint::Y | ReferencePoint::YPrime | ReferencePoint::Z => Suite::AesGcm,
    }
}
