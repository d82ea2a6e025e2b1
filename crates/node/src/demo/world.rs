//! The cast of the demo, and how its members are linked.
//!
//! ```text
//!  sensor ══ X ══ gateway ══ Y ══ core ══ Z ══ network        insider ══ Y ══ core
//!   (AE)      ║    (MN-CSE)      (IN-CSE)      (NSE)           stranger ─ ─ ─► core
//!  visitor ═══╝                   ║  operator is an AE at the core
//!                                 ╚═ Y′ ══ partner             foreigner ══ Y′ ══ core
//!                                          (another provider's IN-CSE), with the analyst as its AE
//! ```

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use refpoint_keys::EntityId;

use super::{Ae, Cse, CseOptions, NextHop};
use crate::drain::{Drain, DrainSignal};
use crate::http::{Authority, Handler, HttpLimits, Server};
use crate::tap::{Capture, Tap};

pub(super) const SENSOR: &str = "//sp.example.com/id-mn/CSensor1";
pub(super) const GATEWAY: &str = "//sp.example.com/id-mn";
pub(super) const CORE: &str = "//sp.example.com/id-in";
/// An AE at the core.
pub(super) const OPERATOR: &str = "//sp.example.com/id-in/COperator";
pub(super) const NETWORK: &str = "//op.example.com/nse-scef";
/// The core of another service provider.
pub(super) const PARTNER: &str = "//partner.example.net/id-pin";
pub(super) const VISITOR: &str = "//sp.example.com/id-mn/CVisitor";
pub(super) const ROGUE: &str = "//sp.example.com/id-rogue";
pub(super) const STRANGER: &str = "//sp.example.com/id-stranger";

/// A node that stops when it is asked to; dropping it instead ends it without a farewell.
pub(super) type Stop = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Everybody, linked and running. Dropping it ends all, [`World::stop`] does so in an orderly way.
pub struct World {
    /// The AE at the gateway; its requests and notifications cross X.
    pub sensor: Arc<Ae>,
    /// An AE at the core.
    pub operator: Arc<Ae>,
    /// Somebody inside the gateway, who sends as the sensor where the gateway's CSE sends.
    pub inside_gateway: Arc<Ae>,
    /// Somebody who can reach the core and claims to be the gateway: among nodes one that the core knows, as itself.
    pub insider: Arc<Ae>,
    /// The same, but one whom the core does not know at all.
    pub stranger: Arc<Ae>,
    /// The partner's core, as which somebody claims to be the gateway.
    pub foreigner: Arc<Ae>,
    /// An AE at the partner's core; what it asks of the core crosses Y′.
    pub analyst: Arc<Ae>,
    /// Among nodes, another sensor, whose key is soon to expire.
    pub visitor: Option<Arc<Ae>>,
    /// The core as it asks the network; its requests cross Z.
    pub trigger: Arc<Ae>,
    /// The network: what it was asked, and as it reports to the core over Z.
    pub network: Arc<Ae>,
    /// The gateway.
    pub gateway: Arc<Cse>,
    /// The core.
    pub core: Arc<Cse>,
    /// The `pointOfAccess` under which the sensor registers.
    pub sensor_url: String,
    /// The links.
    pub links: Vec<Link>,
    /// Among nodes, what goes in and out of the gateway's CSE, where associations end.
    pub inside: Option<Arc<Capture>>,
    /// The nodes, if there are any.
    pub(super) nodes: Vec<Stop>,
    /// What must live as long as the world.
    pub(super) _running: Vec<Box<dyn core::any::Any + Send>>,
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World")
            .field("links", &self.links)
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// A link and what its tap saw.
#[derive(Debug, Clone)]
pub struct Link {
    /// `X`, `Y`, `Y'` or `Z`.
    pub name: &'static str,
    /// What was seen there, in both directions.
    pub capture: Arc<Capture>,
    /// Where it is written.
    pub path: PathBuf,
}

impl World {
    /// The world without associations: plain HTTP on every link, tapped. This is the control.
    ///
    /// The captures are written to `directory` as `control-x.pcap` and so on.
    ///
    /// # Errors
    ///
    /// When a port or a capture cannot be had.
    pub async fn plain(marker: &str, directory: &Path) -> anyhow::Result<Self> {
        let [x, y, y_prime, z] = links(marker, directory, "control")?;
        let mut running: Vec<Box<dyn core::any::Any + Send>> = Vec::new();
        let mut places = Places::bind().await?;
        let mut tap = async |address: SocketAddr, link: &Link| -> anyhow::Result<Authority> {
            let tap = Tap::tcp(address, Arc::clone(&link.capture)).await?;
            let tapped = url(tap.address());
            running.push(Box::new(tap));
            tapped
        };
        let gateway_for_sensor = tap(places.gateway.1, &x).await?;
        let sensor_for_gateway = tap(places.sensor.1, &x).await?;
        let core_for_gateway = tap(places.core.1, &y).await?;
        let gateway_for_core = tap(places.gateway.1, &y).await?;
        let network_for_core = tap(places.network.1, &z).await?;
        let core_for_network = tap(places.core.1, &z).await?;
        let partner_for_core = tap(places.partner.1, &y_prime).await?;
        let core_for_partner = tap(places.core.1, &y_prime).await?;
        let ways = Ways {
            sensor_to_gateway: gateway_for_sensor,
            gateway_to_sensor: sensor_for_gateway,
            gateway_to_core: core_for_gateway,
            core_to_gateway: gateway_for_core,
            core_to_network: network_for_core,
            network_to_core: core_for_network,
            core_to_partner: partner_for_core,
            partner_to_core: core_for_partner,
            insider_to_core: url(places.core.1)?,
            stranger_to_core: url(places.core.1)?,
            visitor_to_gateway: None,
        };
        places.people(ways, vec![x, y, y_prime, z], Vec::new(), running)
    }

    /// Stops the nodes: they finish what is under way and close their associations. Returns whether all did in time.
    pub async fn stop(mut self) -> bool {
        let mut in_time = true;
        for node in self.nodes.drain(..) {
            in_time &= node.await;
        }
        in_time
    }
}

/// The HTTP servers of the cast, bound but not yet served, and their addresses.
pub(super) struct Places {
    pub(super) sensor: (Option<Server>, SocketAddr),
    pub(super) gateway: (Option<Server>, SocketAddr),
    pub(super) core: (Option<Server>, SocketAddr),
    pub(super) network: (Option<Server>, SocketAddr),
    pub(super) partner: (Option<Server>, SocketAddr),
}

/// Where each member of the cast sends what it has for another.
pub(super) struct Ways {
    pub(super) sensor_to_gateway: Authority,
    pub(super) gateway_to_sensor: Authority,
    pub(super) gateway_to_core: Authority,
    pub(super) core_to_gateway: Authority,
    pub(super) core_to_network: Authority,
    pub(super) network_to_core: Authority,
    pub(super) core_to_partner: Authority,
    pub(super) partner_to_core: Authority,
    pub(super) insider_to_core: Authority,
    pub(super) stranger_to_core: Authority,
    pub(super) visitor_to_gateway: Option<Authority>,
}

impl Places {
    pub(super) async fn bind() -> anyhow::Result<Self> {
        let place = async || -> anyhow::Result<(Option<Server>, SocketAddr)> {
            let server = Server::bind(([127, 0, 0, 1], 0).into(), HttpLimits::default()).await?;
            let address = server.local_addr()?;
            Ok((Some(server), address))
        };
        Ok(Self {
            sensor: place().await?,
            gateway: place().await?,
            core: place().await?,
            network: place().await?,
            partner: place().await?,
        })
    }

    /// Gives every server its handler and everybody the ways to the others.
    pub(super) fn people(
        &mut self,
        ways: Ways,
        links: Vec<Link>,
        nodes: Vec<Stop>,
        mut running: Vec<Box<dyn core::any::Any + Send>>,
    ) -> anyhow::Result<World> {
        let limits = HttpLimits::default;
        let sensor = Ae::new("CSensor1", ways.sensor_to_gateway, limits());
        let inside_gateway = Ae::new("/id-mn/CSensor1", ways.gateway_to_core.clone(), limits());
        let operator = Ae::new("COperator", url(self.core.1)?, limits());
        let insider = Ae::new("/id-mn", ways.insider_to_core, limits());
        let stranger = Ae::new("/id-mn", ways.stranger_to_core, limits());
        let foreigner = Ae::new("/id-mn", ways.partner_to_core.clone(), limits());
        let analyst = Ae::new("CAnalyst", url(self.partner.1)?, limits());
        let visitor = ways
            .visitor_to_gateway
            .map(|way| Ae::new("CVisitor", way, limits()));
        let trigger = Ae::new(CORE, ways.core_to_network, limits());
        let network = Ae::new(NETWORK, ways.network_to_core, limits());
        let core = CseOptions {
            id: EntityId::parse(CORE)?,
            name: "cse-in".into(),
            registrar: None,
            providers: HashMap::from([(provider(PARTNER)?, ways.core_to_partner)]),
            point_of_access: url(self.core.1)?.to_string(),
        };
        let partner = CseOptions {
            id: EntityId::parse(PARTNER)?,
            name: "cse-pin".into(),
            registrar: None,
            providers: HashMap::from([(provider(CORE)?, ways.partner_to_core)]),
            point_of_access: url(self.partner.1)?.to_string(),
        };
        let gateway = CseOptions {
            id: EntityId::parse(GATEWAY)?,
            name: "cse-mn".into(),
            registrar: Some(NextHop {
                id: core.id.clone(),
                name: core.name.clone(),
                url: ways.gateway_to_core,
            }),
            providers: HashMap::new(),
            point_of_access: ways.core_to_gateway.to_string(),
        };
        let (core, gateway) = (Cse::new(core, limits()), Cse::new(gateway, limits()));
        running.push(Box::new(serve(&mut self.sensor.0, Arc::clone(&sensor))?));
        running.push(Box::new(serve(&mut self.network.0, Arc::clone(&network))?));
        running.push(Box::new(serve(&mut self.core.0, Arc::clone(&core))?));
        running.push(Box::new(serve(&mut self.gateway.0, Arc::clone(&gateway))?));
        let partner = Cse::new(partner, limits());
        running.push(Box::new(serve(&mut self.partner.0, partner)?));
        Ok(World {
            sensor,
            operator,
            inside_gateway,
            insider,
            stranger,
            foreigner,
            analyst,
            visitor,
            trigger,
            network,
            gateway,
            core,
            sensor_url: ways.gateway_to_sensor.to_string(),
            links,
            inside: None,
            nodes,
            _running: running,
        })
    }
}

fn serve(place: &mut Option<Server>, handler: impl Handler) -> anyhow::Result<DrainSignal> {
    let server = place.take().context("a place is taken once")?;
    let (signal, drain) = Drain::new();
    tokio::spawn(server.run(Arc::new(handler), drain));
    Ok(signal)
}

/// The links, with a capture each.
pub(super) fn links(marker: &str, directory: &Path, run: &str) -> anyhow::Result<[Link; 4]> {
    let link = |name: &'static str, file: &str| -> anyhow::Result<Link> {
        let path = directory.join(format!("{run}-{file}.pcap"));
        let capture = Arc::new(capture(marker, &path)?);
        Ok(Link {
            name,
            capture,
            path,
        })
    };
    Ok([
        link("X", "x")?,
        link("Y", "y")?,
        link("Y'", "y-prime")?,
        link("Z", "z")?,
    ])
}

/// A capture that is written to `path`.
pub(super) fn capture(marker: &str, path: &Path) -> anyhow::Result<Capture> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    Ok(Capture::new(
        marker.as_bytes(),
        Box::new(BufWriter::new(file)),
    )?)
}

/// The domain of an entity's service provider.
fn provider(entity: &str) -> anyhow::Result<String> {
    Ok(EntityId::parse(entity)?.service_provider().to_owned())
}

pub(super) fn url(address: SocketAddr) -> anyhow::Result<Authority> {
    Ok(format!("http://{address}").parse()?)
}
