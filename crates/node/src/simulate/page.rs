use super::{Outcome, RenewalOutcome, RenewalStrategy, Renewals, Storm, Strategy};
use crate::report::{Plot, Report, Section, Series, Table, grouped};

/// The report of a storm.
#[must_use]
pub fn storm_page(storm: &Storm, outcomes: &[Outcome]) -> Report {
    let (devices, capacity) = (storm.devices(), storm.capacity());
    let ideal = storm.ideal();
    let title = format!("A restart of {} devices", grouped(devices.into()));
    let handshakes = grouped(capacity.into());
    let summary = format!(
        "The responder makes {handshakes} handshakes a second, so nothing brings all back in less than {ideal:.0} s. \
         What follows was simulated in virtual time; reservations and backoff are the code that refpoint runs."
    );
    let slowest = outcomes.iter().filter_map(|outcome| outcome.p99);
    let until = slowest.fold(ideal * 1.5, f64::max).min(ideal * 6.0).ceil();
    let lines = |of: &dyn Fn(&Outcome) -> Vec<(f64, f64)>| -> Vec<Series> {
        let series = |outcome: &Outcome| Series::new(outcome.strategy.name(), of(outcome));
        outcomes.iter().map(series).collect()
    };
    let mut arrivals = Section::new("Arrivals and admissions").with_text(
        "Requests that arrive each second, and handshakes that are begun. What arrives above the capacity is in vain, \
         and costs devices their batteries; where admissions lie below it, the responder is idle while devices wait.",
    );
    for outcome in outcomes {
        let served = per_second(&outcome.served, until);
        let plot = Plot::new(
            outcome.strategy.name(),
            "seconds since the restart",
            "a second",
        )
        .compact()
        .on_log_scale()
        .with_lines([
            Series::new("requests", per_second(&outcome.arrivals, until)),
            Series::new("handshakes", served),
        ])
        .with_level(capacity.into(), "capacity");
        arrivals = arrivals.with_plot(plot);
    }
    let waiting = Plot::new(
        "Devices that are not back yet",
        "seconds since the restart",
        "devices",
    )
    .with_lines(lines(&|outcome| not_back(&outcome.back, devices, until)));
    let mut page = Report::new(&title, &summary)
        .with_section(Section::new("In figures").with_table(storm_table(outcomes)))
        .with_section(
            Section::new("Backlog")
                .with_text("How many devices have no association, until the last is back.")
                .with_plot(waiting),
        )
        .with_section(arrivals);
    if let Some(ours) = outcomes
        .iter()
        .find(|outcome| outcome.strategy == Strategy::Reservations)
    {
        let promised = per_second(&ours.backlog, until)
            .into_iter()
            .map(|(second, millis)| (second, millis / 1_000.0))
            .collect();
        let plot = Plot::new(
            "How far ahead slots lie when they are given",
            "seconds since the restart",
            "seconds",
        )
        .with_lines([Series::new("reservations", promised)]);
        page = page.with_section(Section::new("Slots").with_plot(plot));
    }
    let bars = outcomes
        .iter()
        .map(|outcome| (outcome.strategy.name(), outcome.attempts));
    let attempts = Plot::new("Requests a device, mean", "", "requests").with_bars(bars);
    page.with_section(
        Section::new("Attempts")
            .with_plot(attempts)
            .with_plot(attempts_plot(outcomes, devices)),
    )
}

/// The report of renewals.
#[must_use]
pub fn renewals_page(renewals: &Renewals, outcomes: &[RenewalOutcome]) -> Report {
    let devices = renewals.devices();
    let title = format!("Renewals of {} associations", grouped(devices.into()));
    let summary = format!(
        "All began in one storm, at {} a second, and live for {} s. What follows was simulated in virtual \
         time; windows are planned by the code that refpoint runs.",
        grouped(renewals.capacity().into()),
        grouped(renewals.lifetime())
    );
    let mut table = Table::new([
        "strategy",
        "peak/mean, first lifetime",
        "peak/mean later",
        "peak of capacity",
        "renewals a lifetime",
        "lost",
    ]);
    for outcome in outcomes {
        let cells = [
            outcome.strategy.name().into(),
            format!("{:.2}", outcome.first),
            format!("{:.2}", outcome.later),
            format!("{:.3}", outcome.peak),
            format!("{:.2}", outcome.renewals),
            grouped(outcome.lost),
        ];
        table = if outcome.strategy == RenewalStrategy::Planned {
            table.with_strong_row(cells)
        } else {
            table.with_row(cells)
        };
    }
    let series = |outcome: &RenewalOutcome| {
        let points = outcome.bins.iter().enumerate();
        let points = points.map(|(bin, count)| (bin as f64 / 360.0, f64::from(*count)));
        Series::new(outcome.strategy.name(), points.collect())
    };
    let over_time = Plot::new(
        "Renewals",
        "hours since the restart",
        "renewals in ten seconds",
    )
    .on_log_scale()
    .with_lines(outcomes.iter().map(series));
    let bars = |of: fn(&RenewalOutcome) -> f64| {
        outcomes
            .iter()
            .map(move |outcome| (outcome.strategy.name(), of(outcome)))
    };
    let first = Plot::new("Peak by mean in the first lifetime", "", "peak/mean")
        .compact()
        .with_bars(bars(|outcome| outcome.first))
        .with_level(1.0, "flat");
    let later = Plot::new("Peak by mean from then on", "", "peak/mean")
        .compact()
        .with_bars(bars(|outcome| outcome.later))
        .with_level(1.0, "flat");
    Report::new(&title, &summary)
        .with_section(Section::new("In figures").with_table(table))
        .with_section(Section::new("Over time").with_plot(over_time))
        .with_section(Section::new("Flatness").with_plot(first).with_plot(later))
}

fn storm_table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new([
        "strategy",
        "half back after",
        "99 % after",
        "requests a device",
        "goodput",
        "peak offered",
        "never back",
    ]);
    let seconds = |time: Option<f64>| time.map_or("never".into(), |time| format!("{time:.1} s"));
    for outcome in outcomes {
        let cells = [
            outcome.strategy.name().into(),
            seconds(outcome.p50),
            seconds(outcome.p99),
            format!("{:.2}", outcome.attempts),
            format!("{:.2} C", outcome.goodput),
            format!("{:.1} C", outcome.peak.offered),
            grouped(outcome.lost.into()),
        ];
        table = if outcome.strategy.is_ours() {
            table.with_strong_row(cells)
        } else {
            table.with_row(cells)
        };
    }
    table
}

/// For each number of attempts, the part of devices that took that many.
fn attempts_plot(outcomes: &[Outcome], devices: u32) -> Plot {
    let series = |outcome: &Outcome| {
        let counts = outcome.by_attempts.iter().enumerate();
        let part = |count: u32| f64::from(count) * 100.0 / f64::from(devices);
        let points = counts.map(|(at, count)| (at as f64 + 1.0, part(*count)));
        Series::new(outcome.strategy.name(), points.collect())
    };
    Plot::new(
        "How many devices take how many requests",
        "requests (64 or more are counted as 64)",
        "% of devices",
    )
    .with_lines(outcomes.iter().map(series))
}

fn per_second(counts: &[u32], until: f64) -> Vec<(f64, f64)> {
    // Nothing comes after the last, so the line goes down to its foot.
    let counts = counts.iter().copied().chain([0]);
    let points = counts.enumerate();
    let points = points.map(|(second, count)| (second as f64, f64::from(count)));
    points.take_while(|(second, _)| *second <= until).collect()
}

fn not_back(back: &[u32], devices: u32, until: f64) -> Vec<(f64, f64)> {
    let mut left = f64::from(devices);
    let mut points = vec![(0.0, left)];
    for (second, count) in per_second(back, until - 1.0) {
        left -= count;
        points.push((second + 1.0, left));
    }
    points
}
