use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use refpoint_association::{Modes, Policy};
use refpoint_keys::{EntityId, EntityKind, ReferencePoint};
use refpoint_primitive::LedgerLimits;

use crate::config::{Config, Peer, Relation};

/// The security layers of a node, with the peers of its configuration admitted: as whom each may speak.
#[derive(Debug)]
pub struct Layers {
    x: Mutex<refpoint_x::Layer>,
    y: Mutex<refpoint_y::Layer>,
    z: Mutex<refpoint_z::Layer>,
}

impl Layers {
    /// The layers of `config`.
    ///
    /// # Errors
    ///
    /// When a layer refuses a peer; the error names it.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let limits = LedgerLimits::default();
        let local = &config.entity;
        let layers = Self {
            x: Mutex::new(refpoint_x::Layer::new(local.clone(), limits)),
            y: Mutex::new(refpoint_y::Layer::new(local.clone(), limits)),
            z: Mutex::new(refpoint_z::Layer::new(local.clone(), limits)),
        };
        for peer in &config.peers {
            layers.admit(peer, local)?;
        }
        Ok(layers)
    }

    /// Takes over the peers of `new` in place of those of `old`. What was asked before stays in the ledgers, and what
    /// unchanged peers have announced.
    ///
    /// # Errors
    ///
    /// When a layer refuses a peer; then that peer and those after it are not admitted.
    pub fn reload(&self, old: &Config, new: &Config) -> anyhow::Result<()> {
        // First who changed lets go of what it held: another may get it.
        for peer in &old.peers {
            if new.peer(&peer.entity, peer.point) != Some(peer) {
                self.dismiss(&peer.entity, peer.point);
            }
        }
        new.peers
            .iter()
            .try_for_each(|peer| self.admit(peer, &new.entity))
    }

    /// The layer of X.
    pub fn x(&self) -> MutexGuard<'_, refpoint_x::Layer> {
        self.x.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer of Y and Y′.
    pub fn y(&self) -> MutexGuard<'_, refpoint_y::Layer> {
        self.y.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer of Z.
    pub fn z(&self) -> MutexGuard<'_, refpoint_z::Layer> {
        self.z.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, peer: &Peer, local: &EntityId) -> anyhow::Result<()> {
        let entity = peer.entity.clone();
        let admitted = match peer.point {
            ReferencePoint::X => {
                let identity = match local.kind() {
                    EntityKind::Ae => refpoint_x::Identity::registrar(entity),
                    EntityKind::Cse | EntityKind::Nse => refpoint_x::Identity::application(entity),
                };
                let identity = identity.and_then(|identity| identity.with_aes(peer.aes.clone()));
                identity
                    .and_then(|identity| self.x().admit(identity))
                    .map_err(anyhow::Error::from)
            }
            ReferencePoint::Y | ReferencePoint::YPrime => {
                let identity = match peer.relation {
                    Some(Relation::Registrar) => refpoint_y::Identity::registrar(entity),
                    Some(Relation::Registree) => refpoint_y::Identity::registree(entity)
                        .map(|identity| identity.with_allowed(peer.subtree.clone())),
                    None => refpoint_y::Identity::foreign(entity),
                };
                identity
                    .and_then(|identity| self.y().admit(identity))
                    .map_err(anyhow::Error::from)
            }
            ReferencePoint::Z => {
                let identity = match local.kind() {
                    EntityKind::Nse => refpoint_z::Identity::node(entity),
                    EntityKind::Ae | EntityKind::Cse => refpoint_z::Identity::network(entity),
                };
                identity
                    .and_then(|identity| self.z().admit(identity))
                    .map_err(anyhow::Error::from)
            }
            ReferencePoint::EndToEnd => Err(anyhow::anyhow!("a node has no end-to-end peers")),
        };
        admitted.with_context(|| format!("peer {}", peer.entity))
    }

    fn dismiss(&self, entity: &EntityId, point: ReferencePoint) {
        match point {
            ReferencePoint::X => self.x().dismiss(entity),
            ReferencePoint::Y | ReferencePoint::YPrime => self.y().dismiss(entity),
            ReferencePoint::Z => self.z().dismiss(entity),
            ReferencePoint::EndToEnd => {}
        }
    }
}

/// What the layer of `point` gives an association unless the configuration says otherwise.
///
/// # Errors
///
/// When the layer's values are out of the core's ranges, which its tests rule out.
pub fn default_policy(point: ReferencePoint) -> Result<Policy, refpoint_association::Error> {
    use {refpoint_x::policy as x, refpoint_y::policy as y, refpoint_z::policy as z};
    let (lifetime, ratchet, keepalive, light) = match point {
        ReferencePoint::X => (x::LIFETIME, x::RATCHET, x::KEEPALIVE, x::LIGHT_RESUMPTION),
        ReferencePoint::Z => (z::LIFETIME, z::RATCHET, z::KEEPALIVE, z::LIGHT_RESUMPTION),
        ReferencePoint::Y | ReferencePoint::YPrime | ReferencePoint::EndToEnd => {
            (y::LIFETIME, y::RATCHET, y::KEEPALIVE, y::LIGHT_RESUMPTION)
        }
    };
    let modes = if light { Modes::BOTH } else { Modes::FRESH };
    let policy = Policy::default();
    let age = policy.resumption_age();
    policy
        .with_resumption(modes, age)
        .with_lifetime(lifetime)?
        .with_ratchet(Some(ratchet))?
        .with_keepalive(keepalive)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const IN: &str = include_str!("../examples/in.toml");

    #[test]
    fn the_layers_admit_the_peers_of_the_examples_and_a_reload_replaces_them() {
        let config = |text: &str| Config::parse(text, Path::new("")).expect("a configuration");
        let old = config(IN);
        let layers = Layers::new(&old).expect("layers");
        Layers::new(&config(include_str!("../examples/mn.toml"))).expect("layers");
        // The gateway is replaced by another, which claims the first one's id as its subtree.
        let other = IN.replacen("//acme.example.com/id-mn", "//acme.example.com/id-mn2", 2);
        let new =
            config(&other.replace("subtree = []", "subtree = [\"//acme.example.com/id-mn\"]"));
        layers.reload(&old, &new).expect("reloaded");
        layers.reload(&new, &old).expect("reloaded");
    }

    #[test]
    fn a_reload_may_hand_a_subtree_from_one_peer_to_another() {
        let config = |first: &str, second: &str| {
            let (mut text, peer) = (IN.to_owned(), "//acme.example.com/id-mn");
            let below = |name: &str| format!("subtree = [\"{name}\"]");
            text = text.replace("subtree = []", &below(first));
            text.push_str(&format!(
                "[[peer]]\nentity = \"{peer}3\"\npoint = \"y\"\ninitiator = \"peer\"\nprofiles = [\"psk\"]\n\
                 connection_key = \"k\"\nrelation = \"registree\"\n{}\n",
                below(second)
            ));
            Config::parse(&text, Path::new("")).expect("a configuration")
        };
        let (one, other) = ("//acme.example.com/id-a", "//acme.example.com/id-b");
        let (old, new) = (config(one, other), config(other, one));
        let layers = Layers::new(&old).expect("layers");
        layers.reload(&old, &new).expect("reloaded");
        layers.reload(&new, &old).expect("reloaded");
    }

    #[test]
    fn every_reference_point_has_a_policy() {
        for point in ReferencePoint::ALL {
            assert!(default_policy(point).is_ok(), "{point}");
        }
        let z = default_policy(ReferencePoint::Z).expect("a policy");
        assert!(z.lifetime() <= refpoint_z::policy::LIFETIME);
    }
}
