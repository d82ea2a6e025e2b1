//! The table of results.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The steps that each profile must have passed, in some case of its own.
const REQUIRED: [&str; 43] = [
    "handshake",
    "repeated Initiate",
    "forged Respond",
    "confirmation",
    "request",
    "repeated request",
    "impersonation",
    "request of the gateway",
    "replayed record",
    "ratchet",
    "ratchet of the gateway",
    "outage",
    "refresh",
    "cookie",
    "close",
    "grant",
    "light",
    "repeated Resume",
    "fresh",
    "redeemed handle",
    "forged Resume",
    "moved window",
    "light as responder",
    "fresh as responder",
    "refused as responder",
    "slot",
    "slot of a Resume",
    "stream",
    "stream ratchets",
    "stream close",
    "stream light",
    "stream fresh",
    "stream unknown handle",
    "stream redeemed handle",
    "stream forged Resume",
    "stream replay",
    "stream handle twice",
    "stream second Resume",
    "stream as responder",
    "stream light as responder",
    "stream fresh as responder",
    "stream refused as responder",
    "stream forged Resumed",
];

const PROFILES: [&str; 3] = ["psk", "pinned", "known"];

/// The steps that each suite must have passed end to end.
const REQUIRED_END_TO_END: [&str; 17] = [
    "published keys",
    "object with Ka, opened",
    "object with Ka, sealed",
    "object without Ka, opened",
    "object without Ka, sealed",
    "padded, opened",
    "padded, sealed",
    "groups",
    "session",
    "letters",
    "letters out of order",
    "ratchet of letters",
    "letters refused",
    "successor",
    "session as responder",
    "letters as responder",
    "close of a session",
];

const END_TO_END: [&str; 2] = ["e2e chacha-poly", "e2e aes-gcm"];

/// What was checked, and how it went.
#[derive(Default)]
pub(super) struct Steps(Vec<Step>);

struct Step {
    case: String,
    name: String,
    ok: bool,
}

impl Steps {
    /// Adds a step and prints its row.
    pub(super) fn add(&mut self, case: &str, name: &str, ok: bool, detail: &str) {
        let verdict = if ok { "ok" } else { "FAILED" };
        println!("{verdict:<7} {case:<19} {name:<27} {detail}");
        self.0.push(Step {
            case: case.into(),
            name: name.into(),
            ok,
        });
    }

    /// Adds the step that a line of the Python peer tells of.
    pub(super) fn read(&mut self, line: &str) -> anyhow::Result<()> {
        let row: Value = serde_json::from_str(line)
            .with_context(|| format!("the Python peer printed no step: {line}"))?;
        let text = |field: &str| row[field].as_str().with_context(|| format!("no `{field}`"));
        let ok = row["ok"].as_bool().context("no `ok`")?;
        self.add(text("case")?, text("step")?, ok, text("detail")?);
        Ok(())
    }

    /// Fails when a step has failed or a required one is missing.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        let failed = self.0.iter().filter(|step| !step.ok).count();
        let missing: Vec<_> = required()
            .filter(|(case, name)| !self.passed(case, name))
            .map(|(case, name)| format!("{case} {name}"))
            .collect();
        println!("{} steps, {failed} failed", self.0.len());
        if failed > 0 || !missing.is_empty() {
            bail!("{failed} steps failed, not shown: {}", missing.join(", "));
        }
        Ok(())
    }

    /// Whether a case, or one of those of a profile, has passed a step.
    fn passed(&self, case: &str, name: &str) -> bool {
        let of_case = |step: &Step| step.case == case || step.case.split(' ').next() == Some(case);
        self.0
            .iter()
            .any(|step| step.ok && step.name == name && of_case(step))
    }
}

/// Cases, or profiles, and the steps that they must have passed.
fn required() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |cases: &'static [&str], steps: &'static [&str]| {
        let each = |case: &&'static str| (*case, steps);
        cases.iter().map(each).collect::<Vec<_>>()
    };
    let all = [
        of(&PROFILES, &REQUIRED),
        of(&END_TO_END, &REQUIRED_END_TO_END),
    ]
    .concat();
    let each = |(case, steps): (_, &'static [&str])| steps.iter().map(move |step| (case, *step));
    all.into_iter().flat_map(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Steps {
        let mut steps = Steps::default();
        for (case, name) in required() {
            steps.add(case, name, true, "");
        }
        steps
    }

    #[test]
    fn all_required_steps_pass() {
        assert!(all().finish().is_ok());
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let mut steps = all();
        steps.add("psk aes-gcm", "close", false, "");
        assert!(steps.finish().is_err());
    }

    #[test]
    fn a_missing_step_fails_the_run() {
        let mut steps = all();
        steps.0.pop();
        assert!(steps.finish().is_err());
    }

    #[test]
    fn what_is_no_step_is_an_error() {
        assert!(Steps::default().read("Traceback").is_err());
    }
}
