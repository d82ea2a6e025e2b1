//! Both runs, one after the other, and what a newcomer should see in them.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::lifetimes::age;
use super::ratchets;
use super::scenario::{Outcome, play};
use super::world::World;
use crate::associations::Associations;

/// What one tap saw in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    link: &'static str,
    bytes: u64,
    marker: u64,
    ratchets: u64,
}

/// Plays the scenario without associations and with those of `A`, writes captures to `directory` and a report to
/// `out`, and returns whether the demo showed what it is there to show: without associations every tap finds the
/// marker and the stranger succeeds; with them no tap does, and the stranger is refused.
///
/// # Errors
///
/// When a run cannot be played to its end, or something cannot be written.
pub async fn demonstrate<A: Associations>(
    directory: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
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
    let stopped = world.stop().await;

    writeln!(out, "What was shown\n")?;
    let findings = [
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
        (stopped, "the nodes stop in an orderly way"),
    ];
    for (holds, finding) in findings {
        writeln!(out, "    {}  {finding}", if holds { "yes" } else { "NO " })?;
    }
    writeln!(
        out,
        "\nCaptures are in {}. The eavesdropper's view of X:",
        directory.display()
    )?;
    writeln!(
        out,
        "    refpoint inspect {}",
        directory.join("secured-x.pcap").display()
    )?;
    Ok(findings.iter().all(|(holds, _)| *holds))
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
