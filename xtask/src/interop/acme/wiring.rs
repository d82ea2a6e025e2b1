//! Who is connected to whom.
//!
//! ```text
//!            X                               Y                               X
//! sensor ──E   I── gateway's CSE (MN) ──E   I── core's CSE (IN) ──I   E── app
//!        ──I   E──                    ──I   E──                 ──E   I──
//! ```
//!
//! Every `E` and `I` is a recorder at an HTTP socket, in front of an egress or behind an ingress. What lies between the
//! two is under test: nothing in the control run, where each `E` relays to its `I` in clear, and a node at either end
//! of an association in the other run. Both directions of a reference point share one association.

use core::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::breakage::{Breakage, Damage};
use super::capture::Capture;
use super::cse::Cse;
use super::line::{Line, Tally};
use super::listener::Listener;
use super::nodes::Nodes;
use super::originator::Originator;
use super::ports::Ports;
use super::recorder::Recorder;
use super::venv::Venv;

/// What lies between the two ends of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link<'a> {
    /// Nothing: the control run.
    Plain,
    /// A node beside each CSE and AE, started from this binary, and associations between them.
    Associations(&'a Path),
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Wiring {
    /// The six lines.
    pub(super) lines: Lines,
    /// The AE behind X at the gateway.
    pub(super) sensor: Originator,
    /// What the sensor is sent.
    pub(super) sensor_hears: Listener,
    /// The AE behind X at the core.
    pub(super) app: Originator,
    /// What the app is sent.
    pub(super) app_hears: Listener,
    /// The operators at the CSEs themselves, past everything under test: to see what is really there.
    pub(super) gateway_operator: Originator,
    pub(super) core_operator: Originator,
    /// How strangers get in.
    pub(super) doors: Doors,
    /// The nodes, unless the links are plain.
    pub(super) nodes: Option<Nodes>,
    pub(super) capture: Capture,
    /// What the link between gateway and core leads to.
    pub(super) mcc_port: u16,
    // In this order they are stopped: the gateway still tells the core that it goes.
    gateway: Cse,
    core: Cse,
    _reserved: Ports,
}

/// The six lines, by who sends.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) sensor: Line,
    pub(super) to_sensor: Line,
    pub(super) app: Line,
    pub(super) to_app: Line,
    /// From the gateway to the core.
    pub(super) up: Line,
    /// From the core to the gateway.
    pub(super) down: Line,
}

/// Where strangers send requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doors {
    /// As an AE to the gateway.
    pub(super) gateway: SocketAddr,
    /// As an AE to the core.
    pub(super) core: SocketAddr,
    /// As a CSE to the core.
    pub(super) core_as_cse: SocketAddr,
    /// To the gateway, as somebody whom it does not know.
    pub(super) unknown: SocketAddr,
    /// To the gateway, where its peers' links end.
    pub(super) link: SocketAddr,
}

/// Behind the ingresses.
struct Inner {
    gateway_x: Arc<Recorder>,
    gateway_y: Arc<Recorder>,
    core_x: Arc<Recorder>,
    core_y: Arc<Recorder>,
    sensor: Arc<Recorder>,
    app: Arc<Recorder>,
}

/// The egresses' addresses: where the recorders in front of them relay to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Egresses {
    pub(super) sensor: SocketAddr,
    pub(super) to_sensor: SocketAddr,
    pub(super) app: SocketAddr,
    pub(super) to_app: SocketAddr,
    pub(super) up: SocketAddr,
    pub(super) down: SocketAddr,
}

/// The recorders' addresses behind the ingresses: where nodes hand requests to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ingresses {
    pub(super) gateway_x: SocketAddr,
    pub(super) gateway_y: SocketAddr,
    pub(super) core_x: SocketAddr,
    pub(super) core_y: SocketAddr,
    pub(super) sensor: SocketAddr,
    pub(super) app: SocketAddr,
}

impl Wiring {
    /// Starts everything, in a fresh folder.
    pub(super) fn start(
        home: &Path,
        venv: &Venv,
        link: Link<'_>,
        breakage: Option<Breakage>,
    ) -> anyhow::Result<Self> {
        let mut reserved = Ports::default();
        let (gateway_address, core_address) = (reserved.reserve()?, reserved.reserve()?);
        let (sensor_hears, app_hears) = (Listener::start("")?, Listener::start("")?);
        let _busy = (breakage == Some(Breakage::BusyPort))
            .then(|| TcpListener::bind(gateway_address))
            .transpose()?;
        let recorder = |target| Recorder::start(target).map(Arc::new);
        let inner = Inner {
            gateway_x: recorder(gateway_address)?,
            gateway_y: recorder(gateway_address)?,
            core_x: recorder(core_address)?,
            core_y: recorder(core_address)?,
            sensor: recorder(sensor_hears.address())?,
            app: recorder(app_hears.address())?,
        };
        let ingresses = inner.addresses();
        let (nodes, egresses, doors, ports) = match link {
            Link::Plain => (
                None,
                ingresses.as_egresses(),
                ingresses.as_doors(),
                ingresses.ports(),
            ),
            Link::Associations(binary) => {
                let nodes = Nodes::prepare(home, binary, &ingresses, &mut reserved)?;
                let (egresses, doors, ports) =
                    (nodes.egresses(), nodes.doors(), nodes.association_ports());
                (Some(nodes), egresses, doors, ports)
            }
        };
        let mcc_port = nodes
            .as_ref()
            .map_or(ingresses.core_y.port(), Nodes::mcc_port);
        let lines = inner.lines(&egresses)?;
        lines.break_with(breakage);
        let deaf = breakage == Some(Breakage::DeafCapture);
        let capture = Capture::start(
            home,
            &if deaf {
                vec![reserved.reserve()?.port()]
            } else {
                ports
            },
        )?;
        let nodes = nodes.map(Nodes::start).transpose()?;

        let (up, down) = (
            lines.up.egress().address().port(),
            lines.down.egress().address().port(),
        );
        let core = Cse::start("in", home, venv, core_address, &[("poa_port", up)]);
        let core = core.context("the core's CSE did not start")?;
        let gateway = Cse::start(
            "mn",
            home,
            venv,
            gateway_address,
            &[("registrar_port", up), ("poa_port", down)],
        );
        let gateway = gateway.context("the gateway's CSE did not start")?;
        Ok(Self {
            sensor: Originator::new("CSensor1", lines.sensor.egress().address()),
            app: Originator::new("CApp", lines.app.egress().address()),
            gateway_operator: Originator::new("CAdmin", gateway_address),
            core_operator: Originator::new("CAdmin", core_address),
            lines,
            sensor_hears,
            app_hears,
            doors: if breakage == Some(Breakage::CutStrangers) {
                Doors::to_nowhere(reserved.reserve()?)
            } else {
                doors
            },
            nodes,
            capture,
            mcc_port,
            gateway,
            core,
            _reserved: reserved,
        })
    }

    /// Fails when something ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.gateway.check()?;
        self.core.check()?;
        self.nodes.as_mut().map_or(Ok(()), Nodes::check)
    }
}

impl Lines {
    /// Compares what passed on every line since the last time.
    pub(super) fn compare(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        self.each()
            .into_iter()
            .try_for_each(|line| line.compare(tally))
    }

    /// As [`compare`](Self::compare), until nothing is under way.
    pub(super) fn compare_all(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        self.each()
            .into_iter()
            .try_for_each(|line| line.compare_all(tally))
    }

    fn each(&mut self) -> [&mut Line; 6] {
        [
            &mut self.sensor,
            &mut self.to_sensor,
            &mut self.app,
            &mut self.to_app,
            &mut self.up,
            &mut self.down,
        ]
    }

    fn break_with(&self, breakage: Option<Breakage>) {
        let Self {
            sensor,
            to_sensor,
            app,
            to_app,
            up,
            down,
        } = self;
        let (damage, lines) = match breakage {
            Some(Breakage::Alter) => (
                Damage::Alter,
                vec![sensor, to_sensor, app, to_app, up, down],
            ),
            Some(Breakage::CutCore) => (Damage::Cut, vec![up, down]),
            Some(Breakage::CutDevice) => (Damage::Cut, vec![sensor]),
            Some(Breakage::CutNotifications) => (Damage::Cut, vec![to_sensor, to_app]),
            _ => return,
        };
        for line in lines {
            line.damage(damage);
        }
    }
}

impl Inner {
    fn addresses(&self) -> Ingresses {
        Ingresses {
            gateway_x: self.gateway_x.address(),
            gateway_y: self.gateway_y.address(),
            core_x: self.core_x.address(),
            core_y: self.core_y.address(),
            sensor: self.sensor.address(),
            app: self.app.address(),
        }
    }

    fn lines(self, egresses: &Egresses) -> anyhow::Result<Lines> {
        let line = |name, egress, ingress| -> anyhow::Result<Line> {
            Ok(Line::new(name, Recorder::start(egress)?, ingress))
        };
        Ok(Lines {
            sensor: line("sensor to gateway", egresses.sensor, self.gateway_x)?,
            to_sensor: line("gateway to sensor", egresses.to_sensor, self.sensor)?,
            app: line("app to core", egresses.app, self.core_x)?,
            to_app: line("core to app", egresses.to_app, self.app)?,
            up: line("gateway to core", egresses.up, self.core_y)?,
            down: line("core to gateway", egresses.down, self.gateway_y)?,
        })
    }
}

impl Doors {
    /// All of them lead to an address where nobody listens.
    fn to_nowhere(nowhere: SocketAddr) -> Self {
        Self {
            gateway: nowhere,
            core: nowhere,
            core_as_cse: nowhere,
            unknown: nowhere,
            link: nowhere,
        }
    }
}

impl Ingresses {
    /// Without anything between.
    fn as_egresses(self) -> Egresses {
        Egresses {
            sensor: self.gateway_x,
            to_sensor: self.sensor,
            app: self.core_x,
            to_app: self.app,
            up: self.core_y,
            down: self.gateway_y,
        }
    }

    fn as_doors(self) -> Doors {
        let Self {
            gateway_x,
            core_x,
            core_y,
            ..
        } = self;
        Doors {
            gateway: gateway_x,
            core: core_x,
            core_as_cse: core_y,
            unknown: gateway_x,
            link: gateway_x,
        }
    }

    fn ports(self) -> Vec<u16> {
        let all = [
            self.gateway_x,
            self.gateway_y,
            self.core_x,
            self.core_y,
            self.sensor,
            self.app,
        ];
        all.map(|address| address.port()).to_vec()
    }
}
