//! What an eavesdropper on a link gets: tshark's view of it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, bail};

use super::process::Process;

/// The time that the kernel and tshark may keep packets back.
const FLUSH: Duration = Duration::from_millis(1500);

/// A capture under way.
#[derive(Debug)]
pub(super) struct Capture {
    process: Process,
    file: PathBuf,
}

/// What was captured.
#[derive(Debug)]
pub(super) struct Seen {
    /// Packets that carry something.
    pub(super) packets: usize,
    /// Packets in which the marker can be read.
    pub(super) marked: usize,
}

/// What passed over one TCP connection.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Passed {
    /// Bytes to the end that was connected to.
    pub(super) there: usize,
    /// Bytes from there.
    pub(super) back: usize,
}

/// Fails unless tshark is there and may capture.
pub(super) fn available() -> anyhow::Result<()> {
    let Ok(listed) = Command::new("tshark").arg("-D").output() else {
        bail!("tshark is missing: install it (`apt-get install --yes tshark`)");
    };
    let interfaces = String::from_utf8_lossy(&listed.stdout).into_owned();
    if !interfaces.split_whitespace().any(|word| word == loopback()) {
        bail!(
            "tshark may not capture: run as root, or as a member of its group (`dpkg-reconfigure wireshark-common`)"
        );
    }
    Ok(())
}

fn loopback() -> &'static str {
    if cfg!(target_os = "macos") {
        "lo0"
    } else {
        "lo"
    }
}

impl Capture {
    /// Captures what passes at these ports of the loopback interface, and waits until it does.
    pub(super) fn start(home: &Path, ports: &[u16]) -> anyhow::Result<Self> {
        let file = home.join("links.pcapng");
        let filter: Vec<_> = ports.iter().map(|port| format!("port {port}")).collect();
        let arguments = ["-i", loopback(), "-q", "-f", &filter.join(" or "), "-w"];
        let arguments = arguments.into_iter().map(Into::into).chain([file.clone()]);
        let mut process = Process::start("tshark", home, Path::new("tshark"), arguments)?;
        process.wait_until(Duration::from_secs(20), |printed| {
            printed.contains("Capture started")
        })?;
        Ok(Self { process, file })
    }

    /// Ends the capture and looks for `marker` in it.
    pub(super) fn end(&mut self, marker: &str) -> anyhow::Result<Seen> {
        thread::sleep(FLUSH);
        self.process.check()?;
        self.process.stop();
        Ok(Seen {
            packets: self.matching("tcp.len > 0 or udp.length > 8")?,
            marked: self.matching(&format!("frame contains \"{marker}\""))?,
        })
    }

    /// What passed over each TCP connection to `port`, once the capture has ended.
    pub(super) fn connections(&self, port: u16) -> anyhow::Result<Vec<Passed>> {
        let filter = format!("tcp.port == {port} and tcp.len > 0");
        let packets = self.fields(&filter, &["tcp.stream", "tcp.dstport", "tcp.len"])?;
        let mut connections: BTreeMap<&str, Passed> = BTreeMap::new();
        for packet in packets.lines() {
            let [stream, to, length] = packet.split('\t').collect::<Vec<_>>()[..] else {
                bail!("tshark printed something else than three fields: {packet}");
            };
            let length: usize = length.parse().context("tcp.len is not a number")?;
            let passed = connections.entry(stream).or_default();
            if to == port.to_string() {
                passed.there += length;
            } else {
                passed.back += length;
            }
        }
        Ok(connections.into_values().collect())
    }

    fn matching(&self, filter: &str) -> anyhow::Result<usize> {
        Ok(self.fields(filter, &["frame.number"])?.lines().count())
    }

    /// A line for each packet that `filter` lets through.
    fn fields(&self, filter: &str, names: &[&str]) -> anyhow::Result<String> {
        let mut tshark = Command::new("tshark");
        tshark.args(["-n", "-Y", filter, "-T", "fields"]);
        tshark.args(names.iter().flat_map(|name| ["-e", name]));
        tshark.arg("-r").arg(&self.file);
        let output = tshark.output().context("cannot start tshark")?;
        if !output.status.success() {
            bail!(
                "tshark cannot read the capture: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).context("tshark printed something else than text")
    }
}
