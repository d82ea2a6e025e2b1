//! Processes that never outlive the harness.

use core::time::Duration;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::folder;

/// How long a process may take to end after it was asked to; the leash itself gives it four seconds.
const END: Duration = Duration::from_secs(8);

/// A process on a leash: `leash.py` ends it, and all that it started, as soon as this is dropped or the harness is
/// gone, whatever ended it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    leash: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments` in the folder `home`; what it prints goes to `home/NAME.log`.
    pub(super) fn start<I, A>(
        name: &str,
        home: &Path,
        program: &Path,
        arguments: I,
    ) -> anyhow::Result<Self>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let log = home.join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let errors = output
            .try_clone()
            .context("cannot share the log's handle")?;
        let leash = Command::new("python3")
            .arg(folder::data("leash.py"))
            .arg(program)
            .args(arguments)
            .current_dir(home)
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            leash,
            log,
        })
    }

    /// Waits until `ready` says so, which is shown what was printed, and fails when the process ends before, or does not get there in time.
    pub(super) fn wait_until(
        &mut self,
        time: Duration,
        mut ready: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        while !ready(&self.printed()) {
            self.check()?;
            if Instant::now() >= deadline {
                bail!(
                    "{} was not ready within {} s; see {}",
                    self.name,
                    time.as_secs(),
                    self.log.display()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Fails when the process has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.leash.try_wait()? {
            bail!(
                "{} ended by itself ({status}); see {}",
                self.name,
                self.log.display()
            );
        }
        Ok(())
    }

    /// What the process printed so far.
    pub(super) fn printed(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends the process, by force if it does not end when asked.
    pub(super) fn stop(&mut self) {
        drop(self.leash.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.leash.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = self.leash.kill();
                let _ = self.leash.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_ended_with_its_children() {
        let home = folder::scratch("a_dropped_process").expect("a scratch folder");
        let script = "sleep 1000 & echo $!; wait";
        let mut process =
            Process::start("sleeper", &home, Path::new("sh"), ["-c", script]).expect("a process");
        let mut child = String::new();
        let printed = |printed: &str| {
            printed.trim().clone_into(&mut child);
            !child.is_empty()
        };
        process
            .wait_until(Duration::from_secs(10), printed)
            .expect("a child");
        assert!(!cfg!(target_os = "linux") || runs(&child));
        drop(process);
        assert!(!runs(&child), "{child} still runs");
    }

    /// Whether the process is more than an entry that nobody has reaped.
    fn runs(id: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{id}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    #[test]
    fn a_process_that_ends_by_itself_is_noticed() {
        let home = folder::scratch("a_process_that_ends").expect("a scratch folder");
        let mut process =
            Process::start("short", &home, Path::new("false"), [""; 0]).expect("a process");
        let error = process
            .wait_until(Duration::from_secs(10), |_| false)
            .expect_err("it ended");
        assert!(error.to_string().contains("ended by itself"), "{error}");
    }
}
