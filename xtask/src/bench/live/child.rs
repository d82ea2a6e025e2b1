//! The core's process, from outside.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A process of this program that serves; killed with the value.
pub(crate) struct Child {
    process: std::process::Child,
    commands: ChildStdin,
    reports: BufReader<ChildStdout>,
    /// When it was started.
    pub(crate) started: Instant,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

/// The CPU seconds that the operating system has counted for a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Of all its threads.
    pub(crate) cpu: f64,
    /// Of the one that it began with, which does everything but what waits for the disk.
    pub(crate) first: f64,
}

impl Child {
    /// Starts this program with other arguments, and waits until it is ready.
    pub(crate) fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut process = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = process.stdin.take().context("piped")?;
        let reports = BufReader::new(process.stdout.take().context("piped")?);
        let mut child = Self {
            process,
            commands,
            reports,
            started,
            ready: Value::Null,
        };
        child.ready = child.line()?;
        Ok(child)
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let read = self.reports.read_line(&mut line)?;
        ensure!(read > 0, "the core has ended");
        Ok(serde_json::from_str(&line)?)
    }

    /// What it says of itself.
    pub(crate) fn report(&mut self) -> anyhow::Result<Value> {
        writeln!(self.commands, "report")?;
        self.line()
    }

    /// Its CPU time so far. Threads that have ended are not in it.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let task = task?;
            let on_cpu = fs::read_to_string(task.path().join("schedstat"))?;
            let nanos: f64 = on_cpu.split(' ').next().context("numbers")?.parse()?;
            usage.cpu += nanos / 1e9;
            if task.file_name().to_string_lossy() == self.process.id().to_string() {
                usage.first = nanos / 1e9;
            }
        }
        Ok(usage)
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(peak.context("Linux has it")?.parse::<f64>()? * 1024.0)
    }

    /// Kills it (`SIGKILL`) and waits until it is gone.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
