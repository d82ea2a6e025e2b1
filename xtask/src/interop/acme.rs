//! `cargo xtask interop acme`: refpoint beside two unmodified ACME CSEs.
//!
//! Two runs of the same story (`story`), each with CSEs, keys and ports of its own:
//!
//! * **control**: plain relays in place of the nodes. Everything works, an eavesdropper reads it, and three attacks
//!   succeed: without that, the other run would prove nothing.
//! * **refpoint**: a node beside each CSE and AE. The same works, the eavesdropper reads nothing, the attacks are
//!   refused before they reach a CSE, and the refusals are reported.
//!
//! In both, the sensor then creates what is meant for the application alone (`end_to_end`). In the control run both CSEs hold it; in the
//! other the nodes beside the AEs have sealed it, and what the CSEs hold, read from them past everything under test, has no
//! marker.
//!
//! In both, a thousand requests (`bulk`) and all others are recorded at the HTTP socket in front of the egress and at
//! the one behind the ingress, and compared byte for byte (`comparison` says which bytes). `wiring` shows who is
//! connected to whom; `breakage` makes every check fail once.
//!
//! Needs Python 3.11 with venv, PyPI once, tshark, and the right to capture. State lies under `target/interop`, logs
//! and captures of the last run in `target/interop/acme`. Ports are chosen anew every time (`ports`). Nothing stays behind:
//! every process is on a leash (`process`).
//!
//! What ACME demands of who tests with it:
//!
//! * it must not be asked anything before it prints `CSE started`;
//! * what a CSE states as its point of access (`[http] address`) is where its *registrees* send everything but the
//!   registration itself: it has to lead to their node, on either side;
//! * text with many quotation marks or backslashes keeps it busy for minutes.

mod attacks;
mod breakage;
mod bulk;
mod capture;
mod comparison;
mod cse;
mod end_to_end;
mod folder;
mod line;
mod listener;
mod message;
mod nodes;
mod originator;
mod ports;
mod process;
mod recorder;
mod report;
mod story;
mod venv;
mod wiring;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use breakage::{Breakage, Wish};
use bulk::Random;
use end_to_end::Ends;
use report::{Report, Row};
use venv::Venv;
use wiring::{Link, Wiring};

/// An association over which nothing is asked stays below this number of bytes.
const QUIET: usize = 16 * 1024;

/// Runs the test, and fails if any check does.
pub(crate) fn run() -> anyhow::Result<()> {
    let wish = Wish::from_environment()?;
    let test = Test::prepare()?;
    match wish {
        Wish::Whole => test.run(None),
        Wish::Broken(breakage) => test.run(Some(breakage)),
        Wish::Each => test.break_everything(),
    }
}

/// What both runs need.
struct Test {
    venv: Venv,
    binary: PathBuf,
}

impl Test {
    fn prepare() -> anyhow::Result<Self> {
        capture::available()?;
        Ok(Self {
            venv: Venv::prepare()?,
            binary: nodes::binary()?,
        })
    }

    fn run(&self, breakage: Option<Breakage>) -> anyhow::Result<()> {
        let rows = self.rows(breakage)?;
        let failed: Vec<_> = rows
            .iter()
            .filter(|row| !row.held)
            .map(|row| row.name.as_str())
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!(
            "{} of {} checks failed: {}",
            failed.len(),
            rows.len(),
            failed.join("; ")
        )
    }

    fn rows(&self, breakage: Option<Breakage>) -> anyhow::Result<Vec<Row>> {
        let mut rows = self.control(breakage)?;
        rows.extend(self.refpoint(breakage)?);
        Ok(rows)
    }

    /// ACME alone.
    fn control(&self, breakage: Option<Breakage>) -> anyhow::Result<Vec<Row>> {
        let (home, marker) = (folder::fresh("control")?, marker());
        let mut report = Report::begin("control", "ACME alone, plain relays in place of the nodes");
        let Some(mut wiring) = self.start(&home, Link::Plain, breakage, &mut report) else {
            return Ok(ended(report, &home, breakage));
        };
        story::tell(&mut wiring, &marker, &mut report);
        report.check("an eavesdropper reads the marker", || {
            let seen = wiring.capture.end(&marker)?;
            anyhow::ensure!(
                seen.marked > 0,
                "the marker is in none of {} packets",
                seen.packets
            );
            Ok(format!("in {} of {} packets", seen.marked, seen.packets))
        });
        bulk::send(&mut wiring, &marker, &mut report);
        end_to_end::tell(&wiring, &marker, Ends::Plain, &mut report);
        attacks::succeed(&wiring, &marker, breakage, &mut report);
        drop(wiring);
        Ok(ended(report, &home, breakage))
    }

    /// A node beside each CSE and AE.
    fn refpoint(&self, breakage: Option<Breakage>) -> anyhow::Result<Vec<Row>> {
        let (home, marker) = (folder::fresh("refpoint")?, marker());
        let mut report = Report::begin("refpoint", "ACME with a node beside each CSE and AE");
        let link = match breakage {
            Some(Breakage::PlainLinks) => Link::Plain,
            _ => Link::Associations(&self.binary),
        };
        let Some(mut wiring) = self.start(&home, link, breakage, &mut report) else {
            return Ok(ended(report, &home, breakage));
        };
        story::tell(&mut wiring, &marker, &mut report);
        report.check("an eavesdropper does not read the marker", || {
            let seen = wiring.capture.end(&marker)?;
            anyhow::ensure!(
                seen.marked == 0,
                "the marker is in {} of {} packets",
                seen.marked,
                seen.packets
            );
            anyhow::ensure!(
                seen.packets >= 100,
                "only {} packets were captured",
                seen.packets
            );
            Ok(format!("in none of {} packets", seen.packets))
        });
        report.check("both directions of Mcc inside one association", || {
            one_association(&wiring)
        });
        bulk::send(&mut wiring, &marker, &mut report);
        end_to_end::tell(&wiring, &marker, Ends::Sealed, &mut report);
        attacks::refused(&mut wiring, &marker, breakage, &mut report);
        drop(wiring);
        Ok(ended(report, &home, breakage))
    }

    /// Starts everything, unless something does not start.
    fn start(
        &self,
        home: &Path,
        link: Link<'_>,
        breakage: Option<Breakage>,
        report: &mut Report,
    ) -> Option<Wiring> {
        let mut wiring = None;
        report.check("everything starts", || {
            wiring = Some(Wiring::start(home, &self.venv, link, breakage)?);
            Ok(format!("logs are in {}", folder::shown(home)))
        });
        wiring
    }

    /// Runs with one fault after the other, and fails if there is a check that none of them fails.
    fn break_everything(&self) -> anyhow::Result<()> {
        let mut failed_by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for breakage in Breakage::ALL {
            println!("\n== with the fault {}", breakage.name());
            for row in self.rows(Some(breakage))? {
                let by = failed_by.entry(row.name).or_default();
                if !row.held {
                    by.push(breakage.name());
                }
            }
        }
        println!("\nwhat makes each check fail:");
        for (check, by) in &failed_by {
            println!(
                "  {check:<66} {}",
                if by.is_empty() {
                    "NOTHING".to_owned()
                } else {
                    by.join(", ")
                }
            );
        }
        match failed_by.values().filter(|by| by.is_empty()).count() {
            0 => Ok(()),
            count => {
                bail!("{count} checks never failed: they prove nothing, or a fault is missing")
            }
        }
    }
}

/// Fails unless one connection carried all that gateway and core asked of each other; the rogue's carries next to
/// nothing.
fn one_association(wiring: &Wiring) -> anyhow::Result<String> {
    let connections = wiring.capture.connections(wiring.mcc_port)?;
    let (busy, rest): (Vec<_>, Vec<_>) = connections
        .into_iter()
        .partition(|passed| passed.there + passed.back > QUIET);
    let [busy] = busy[..] else {
        bail!("{} connections are in use", busy.len());
    };
    anyhow::ensure!(
        busy.there > story::LARGEST && busy.back > story::LARGEST,
        "only {} bytes went there and {} back",
        busy.there,
        busy.back
    );
    Ok(format!(
        "{} bytes there, {} back; beside it {} idle",
        busy.there,
        busy.back,
        rest.len()
    ))
}

/// What no message has by chance.
fn marker() -> String {
    format!("refpoint-marker-{:016x}", Random::new().next())
}

fn ended(report: Report, home: &Path, breakage: Option<Breakage>) -> Vec<Row> {
    let rows = report.end();
    if breakage.is_none() && rows.iter().any(|row| !row.held) {
        folder::print_logs(home);
    }
    rows
}
