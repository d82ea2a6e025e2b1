//! The table of results.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The steps that each profile must have passed, in some case of its own.
const REQUIRED: [&str; 27] = [
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
];

const PROFILES: [&str; 3] = ["psk", "pinned", "known"];

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
        println!("{verdict:<7} {case:<19} {name:<23} {detail}");
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
        let missing: Vec<_> = PROFILES
            .iter()
            .flat_map(|profile| REQUIRED.iter().map(move |name| (profile, name)))
            .filter(|(profile, name)| !self.passed(profile, name))
            .map(|(profile, name)| format!("{profile} {name}"))
            .collect();
        println!("{} steps, {failed} failed", self.0.len());
        if failed > 0 || !missing.is_empty() {
            bail!("{failed} steps failed, not shown: {}", missing.join(", "));
        }
        Ok(())
    }

    fn passed(&self, profile: &str, name: &str) -> bool {
        let of_profile = |step: &Step| step.case.split(' ').next() == Some(profile);
        self.0
            .iter()
            .any(|step| step.ok && step.name == name && of_profile(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Steps {
        let mut steps = Steps::default();
        for profile in PROFILES {
            for name in REQUIRED {
                steps.add(profile, name, true, "");
            }
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
