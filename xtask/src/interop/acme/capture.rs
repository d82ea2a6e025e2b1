//! What an eavesdropper on a link gets: tshark's view of it.

use core::time::Duration;
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

    fn matching(&self, filter: &str) -> anyhow::Result<usize> {
        let mut tshark = Command::new("tshark");
        tshark
            .args([
                "-n",
                "-Y",
                filter,
                "-T",
                "fields",
                "-e",
                "frame.number",
                "-r",
            ])
            .arg(&self.file);
        let output = tshark.output().context("cannot start tshark")?;
        if !output.status.success() {
            bail!(
                "tshark cannot read the capture: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
    }
}
