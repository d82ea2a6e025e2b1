//! A process that can be killed: this test binary once more, told by its environment what to do.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const TASK: &str = "REFPOINT_STORE_TASK";
const DIRECTORY: &str = "REFPOINT_STORE_DIRECTORY";

/// In the child: the task and the directory; `None` in an ordinary run of the tests.
pub(crate) fn task() -> Option<(String, PathBuf)> {
    let directory = std::env::var_os(DIRECTORY)?;
    Some((std::env::var(TASK).ok()?, directory.into()))
}

/// In the child: tells the parent how far it is.
pub(crate) fn report(what: impl core::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // One write, so that a kill leaves no half of a line.
    let line = format!("@{what}\n");
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The command that runs the test `name` of this binary as a child; `before` is what runs it.
pub(crate) fn command(before: &[String], name: &str, task: &str, directory: &Path) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut command = match before.split_first() {
        None => Command::new(me),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(me);
            command
        }
    };
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .env(DIRECTORY, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// A child that works until it is killed.
pub(crate) struct Working {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Working {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next thing that the child reports; `None` when it has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // libtest writes its own beginning before ours.
            if let Some((_, report)) = line.trim_end().rsplit_once('@') {
                return Some(report.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Kills the child with SIGKILL; what it had still reported.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let left = core::iter::from_fn(|| self.next()).collect();
        self.child.wait().unwrap();
        left
    }

    /// Waits for the child's own end; what it had still reported, and whether it succeeded.
    pub(crate) fn end(mut self) -> (Vec<String>, bool) {
        let left = core::iter::from_fn(|| self.next()).collect();
        (left, self.child.wait().unwrap().success())
    }
}

/// Numbers that differ from run to run, with the seed printed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        let seed = u64::from_be_bytes(seed);
        println!("seed {seed:#x}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}
