//! The table of checks.

use std::time::Instant;

/// The checks of one run, each printed as soon as it is known.
#[derive(Debug)]
pub(super) struct Report {
    run: &'static str,
    rows: Vec<Row>,
    begun: Instant,
}

/// One check.
#[derive(Debug)]
pub(super) struct Row {
    /// The run and the check.
    pub(super) name: String,
    /// Whether it held.
    pub(super) held: bool,
}

impl Report {
    /// Begins a table.
    pub(super) fn begin(run: &'static str, what: &str) -> Self {
        println!("\n{run}: {what}");
        Self {
            run,
            rows: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Makes a check: what it returns is shown, and an error fails it. The run goes on either way.
    pub(super) fn check(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<String>) {
        let begun = Instant::now();
        let outcome = check();
        let held = outcome.is_ok();
        let detail = outcome.unwrap_or_else(|error| format!("{error:#}"));
        let seconds = begun.elapsed().as_secs_f32();
        println!(
            "  {}  {seconds:5.1} s  {name:<46} {detail}",
            if held { "pass" } else { "FAIL" }
        );
        self.rows.push(Row {
            name: format!("{}: {name}", self.run),
            held,
        });
    }

    /// The rows, after a line that counts them.
    pub(super) fn end(self) -> Vec<Row> {
        let failed = self.rows.iter().filter(|row| !row.held).count();
        let seconds = self.begun.elapsed().as_secs();
        println!(
            "{}: {} checks, {failed} failed, {seconds} s",
            self.run,
            self.rows.len()
        );
        self.rows
    }
}
