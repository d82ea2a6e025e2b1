//! `cargo xtask model`: runs the ProVerif models of `proto/model/` and compares each result with the expected one.
//!
//! The expectations lie in `proto/model/expected.toml`: an attack that appears, or one that no longer does, fails.

mod expected;
mod output;
#[cfg(test)]
mod source;

use core::time::Duration;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::shell;
use expected::{Expectations, Model};
use output::Verdict;

/// The program that decides the queries.
const PROVERIF: &str = "proverif";

/// How long one model may take; those marked slow get [`PATIENCE_WITH_SLOW`].
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_WITH_SLOW: Duration = Duration::from_secs(3_600);

/// Which models to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Those that take minutes, too
    #[arg(long)]
    all: bool,
    /// Only these models, slow or not, such as `psk.pv`
    #[arg(value_name = "FILE")]
    files: Vec<String>,
}

/// What CI runs: all but the slow models.
pub(crate) fn run_fast() -> anyhow::Result<()> {
    run(&Options {
        all: false,
        files: Vec::new(),
    })
}

/// Runs one model after the other, prints a table, and fails on any difference.
///
/// Without ProVerif it says so and succeeds: no package of the usual systems has it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let expectations = Expectations::read(&folder())?;
    if let Some(unknown) = options
        .files
        .iter()
        .find(|file| expectations.models().all(|model| model.file != **file))
    {
        bail!("no model {unknown} in proto/model/expected.toml");
    }
    if !installed()? {
        println!("models skipped: {PROVERIF} is not on the PATH (proto/model/README.md)");
        return Ok(());
    }
    let chosen = expectations.models().filter(|model| {
        let named = options.files.contains(&model.file);
        named || options.files.is_empty() && (options.all || !model.slow)
    });
    let mut differences = 0;
    let mut ran = 0;
    for model in chosen {
        let start = Instant::now();
        let printed = decide(model)?;
        let verdicts = output::verdicts(&printed);
        differences += report(model, &verdicts, start.elapsed());
        ran += 1;
    }
    if differences > 0 {
        bail!("{differences} results are not the expected ones");
    }
    let left = expectations.models().count() - ran;
    println!("{ran} models as expected, {left} not run");
    Ok(())
}

fn folder() -> PathBuf {
    shell::root().join("proto/model")
}

fn installed() -> anyhow::Result<bool> {
    let help = shell::command(PROVERIF)
        .arg("-help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match help {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("cannot start proverif"),
    }
}

/// Runs ProVerif on one model and returns all that it printed; nothing, if its time ran out.
fn decide(model: &Model) -> anyhow::Result<String> {
    let mut command = Command::new(PROVERIF);
    command.current_dir(folder());
    for lib in &model.libs {
        command.args(["-lib", lib]);
    }
    let mut child = command
        .arg(&model.file)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start proverif")?;
    let mut stdout = child.stdout.take().context("proverif has no output")?;
    let (sender, receiver) = mpsc::channel();
    // Reading ends when the child does, so waiting for the reader is waiting for the child.
    let reader = thread::spawn(move || {
        let mut printed = String::new();
        let read = stdout.read_to_string(&mut printed).map(|_| printed);
        // Nobody listens any more after the patience has ended.
        let _ = sender.send(read);
    });
    let patience = if model.slow {
        PATIENCE_WITH_SLOW
    } else {
        PATIENCE
    };
    let printed = receiver.recv_timeout(patience);
    if let Err(RecvTimeoutError::Timeout) = printed {
        child.kill().context("cannot end proverif")?;
    }
    let status = child.wait().context("cannot wait for proverif")?;
    if reader.join().is_err() {
        bail!("reading proverif's output failed");
    }
    let file = &model.file;
    let Ok(printed) = printed else {
        eprintln!("{file} is not decided after {} s", patience.as_secs());
        return Ok(String::new());
    };
    let printed = printed.with_context(|| format!("{file}: proverif printed no text"))?;
    if !status.success() {
        bail!("{file}: proverif failed: {status}\n{printed}");
    }
    Ok(printed)
}

/// Prints one model's rows and returns how many differ.
fn report(model: &Model, verdicts: &[Verdict], took: Duration) -> usize {
    println!("{} ({:.1} s)", model.file, took.as_secs_f32());
    let rows = model.results.len().max(verdicts.len());
    let mut differences = 0;
    for row in 0..rows {
        let expected = model.results.get(row);
        let name = expected.map_or("a query that nothing is expected of", |(name, _)| name);
        let wanted = expected.map(|(_, verdict)| *verdict);
        let found = verdicts.get(row).copied();
        let remark = if wanted == found { "" } else { "  <- DIFFERS" };
        differences += usize::from(wanted != found);
        println!(
            "  {name:<44} expected {:<14} found {:<14}{remark}",
            shown(wanted),
            shown(found)
        );
    }
    differences
}

fn shown(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("nothing", Verdict::name)
}
