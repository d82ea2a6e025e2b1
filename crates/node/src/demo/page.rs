//! The demo as a page of HTML.

use core::time::Duration;

use super::end_to_end::Sealed;
use super::report::{Finding, Seen};
use super::restart::{RENEWAL, Recovery, Return};
use crate::report::{Plot, Report, Section, Series, Table, grouped};

/// Readings are counted in steps of so long.
const READINGS: Duration = Duration::from_millis(100);

/// Renewals are counted in steps of so long.
const RENEWALS: Duration = Duration::from_millis(500);

/// The page that shows both runs, and what became of the fleet.
pub(super) fn page(
    findings: &[Finding],
    runs: (&[Seen], &[Seen]),
    sealed: &Sealed,
    recovery: &Recovery,
) -> Report {
    let failed = findings.iter().filter(|finding| !finding.holds).count();
    let summary = match failed {
        0 => {
            "A whole M2M system on loopback, with an eavesdropper on every link. Everything that the demo is there to \
              show was shown in this run."
        }
        _ => {
            "A whole M2M system on loopback, with an eavesdropper on every link. Something was not shown in this run: \
              see the list."
        }
    };
    let mut table = Table::new(["what", "shown"]).of_sentences();
    for finding in findings {
        let shown = if finding.holds { "yes" } else { "NO" };
        let cells = [finding.what.clone(), shown.to_owned()];
        table = match finding.holds {
            true => table.with_row(cells),
            false => table.with_strong_row(cells),
        };
    }
    Report::new("The refpoint demo", summary)
        .with_section(Section::new("What was shown").with_table(table))
        .with_section(eavesdroppers(runs))
        .with_section(end_to_end(sealed))
        .with_section(restart(recovery))
        .with_section(renewal(recovery))
}

fn eavesdroppers((plain, secured): (&[Seen], &[Seen])) -> Section {
    let mut table = Table::new([
        "link",
        "bytes, plain",
        "marker found",
        "bytes, associations",
        "marker found",
        "key ratchets",
    ]);
    for (plain, secured) in plain.iter().zip(secured) {
        let counts = [
            plain.bytes,
            plain.marker,
            secured.bytes,
            secured.marker,
            secured.ratchets,
        ];
        let counts = counts.map(grouped);
        table = table.with_row(core::iter::once(plain.link.to_owned()).chain(counts));
    }
    Section::new("What the eavesdroppers saw")
        .with_text(
            "The same scenario twice: plain HTTP on every link, which is the control, and with a node beside everybody. \
             All content holds a marker, for which a tap on every link looks.",
        )
        .with_table(table)
}

fn end_to_end(sealed: &Sealed) -> Section {
    let inside = sealed.inside;
    let mut seen = Table::new(["inside the gateway", "marker found", "bytes"]);
    seen = seen
        .with_row([
            "before anything was sealed".into(),
            grouped(inside.control),
            "–".into(),
        ])
        .with_row([
            "sealed end to end".into(),
            grouped(inside.found),
            grouped(inside.bytes),
        ]);
    let mut attacks = Table::new(["the gateway", "what the receiver says"]).of_sentences();
    for attack in &sealed.attacks {
        let refused = attack.refused.clone();
        let said = refused.unwrap_or_else(|| "nothing: IT SUCCEEDS".into());
        attacks = attacks.with_row([attack.what.to_owned(), said]);
    }
    Section::new("End to end")
        .with_text(
            "Associations end at the gateway. What a sensor behind it and an operator at the core want to keep from it \
             they seal for each other: letters of a session while both are there, objects to a pre-key while the \
             operator is off. A tap inside the gateway sees all that goes in and out of its CSE.",
        )
        .with_table(seen)
        .with_text("Then the gateway tries what it can with what it carries:")
        .with_table(attacks)
}

fn restart(recovery: &Recovery) -> Section {
    let count = recovery.devices as f64;
    let lines = |of: &dyn Fn(&Return) -> Vec<(f64, f64)>| -> Vec<Series> {
        let series = |one: &Return| Series::new(name(one), of(one));
        recovery.returns.iter().map(series).collect()
    };
    let back = Plot::new("Devices that are back", "seconds since the kill", "devices")
        .with_lines(lines(&|one| {
            let counted = one.back.iter().enumerate();
            let points = counted.map(|(before, at)| (at.as_secs_f64(), before as f64 + 1.0));
            core::iter::once((0.0, 0.0)).chain(points).collect()
        }))
        .with_level(count, "all");
    let sent = Plot::new(
        "What it took on the link",
        "seconds since the kill",
        "kB of handshakes and resumptions",
    )
    .with_lines(lines(&|one| {
        let mut sum = 0;
        let points = one.packets.iter().map(|(at, bytes)| {
            sum += bytes;
            (at.as_secs_f64(), sum as f64 / 1_000.0)
        });
        core::iter::once((0.0, 0.0)).chain(points).collect()
    }));
    let each = recovery.returns.iter();
    let bytes = Plot::new("Bytes a device", "", "bytes")
        .compact()
        .with_bars(
            each.clone()
                .map(|one| (name(one), one.bytes() as f64 / count)),
        );
    let mut section = Section::new("A restart of the core")
        .with_text(&format!(
            "{} devices, each with an association of its own, send a reading every second to a core in a process of its \
             own. The core is killed (kill -9) and started again: once on its store, where the handles are that it has \
             issued, so that each device is back with two small symmetric messages; and once without, so that each \
             makes a full handshake. Devices notice when a reading is not answered.",
            grouped(recovery.devices as u64)
        ))
        .with_table(restart_table(recovery))
        .with_plot(back)
        .with_plot(sent)
        .with_plot(bytes);
    let cpu: Option<Vec<_>> = each
        .map(|one| Some((name(one), one.cpu?.as_secs_f64() * 1e6 / count)))
        .collect();
    if let Some(cpu) = cpu {
        section = section.with_plot(
            Plot::new("CPU time of the core's process a device", "", "µs")
                .compact()
                .with_bars(cpu),
        );
    }
    let acknowledged = Plot::new(
        "Readings acknowledged",
        "seconds, the kill is at 1",
        "in a tenth of a second",
    )
    .with_lines(lines(&|one| counted(&one.acknowledged, READINGS)));
    section
        .with_plot(acknowledged)
        .with_text(&readings(recovery))
}

fn restart_table(recovery: &Recovery) -> Table {
    let mut table = Table::new([
        "the core",
        "back by light",
        "by handshake",
        "core ready",
        "all back",
        "packets",
        "bytes a device",
    ]);
    for one in &recovery.returns {
        let count = one.back.len();
        table = table.with_row([
            name(one).to_owned(),
            grouped(one.light as u64),
            grouped((count - one.light) as u64),
            format!("{:.2} s", one.ready.as_secs_f64()),
            format!("{:.2} s", one.took().as_secs_f64()),
            grouped(one.packets.len() as u64),
            format!("{:.0}", one.bytes() as f64 / count.max(1) as f64),
        ]);
    }
    table
}

fn renewal(recovery: &Recovery) -> Section {
    let flat = recovery.devices as f64 * RENEWALS.as_secs_f64() / RENEWAL.as_secs_f64();
    let over_time = Plot::new(
        "Renewals",
        "seconds since they were asked for",
        "in half a second",
    )
    .with_lines([Series::new(
        "renewals",
        counted(&recovery.renewed, RENEWALS),
    )])
    .with_level(flat, "flat");
    Section::new("A planned renewal")
        .with_text(&format!(
            "The core moves the renewal windows of all associations, inside them, to the next {} s: what an operator does \
             when a key may have become known to others (SIGUSR1). Each device makes a new handshake inside its \
             association, at a time of its own, and goes on sending readings.",
            RENEWAL.as_secs()
        ))
        .with_plot(over_time)
}

/// What became of the readings, in a sentence.
pub(super) fn readings(recovery: &Recovery) -> String {
    let readings = recovery.readings;
    format!(
        "Through both restarts and the renewal {} readings were acknowledged, of which {} are missing at the core; {} were \
         sent again after a restart and were there already; {} were reported to their sender as not delivered.",
        grouped(readings.acknowledged as u64),
        grouped(readings.lost as u64),
        grouped(readings.again as u64),
        grouped(readings.reported as u64)
    )
}

/// What a restart is called.
pub(super) const fn name(one: &Return) -> &'static str {
    if one.store {
        "with its store"
    } else {
        "without its store"
    }
}

/// How many fall into each step of time: a flat top for each.
fn counted(times: &[Duration], step: Duration) -> Vec<(f64, f64)> {
    let mut counts: Vec<f64> = Vec::new();
    for time in times {
        let at = (time.as_secs_f64() / step.as_secs_f64()) as usize;
        if counts.len() <= at {
            counts.resize(at + 1, 0.0);
        }
        counts[at] += 1.0;
    }
    counts.push(0.0);
    let step = step.as_secs_f64();
    let corners = counts.iter().enumerate().flat_map(|(at, count)| {
        let from = at as f64 * step;
        [(from, *count), (from + step, *count)]
    });
    core::iter::once((0.0, 0.0)).chain(corners).collect()
}

/// The greatest number of renewals in one step of time, and what it were if they were spread evenly.
pub(super) fn peak(recovery: &Recovery) -> (f64, f64) {
    let counts = counted(&recovery.renewed, RENEWALS).into_iter();
    let flat = recovery.devices as f64 * RENEWALS.as_secs_f64() / RENEWAL.as_secs_f64();
    (counts.map(|(_, count)| count).fold(0.0, f64::max), flat)
}
