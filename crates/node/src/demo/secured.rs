//! The world with a node beside every member of the cast.

use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use refpoint_association::{Backend, StaticKey};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, ReferencePoint, UtcTime, Validity};

use super::temporary::{TemporaryDirectory, random};
use super::world::{
    CORE, GATEWAY, NETWORK, PARTNER, Places, ROGUE, SENSOR, STRANGER, Stop, VISITOR, Ways, World,
    capture, links, url,
};
use crate::associations::Associations;
use crate::config::Config;
use crate::key_file::{KeyFile, StaticSecret};
use crate::node::Node;
use crate::tap::Tap;
use crate::utc;

/// An association's policy in the demo: keys are ratcheted while it runs.
const POLICY: &str = "policy = { ratchet = \"2s\" }\n";

/// How long the visitor's key is good for.
pub(super) const VISIT: Duration = Duration::from_secs(10);

impl World {
    /// The world with associations: nodes of `A` beside everybody, tapped between the nodes.
    ///
    /// Keys are made anew for each run, in a directory that goes with the world. The captures are written to
    /// `directory` as `secured-x.pcap` and so on, and what goes in and out of the gateway's CSE as `inside-gateway.pcap`.
    ///
    /// # Errors
    ///
    /// When a node cannot be started, or a capture cannot be written.
    pub async fn secured<A: Associations>(marker: &str, directory: &Path) -> anyhow::Result<Self> {
        let [x, y, y_prime, z] = links(marker, directory, "secured")?;
        let keys = Keys::make()?;
        let mut places = Places::bind().await?;

        let network = keys
            .node(NETWORK, places.network.1)
            .listen("tcp", "z")
            .peer(CORE, "z", None, "z-core", "")
            .egress(CORE);
        let network = network.start::<A>().await?;
        let tap_z = Tap::tcp(network.listen()?, Arc::clone(&z.capture)).await?;

        let partner = keys
            .node(PARTNER, places.partner.1)
            .listen("tcp", "y-prime")
            .peer(CORE, "y-prime", None, "y-partner", "")
            .egress(CORE);
        let partner = partner.start::<A>().await?;
        let tap_partner = Tap::tcp(partner.listen()?, Arc::clone(&y_prime.capture)).await?;

        // A registree's public key has to be known here, and the registrar's there.
        let core = keys
            .node(CORE, places.core.1)
            .listen("tcp", "y")
            .peer(
                GATEWAY,
                "y",
                None,
                "y-gateway",
                "relation = \"registree\"\n",
            )
            .peer(ROGUE, "y", None, "y-rogue", "relation = \"registree\"\n")
            .peer(NETWORK, "z", Some(tap_z.address()), "z-core", "")
            .peer(
                PARTNER,
                "y-prime",
                Some(tap_partner.address()),
                "y-partner",
                "",
            )
            .egress(GATEWAY)
            .egress(NETWORK)
            .egress(PARTNER);
        let core = core.start::<A>().await?;
        let tap_y = Tap::tcp(core.listen()?, Arc::clone(&y.capture)).await?;

        // Everything that the gateway's CSE gets and sends passes these taps, in clear.
        let inside = capture(marker, &directory.join("inside-gateway.pcap"))?;
        let inside = Arc::new(inside);
        let into_gateway = Tap::tcp(places.gateway.1, Arc::clone(&inside)).await?;
        let gateway = keys
            .node(GATEWAY, into_gateway.address())
            .listen("udp", "x")
            .peer(
                CORE,
                "y",
                Some(tap_y.address()),
                "y-gateway",
                "relation = \"registrar\"\n",
            )
            .peer(SENSOR, "x", None, "x-sensor", "carriage = \"udp\"\n")
            .peer(VISITOR, "x", None, "x-visitor", "carriage = \"udp\"\n")
            .egress(CORE)
            .egress(SENSOR);
        let gateway = gateway.start::<A>().await?;
        let tap_x = Tap::udp(gateway.listen()?, Arc::clone(&x.capture)).await?;
        let to_core = Tap::tcp(gateway.egress_address(0)?, Arc::clone(&inside)).await?;
        let to_sensor = Tap::tcp(gateway.egress_address(1)?, Arc::clone(&inside)).await?;

        let device = |entity, key| {
            let peer = "carriage = \"udp\"\n";
            keys.node(entity, places.sensor.1)
                .peer(GATEWAY, "x", Some(tap_x.address()), key, peer)
                .egress(GATEWAY)
                .start::<A>()
        };
        let sensor = device(SENSOR, "x-sensor").await?;
        let visitor = device(VISITOR, "x-visitor").await?;
        // The insider is a gateway with keys of its own, which the core knows; the stranger's it does not.
        let claimant = |entity, key| {
            let peer = "relation = \"registrar\"\n";
            keys.node(entity, places.gateway.1)
                .peer(CORE, "y", Some(tap_y.address()), key, peer)
                .egress(CORE)
                .start::<A>()
        };
        let insider = claimant(ROGUE, "y-rogue").await?;
        let stranger = claimant(STRANGER, "y-stranger").await?;

        let ways = Ways {
            sensor_to_gateway: sensor.egress(0)?,
            gateway_to_sensor: url(to_sensor.address())?,
            gateway_to_core: url(to_core.address())?,
            core_to_gateway: core.egress(0)?,
            core_to_network: core.egress(1)?,
            network_to_core: network.egress(0)?,
            core_to_partner: core.egress(2)?,
            partner_to_core: partner.egress(0)?,
            insider_to_core: insider.egress(0)?,
            stranger_to_core: stranger.egress(0)?,
            visitor_to_gateway: Some(visitor.egress(0)?),
        };
        let nodes = [
            sensor, visitor, insider, stranger, gateway, core, partner, network,
        ];
        let nodes = nodes
            .into_iter()
            .map(|node| -> Stop { Box::pin(node.0.stop()) })
            .collect();
        let running: Vec<Box<dyn core::any::Any + Send>> = vec![
            Box::new((tap_x, tap_y, tap_partner, tap_z, keys)),
            Box::new((into_gateway, to_core, to_sensor)),
        ];
        let mut world = places.people(ways, vec![x, y, y_prime, z], nodes, running)?;
        world.inside = Some(inside);
        Ok(world)
    }
}

/// A running node of the demo.
struct Started<A: Associations>(Node<A>);

impl<A: Associations> Started<A> {
    fn listen(&self) -> anyhow::Result<SocketAddr> {
        self.0
            .associations()
            .addresses()
            .first()
            .copied()
            .context("the node does not listen")
    }

    fn egress(&self, number: usize) -> anyhow::Result<crate::http::Authority> {
        url(self.egress_address(number)?)
    }

    fn egress_address(&self, number: usize) -> anyhow::Result<SocketAddr> {
        let address = self.0.egress_addresses().nth(number);
        address.context("the node has no such egress")
    }
}

/// A configuration that is being written.
struct Draft<'a> {
    keys: &'a Keys,
    text: String,
    tables: String,
    points: Vec<&'static str>,
    server: SocketAddr,
}

impl Draft<'_> {
    fn listen(mut self, carriage: &str, point: &str) -> Self {
        let _ = write!(
            self.tables,
            "[[listen]]\naddress = \"127.0.0.1:0\"\ncarriage = \"{carriage}\"\npoints = [\"{point}\"]\n"
        );
        self
    }

    fn peer(
        mut self,
        entity: &str,
        point: &'static str,
        address: Option<SocketAddr>,
        key: &str,
        more: &str,
    ) -> Self {
        let initiator = match address {
            Some(address) => format!("initiator = \"self\"\naddress = \"{address}\"\n"),
            None => "initiator = \"peer\"\n".to_owned(),
        };
        let profile = match point {
            "y" | "y-prime" => format!(
                "profiles = [\"known\"]\npublic_key = \"{}.public\"\n",
                file_name(entity)
            ),
            _ => "profiles = [\"psk\"]\n".to_owned(),
        };
        let _ = write!(
            self.tables,
            "[[peer]]\nentity = \"{entity}\"\npoint = \"{point}\"\n{initiator}{profile}connection_key = \"{key}\"\n{more}{POLICY}"
        );
        if !self.points.contains(&point) {
            self.points.push(point);
        }
        self
    }

    fn egress(mut self, peer: &str) -> Self {
        let _ = write!(
            self.tables,
            "[[egress]]\nlisten = \"127.0.0.1:0\"\npeer = \"{peer}\"\n"
        );
        self
    }

    async fn start<A: Associations>(self) -> anyhow::Result<Started<A>> {
        let text = format!(
            "{}{}[[ingress]]\ncse = \"http://{}\"\npoints = {:?}\n",
            self.text, self.tables, self.server, self.points
        );
        Ok(Started(
            Node::start(Config::parse(&text, self.keys.directory.path())?).await?,
        ))
    }
}

/// Who has a static key.
const STATIC: [&str; 5] = [GATEWAY, CORE, PARTNER, ROGUE, STRANGER];

/// The keys of the demo, in files as a node wants them.
#[derive(Debug)]
struct Keys {
    directory: TemporaryDirectory,
}

impl Keys {
    fn make() -> anyhow::Result<Self> {
        let keys = Self {
            directory: TemporaryDirectory::make("demo")?,
        };
        for entity in STATIC {
            keys.static_key(entity)?;
        }
        let (day, now) = (Duration::from_secs(86_400), utc::now().as_secs());
        for (name, point, a, b, life) in [
            ("x-sensor", ReferencePoint::X, GATEWAY, SENSOR, day),
            ("x-visitor", ReferencePoint::X, GATEWAY, VISITOR, VISIT),
            ("y-gateway", ReferencePoint::Y, GATEWAY, CORE, day),
            ("y-rogue", ReferencePoint::Y, ROGUE, CORE, day),
            ("y-stranger", ReferencePoint::Y, STRANGER, CORE, day),
            ("y-partner", ReferencePoint::YPrime, CORE, PARTNER, day),
            ("z-core", ReferencePoint::Z, CORE, NETWORK, day),
        ] {
            let until = UtcTime::from_secs(now + life.as_secs());
            keys.connection_key(name, point, a, b, Validity::until(until))?;
        }
        Ok(keys)
    }

    fn node(&self, entity: &str, server: SocketAddr) -> Draft<'_> {
        let mut text = format!("[node]\nentity = \"{entity}\"\ndrain = \"2s\"\n");
        if STATIC.contains(&entity) {
            let _ = writeln!(text, "static_key = \"{}.static\"", file_name(entity));
        }
        Draft {
            keys: self,
            text,
            tables: String::new(),
            points: Vec::new(),
            server,
        }
    }

    fn static_key(&self, entity: &str) -> anyhow::Result<()> {
        let secret = random()?;
        let public = StaticKey::from_bytes(&secret, Backend::AwsLc)?.public_key();
        let id = EntityId::parse(entity)?;
        let name = file_name(entity);
        KeyFile::Public {
            entity: id.clone(),
            key: *public.as_bytes(),
        }
        .create(&self.directory.path().join(format!("{name}.public")))?;
        KeyFile::Static {
            entity: id,
            key: StaticSecret::new(*secret),
        }
        .create(&self.directory.path().join(format!("{name}.static")))?;
        Ok(())
    }

    fn connection_key(
        &self,
        name: &str,
        point: ReferencePoint,
        a: &str,
        b: &str,
        validity: Validity,
    ) -> anyhow::Result<()> {
        let (a, b) = (EntityId::parse(a)?, EntityId::parse(b)?);
        let id = KeyId::new(random::<4>()?.as_slice())?;
        let key = ConnectionKey::from_bytes(*random()?, id, point, &a, &b, validity)?;
        KeyFile::Connection(key).create(&self.directory.path().join(name))?;
        Ok(())
    }
}

fn file_name(entity: &str) -> &str {
    entity.rsplit('/').next().unwrap_or(entity)
}
