//! All parts of the demo, one after the other, and what a newcomer should see in them.

use core::time::Duration;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;

use super::end_to_end::{self, Sealed};
use super::lifetimes::age;
use super::page::{self, page};
use super::ratchets;
use super::restart::{self, RENEWAL, Recovery};
use super::scenario::{Outcome, play};
use super::world::World;
use crate::associations::Associations;
use crate::report::grouped;

/// Where the demo plays.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The directory for the captures, made if need be.
    pub captures: PathBuf,
    /// The page of HTML.
    pub html: PathBuf,
    /// The refpoint binary, for the core that is killed.
    pub program: PathBuf,
    /// How many devices that core has.
    pub devices: usize,
}

/// What one tap saw in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) link: &'static str,
    pub(super) bytes: u64,
    pub(super) marker: u64,
    pub(super) ratchets: u64,
}

/// Something that the demo is there to show.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) holds: bool,
    pub(super) what: String,
}

impl Finding {
    pub(super) fn new(holds: bool, what: impl Into<String>) -> Self {
        Self {
            holds,
            what: what.into(),
        }
    }
}

/// Plays the scenario without associations and with those of `A`, then kills and renews a core under its devices;
/// writes captures, a page of HTML and a report to `out`, and returns whether the demo showed what it is there to show:
/// without associations every tap finds the marker and the stranger succeeds; with them no tap does, and the stranger
/// is refused; devices survive the restart of their core.
///
/// # Errors
///
/// When a part cannot be played to its end, or something cannot be written.
pub async fn demonstrate<A: Associations>(
    stage: &Stage,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let directory = stage.captures.as_path();
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("no randomness from the operating system")?;
    let marker = format!("SECRET-{}", hex::encode(random));
    writeln!(
        out,
        "An M2M system (oneM2M) on loopback, with an eavesdropper on every link:\n"
    )?;
    writeln!(
        out,
        "    sensor ══ X ══ gateway ══ Y ══ core ══ Z ══ network\n                                     ║\n                                     ╚═ Y' ══ core of another provider\n"
    )?;
    writeln!(
        out,
        "All content holds the marker {marker}, for which the eavesdroppers look.\n"
    )?;

    writeln!(out, "1. Without associations (the control)\n")?;
    let world = World::plain(&marker, directory)
        .await
        .context("the control run")?;
    let (plain, plain_seen) = run(&world, &marker, out).await.context("the control run")?;
    world.stop().await;

    writeln!(
        out,
        "2. With associations: a refpoint node beside everybody (this takes 12 s, for keys to age)\n"
    )?;
    let world = World::secured::<A>(&marker, directory)
        .await
        .context("the run with associations")?;
    let (secured, secured_seen) = run(&world, &marker, out)
        .await
        .context("the run with associations")?;
    writeln!(
        out,
        "3. End to end: sensor and operator seal for each other, and the gateway tries what it can\n"
    )?;
    let sealed = end_to_end::play(&world, &marker)
        .await
        .context("end to end")?;
    tell_sealed(&sealed, out)?;
    let stopped = world.stop().await;

    let count = grouped(stage.devices as u64);
    writeln!(
        out,
        "4. A core with {count} devices, a process of its own, is killed and started again (this takes 20 s)\n"
    )?;
    let recovery = restart::play(&stage.program, stage.devices)
        .await
        .context("the restart of a core")?;
    tell(&recovery, out)?;

    let mut findings = of_runs((&plain, &plain_seen), (&secured, &secured_seen));
    findings.extend(of_sealed(&sealed));
    findings.push(Finding::new(stopped, "the nodes stop in an orderly way"));
    findings.extend(of_recovery(&recovery));
    writeln!(out, "What was shown\n")?;
    for finding in &findings {
        let holds = if finding.holds { "yes" } else { "NO " };
        writeln!(out, "    {holds}  {}", finding.what)?;
    }
    let html = page(&findings, (&plain_seen, &secured_seen), &sealed, &recovery);
    std::fs::write(&stage.html, html.to_html())
        .with_context(|| stage.html.display().to_string())?;
    writeln!(
        out,
        "\nIt took {:.0} s. The page with plots: {}",
        begun.elapsed().as_secs_f64(),
        stage.html.display()
    )?;
    writeln!(
        out,
        "Captures are in {}. The eavesdropper's view of X:",
        directory.display()
    )?;
    writeln!(
        out,
        "    refpoint inspect {}",
        directory.join("secured-x.pcap").display()
    )?;
    Ok(findings.iter().all(|finding| finding.holds))
}

fn of_runs(plain: (&Outcome, &[Seen]), secured: (&Outcome, &[Seen])) -> Vec<Finding> {
    let ((plain, plain_seen), (secured, secured_seen)) = (plain, secured);
    [
        (
            plain_seen.iter().all(|seen| seen.marker > 0),
            "without associations, every eavesdropper finds the marker",
        ),
        (
            plain.hijacked == 3,
            "without associations, whoever claims to be the gateway takes its place",
        ),
        (
            secured_seen.iter().all(|seen| seen.bytes > 0),
            "with associations, every link carries traffic",
        ),
        (
            secured_seen.iter().all(|seen| seen.marker == 0),
            "with associations, no eavesdropper finds the marker",
        ),
        (
            plain.received == secured.received,
            "with associations, every receiver gets the same content",
        ),
        (
            secured.hijacked == 0,
            "with associations, whoever claims to be the gateway is refused",
        ),
        (
            secured_seen.iter().all(|seen| seen.ratchets > 0),
            "with associations, keys are ratcheted on every link, and end with their time",
        ),
    ]
    .map(|(holds, what)| Finding::new(holds, what))
    .into()
}

fn of_sealed(sealed: &Sealed) -> Vec<Finding> {
    let (inside, attacks) = (sealed.inside, &sealed.attacks);
    let passed = attacks
        .iter()
        .filter(|attack| attack.refused.is_none())
        .count();
    vec![
        Finding::new(
            inside.control > 0,
            "inside the gateway, where associations end, everything else is in clear",
        ),
        Finding::new(
            inside.bytes > 0 && inside.found == 0 && sealed.received > 0,
            "what is sealed end to end crosses the gateway, which finds no marker in it",
        ),
        Finding::new(
            !attacks.is_empty() && passed == 0,
            format!(
                "the gateway tries {} things with it, and each is noticed and refused",
                attacks.len()
            ),
        ),
    ]
}

/// What became of what was sealed.
fn tell_sealed(sealed: &Sealed, out: &mut dyn Write) -> anyhow::Result<()> {
    for step in &sealed.steps {
        writeln!(out, "    {:<4} {}", step.links, step.what)?;
    }
    for attack in &sealed.attacks {
        let end = attack.refused.as_deref().unwrap_or("IT SUCCEEDS");
        writeln!(out, "    the gateway {}:\n         {end}", attack.what)?;
    }
    let inside = sealed.inside;
    writeln!(
        out,
        "\n    inside the gateway, {} bytes went in and out: marker seen {} times (before anything was sealed: {})\n    \
         the receivers got the marker {} times\n",
        inside.bytes, inside.found, inside.control, sealed.received
    )?;
    Ok(())
}

fn of_recovery(recovery: &Recovery) -> Vec<Finding> {
    let devices = recovery.devices;
    let all = grouped(devices as u64);
    let of = |store: bool| {
        recovery
            .returns
            .iter()
            .filter(move |one| one.store == store)
    };
    let readings = recovery.readings;
    let intact = readings.acknowledged > 0 && readings.lost == 0 && readings.twice == 0;
    let (peak, flat) = page::peak(recovery);
    // Each second has its share, and in it times are drawn: twice the mean of half a second is far out.
    let even = recovery.renewed.len() == devices && peak < 2.0 * flat + 10.0;
    let light = of(true).all(|one| one.back.len() == devices && one.light == devices);
    let full = of(false).all(|one| one.back.len() == devices && one.light == 0);
    vec![
        Finding::new(
            light,
            format!("all {all} devices of a core that was killed are back by light with its store"),
        ),
        Finding::new(
            full,
            format!("all {all} are back without its store, too, by full handshakes"),
        ),
        Finding::new(
            intact,
            "every reading that was acknowledged is at the core, once",
        ),
        Finding::new(
            even,
            format!("all {all} associations are renewed when that is planned, evenly"),
        ),
        Finding::new(recovery.stopped, "the core stops in an orderly way"),
    ]
}

/// What became of the fleet.
fn tell(recovery: &Recovery, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "    kill -9, then      by light    by a handshake    all back after    bytes a device    CPU of the core"
    )?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    for one in &recovery.returns {
        let (count, bytes) = (one.back.len(), one.bytes());
        let millis = |cpu: Duration| format!("{:.0} ms", cpu.as_secs_f64() * 1e3);
        writeln!(
            out,
            "    {:<17} {:>9} {:>17} {:>17} {:>17} {:>18}",
            page::name(one),
            one.light,
            count - one.light,
            seconds(one.took()),
            bytes / count.max(1),
            one.cpu.map_or("-".to_owned(), millis)
        )?;
    }
    let (peak, flat) = page::peak(recovery);
    writeln!(
        out,
        "\n    {} associations renewed inside themselves within {}, as the core planned: at most {peak} in half a second (evenly: {flat})\n    {}\n",
        recovery.renewed.len(),
        seconds(recovery.renewed.last().copied().unwrap_or(RENEWAL)),
        page::readings(recovery)
    )?;
    Ok(())
}

async fn run(
    world: &World,
    marker: &str,
    out: &mut dyn Write,
) -> anyhow::Result<(Outcome, Vec<Seen>)> {
    let mut outcome = play(world, marker).await?;
    if world.visitor.is_some() {
        outcome.steps.extend(age(world, marker).await?);
    }
    for step in &outcome.steps {
        writeln!(out, "    {:<4} {}", step.links, step.what)?;
    }
    writeln!(
        out,
        "\n    link    bytes seen    marker seen    key ratchets seen"
    )?;
    let mut seen = Vec::new();
    for link in &world.links {
        link.capture.finish().context("a capture")?;
        let link = Seen {
            link: link.name,
            bytes: link.capture.bytes(),
            marker: link.capture.found(),
            ratchets: ratchets::count(&link.path)?,
        };
        writeln!(
            out,
            "    {:<4} {:>13} {:>14} {:>20}",
            link.link, link.bytes, link.marker, link.ratchets
        )?;
        seen.push(link);
    }
    writeln!(
        out,
        "    the receivers got the marker in {} places\n",
        outcome.received
    )?;
    Ok((outcome, seen))
}
