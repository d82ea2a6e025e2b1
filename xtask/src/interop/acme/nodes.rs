//! The `refpoint` nodes beside the CSEs and AEs, those of strangers among them.
//!
//! What this test relies on in a node, besides its configuration and its key files:
//!
//! * `node started` is logged once it listens; it connects to peers with `initiator = "self"` without being asked;
//! * an egress without `from` leaves the verdict on the originator to the peer: the strangers' egresses are such;
//! * a node that refuses what a peer asks logs it, at level info or above, with the word `refused` and the peer's id.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::folder;
use super::ports::Ports;
use super::process::Process;
use super::wiring::{Doors, Egresses, Ingresses};
use crate::shell;

/// How long a node may take to listen.
const START: Duration = Duration::from_secs(10);

const GATEWAY: &str = "//acme.example.com/id-mn";
const CORE: &str = "//acme.example.com/id-in";
const SENSOR: &str = "//acme.example.com/id-mn/CSensor1";
const APP: &str = "//acme.example.com/id-in/CApp";
const ROGUE: &str = "//acme.example.com/id-rogue";
const GATEWAY_STRANGER: &str = "//acme.example.com/id-mn/CStranger";
const CORE_STRANGER: &str = "//acme.example.com/id-in/CStranger";
const NOBODY: &str = "//acme.example.com/id-mn/CNobody";

/// Who has a static key.
const STATIC: [(&str, &str); 5] = [
    ("gateway", GATEWAY),
    ("core", CORE),
    ("sensor", SENSOR),
    ("app", APP),
    ("rogue", ROGUE),
];

/// Who vouches for the end points' keys, and who they are.
const AUTHORITY: &str = "//acme.example.com/authority";
const END_POINTS: [(&str, &str); 2] = [("sensor", SENSOR), ("app", APP)];

/// Who shares a connection key with whom. The last one is known to one end only.
const CONNECTIONS: [(&str, &str, &str, &str); 7] = [
    ("gateway-core", "y", GATEWAY, CORE),
    ("core-rogue", "y", ROGUE, CORE),
    ("gateway-sensor", "x", SENSOR, GATEWAY),
    ("core-app", "x", APP, CORE),
    ("gateway-stranger", "x", GATEWAY_STRANGER, GATEWAY),
    ("core-stranger", "x", CORE_STRANGER, CORE),
    ("nobody", "x", NOBODY, GATEWAY),
];

/// In this order the nodes are started.
const NODES: [&str; 8] = [
    "core",
    "gateway",
    "sensor",
    "app",
    "stranger-at-gateway",
    "stranger-at-core",
    "rogue",
    "nobody",
];

/// The nodes of one run.
#[derive(Debug)]
pub(super) struct Nodes {
    home: PathBuf,
    binary: PathBuf,
    addresses: Addresses,
    processes: Vec<Process>,
}

/// Where the nodes listen.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    egresses: Egresses,
    doors: Doors,
    gateway_x: SocketAddr,
    core_x: SocketAddr,
    core_y: SocketAddr,
}

/// Builds the binary and says where it is.
pub(super) fn binary() -> anyhow::Result<PathBuf> {
    let mut build = shell::cargo();
    build.args([
        "build",
        "--bin",
        "refpoint",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let messages = shell::output(build.stdout(Stdio::piped()))?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message.pointer("/target/name")? == "refpoint").then_some(())?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable.context("cargo did not say where it put the refpoint binary")
}

impl Nodes {
    /// Makes keys and writes configurations: strangers may be started, but nobody listens yet.
    pub(super) fn prepare(
        home: &Path,
        binary: &Path,
        ingresses: &Ingresses,
        ports: &mut Ports,
    ) -> anyhow::Result<Self> {
        let home = home.join("nodes");
        fs::create_dir_all(home.join("keys")).context("cannot create the folder of keys")?;
        let addresses = Addresses::choose(ports)?;
        let nodes = Self {
            home,
            binary: binary.to_owned(),
            addresses,
            processes: Vec::new(),
        };
        nodes.make_keys()?;
        nodes.configure(ingresses)?;
        for name in NODES {
            let file = nodes.file(name);
            nodes
                .refpoint(&["node", "--check", "--config", &file])
                .with_context(|| format!("{name}.toml"))?;
        }
        Ok(nodes)
    }

    /// Where the gateway's association with the core ends.
    pub(super) fn mcc_port(&self) -> u16 {
        self.addresses.core_y.port()
    }

    /// Starts them.
    pub(super) fn start(mut self) -> anyhow::Result<Self> {
        for name in NODES {
            let file = self.file(name);
            let mut node =
                Process::start(name, &self.home, &self.binary, ["node", "--config", &file])?;
            node.wait_until(START, |printed| printed.contains("node started"))?;
            self.processes.push(node);
        }
        Ok(self)
    }

    pub(super) fn egresses(&self) -> Egresses {
        self.addresses.egresses
    }

    pub(super) fn doors(&self) -> Doors {
        self.addresses.doors
    }

    /// The ports at which associations come in: what an eavesdropper listens to.
    pub(super) fn association_ports(&self) -> Vec<u16> {
        let Addresses {
            gateway_x,
            core_x,
            core_y,
            ..
        } = self.addresses;
        [gateway_x, core_x, core_y]
            .map(|address| address.port())
            .to_vec()
    }

    /// Fails when a node has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// The last line with which a node reported that it refused `peer` something, above debug level.
    pub(super) fn report(&self, node: &str, peer: &str) -> anyhow::Result<String> {
        let at = NODES.iter().position(|name| *name == node);
        let node = at
            .and_then(|at| self.processes.get(at))
            .context("no such node")?;
        let printed = node.printed();
        let reported = |line: &&str| {
            let loud = ["ERROR", "WARN", "INFO"]
                .iter()
                .any(|level| line.contains(level));
            loud && line.contains("refused") && line.contains(peer)
        };
        let line = printed.lines().rev().find(reported);
        line.map(str::to_owned)
            .with_context(|| format!("the node's log has no refusal of {peer}"))
    }

    fn make_keys(&self) -> anyhow::Result<()> {
        for (name, entity) in STATIC {
            let (secret, public) = (format!("keys/{name}.static"), format!("keys/{name}.public"));
            self.refpoint(&[
                "keys", "new", "static", "--entity", entity, "--out", &secret,
            ])?;
            self.refpoint(&[
                "keys", "derive", "public", "--static", &secret, "--out", &public,
            ])?;
        }
        self.make_end_points()?;
        for (name, point, one, other) in CONNECTIONS {
            let out = format!("keys/{name}.connection");
            let terms = [
                "keys",
                "new",
                "connection",
                "--point",
                point,
                "--for",
                "1h",
                "--out",
                &out,
            ];
            self.refpoint(&[&terms[..], &["--entity", one, "--entity", other]].concat())?;
        }
        Ok(())
    }

    /// The keys of what is sealed end to end.
    fn make_end_points(&self) -> anyhow::Result<()> {
        let signers = [("authority", AUTHORITY)].into_iter().chain(END_POINTS);
        for (name, entity) in signers {
            let (secret, public) = (
                format!("keys/{name}.signing"),
                format!("keys/{name}.verifying"),
            );
            self.refpoint(&[
                "keys", "new", "signing", "--entity", entity, "--out", &secret,
            ])?;
            self.refpoint(&[
                "keys",
                "derive",
                "verifying",
                "--signing",
                &secret,
                "--out",
                &public,
            ])?;
        }
        for (name, _) in END_POINTS {
            let file = |kind| format!("keys/{name}.{kind}");
            let (public, verifying, out) = (file("public"), file("verifying"), file("record"));
            let record = ["keys", "record", "--for", "1h", "--out", &out];
            let by = ["--authority", "keys/authority.signing"];
            let of = ["--public", &public, "--verifying", &verifying];
            self.refpoint(&[&record[..], &by, &of].concat())?;
        }
        let shared = ["keys", "new", "application", "--for", "1h"];
        let of = ["--entity", SENSOR, "--entity", APP];
        let out = ["--out", "keys/sensor-app.application"];
        self.refpoint(&[&shared[..], &of, &out].concat())
    }

    fn configure(&self, ingresses: &Ingresses) -> anyhow::Result<()> {
        let Addresses {
            egresses,
            doors,
            gateway_x,
            core_x,
            core_y,
        } = self.addresses;
        let write = |name: &str, template: &str, values: &[(&str, &dyn ToString)]| {
            let values: Vec<_> = values
                .iter()
                .map(|(word, value)| (*word, value.to_string()))
                .collect();
            let filled = folder::fill(template, &values)?;
            fs::write(self.home.join(format!("{name}.toml")), filled)
                .context("cannot write a node's configuration")
        };
        write(
            "gateway",
            "gateway.toml",
            &[
                ("core_y", &core_y),
                ("gateway_x", &gateway_x),
                ("up", &egresses.up),
                ("to_sensor", &egresses.to_sensor),
                ("behind_gateway_x", &ingresses.gateway_x),
                ("behind_gateway_y", &ingresses.gateway_y),
            ],
        )?;
        write(
            "core",
            "core.toml",
            &[
                ("core_y", &core_y),
                ("core_x", &core_x),
                ("down", &egresses.down),
                ("to_app", &egresses.to_app),
                ("behind_core_x", &ingresses.core_x),
                ("behind_core_y", &ingresses.core_y),
            ],
        )?;
        write(
            "sensor",
            "sensor.toml",
            &[
                ("gateway_x", &gateway_x),
                ("sensor", &egresses.sensor),
                ("behind_sensor", &ingresses.sensor),
            ],
        )?;
        write(
            "app",
            "app.toml",
            &[
                ("core_x", &core_x),
                ("app", &egresses.app),
                ("behind_app", &ingresses.app),
            ],
        )?;
        write(
            "rogue",
            "rogue.toml",
            &[("core_y", &core_y), ("egress", &doors.core_as_cse)],
        )?;
        for (name, entity, peer, address, key, egress) in [
            (
                "stranger-at-gateway",
                GATEWAY_STRANGER,
                GATEWAY,
                gateway_x,
                "gateway-stranger",
                doors.gateway,
            ),
            (
                "stranger-at-core",
                CORE_STRANGER,
                CORE,
                core_x,
                "core-stranger",
                doors.core,
            ),
            (
                "nobody",
                NOBODY,
                GATEWAY,
                gateway_x,
                "nobody",
                doors.unknown,
            ),
        ] {
            write(
                name,
                "stranger.toml",
                &[
                    ("entity", &entity),
                    ("peer", &peer),
                    ("address", &address),
                    ("key", &key),
                    ("egress", &egress),
                ],
            )?;
        }
        Ok(())
    }

    fn file(&self, name: &str) -> String {
        self.home.join(format!("{name}.toml")).display().to_string()
    }

    fn refpoint(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(&self.binary)
            .args(arguments)
            .current_dir(&self.home)
            .output();
        let output = output.context("cannot start refpoint")?;
        if !output.status.success() {
            bail!(
                "`refpoint {}` failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}

impl Addresses {
    fn choose(ports: &mut Ports) -> anyhow::Result<Self> {
        let gateway_x = ports.reserve()?;
        Ok(Self {
            egresses: Egresses {
                sensor: ports.reserve()?,
                to_sensor: ports.reserve()?,
                app: ports.reserve()?,
                to_app: ports.reserve()?,
                up: ports.reserve()?,
                down: ports.reserve()?,
            },
            doors: Doors {
                gateway: ports.reserve()?,
                core: ports.reserve()?,
                core_as_cse: ports.reserve()?,
                unknown: ports.reserve()?,
                link: gateway_x,
            },
            gateway_x,
            core_x: ports.reserve()?,
            core_y: ports.reserve()?,
        })
    }
}
