//! The core of a fleet: `refpoint node` in a process of its own.

use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, ReferencePoint, UtcTime, Validity};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::demo::temporary::{TemporaryDirectory, random};
use crate::demo::world::CORE;
use crate::key_file::KeyFile;
use crate::utc;

/// Longer than a core needs to start, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a core's configuration, keys and store lie, and who its devices are.
pub(crate) struct Place {
    directory: TemporaryDirectory,
    /// Each device with the key that it shares with the core.
    pub(crate) devices: Vec<(EntityId, Arc<ConnectionKey>)>,
}

impl Place {
    /// Makes keys for `count` devices.
    pub(crate) fn make(count: usize) -> anyhow::Result<Self> {
        let directory = TemporaryDirectory::make("fleet")?;
        let core = EntityId::parse(CORE)?;
        let until = UtcTime::from_secs(utc::now().as_secs() + 86_400);
        let mut devices = Vec::with_capacity(count);
        for number in 0..u32::try_from(count).context("fewer devices")? {
            let device = EntityId::parse(&format!("{CORE}/CMeter{number:04}"))?;
            let id = KeyId::new(&number.to_be_bytes())?;
            let bytes = random()?;
            let (point, validity) = (ReferencePoint::X, Validity::until(until));
            let key = || ConnectionKey::from_bytes(*bytes, id, point, &core, &device, validity);
            KeyFile::Connection(key()?).create(&directory.path().join(name(&device)))?;
            let key = Arc::new(key()?);
            devices.push((device, key));
        }
        Ok(Self { directory, devices })
    }

    /// Writes the configuration of a core at `address` beside the CSE at `cse`.
    fn configure(
        &self,
        address: SocketAddr,
        cse: SocketAddr,
        renewal: Duration,
    ) -> anyhow::Result<PathBuf> {
        let mut text = format!(
            "[node]\nentity = \"{CORE}\"\ndrain = \"2s\"\n[limits]\nrenewal_time = \"{}s\"\n\
             [store]\ndirectory = \"{STORE}\"\n\
             [[listen]]\naddress = \"{address}\"\ncarriage = \"udp\"\npoints = [\"x\"]\n\
             [[ingress]]\ncse = \"http://{cse}\"\npoints = [\"x\"]\n",
            renewal.as_secs()
        );
        for (device, _) in &self.devices {
            let _ = write!(
                text,
                "[[peer]]\nentity = \"{device}\"\npoint = \"x\"\ncarriage = \"udp\"\ninitiator = \"peer\"\n\
                 profiles = [\"psk\"]\nconnection_key = \"{}\"\n",
                name(device)
            );
        }
        let path = self.directory.path().join("core.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Loses the store.
    pub(crate) fn lose_store(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.directory.path().join(STORE))?)
    }
}

const STORE: &str = "store";

fn name(device: &EntityId) -> &str {
    device.to_stem().unwrap_or_default()
}

/// A core that runs; killed when it is dropped.
pub(crate) struct CoreProcess {
    child: Child,
    /// Where devices find it.
    pub(crate) address: SocketAddr,
}

impl CoreProcess {
    /// Starts `program` as the core in `place`, at `address` (any port if that is 0), beside the CSE at `cse`, and waits
    /// until it is ready.
    pub(crate) async fn start(
        program: &Path,
        place: &Place,
        address: SocketAddr,
        cse: SocketAddr,
        renewal: Duration,
    ) -> anyhow::Result<Self> {
        let config = place.configure(address, cse, renewal)?;
        let child = Command::new(program)
            .arg("node")
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut this = Self { child, address };
        let log = this.child.stderr.take().context("it was piped")?;
        let (lines, mut said) = mpsc::unbounded_channel();
        // It is read to its end, so that the core never waits for a reader.
        std::thread::Builder::new().spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        })?;
        let ready = async {
            let mut last = String::new();
            while let Some(line) = said.recv().await {
                if let Some(at) = line.split("associations come in address=").nth(1) {
                    let at = at.split_whitespace().next().unwrap_or_default();
                    this.address = at.parse()?;
                }
                if line.contains("node started") {
                    return Ok(());
                }
                last = line;
            }
            bail!("it ended: {last}")
        };
        let ready = timeout(PATIENCE, ready).await;
        ready
            .context("the core does not start")?
            .context("the core")?;
        Ok(this)
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Has it renew all associations.
    pub(crate) fn renew_all(&self) -> anyhow::Result<()> {
        self.signal(Signal::USR1)
    }

    /// Asks it to stop; returns whether it did so in an orderly way.
    pub(crate) async fn stop(mut self) -> anyhow::Result<bool> {
        self.signal(Signal::TERM)?;
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    /// Its CPU time so far, where the system tells.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let mut nanos = 0;
        for task in tasks {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            nanos += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(nanos))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process has a number")?, signal)?;
        Ok(())
    }
}

impl Drop for CoreProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
