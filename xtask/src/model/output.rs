//! What ProVerif prints: one RESULT line a query, in the order of the queries.

use serde::Deserialize;

/// ProVerif's answer to one query, in its own sense: `false` comes with an attack that it found, or,
/// for `query event(..)`, with a run that reaches the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// Proved.
    True,
    /// Disproved by a trace.
    False,
    /// An injective correspondence that holds without injectivity: only a replay breaks it.
    NotInjective,
    /// Neither proved nor disproved.
    Unproved,
}

impl Verdict {
    /// As in `expected.toml`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::NotInjective => "not-injective",
            Self::Unproved => "unproved",
        }
    }
}

/// The verdicts in `printed`, in order.
pub(super) fn verdicts(printed: &str) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for line in printed.lines() {
        let Some(result) = line.strip_prefix("RESULT ") else {
            continue;
        };
        // A line in brackets explains the one before it.
        if let Some(remark) = result.strip_prefix('(') {
            let only_replay = remark.starts_with("but ") && remark.ends_with(" is true.)");
            if let (true, Some(last @ Verdict::False)) = (only_replay, verdicts.last_mut()) {
                *last = Verdict::NotInjective;
            }
        } else if result.ends_with(" is true.") {
            verdicts.push(Verdict::True);
        } else if result.ends_with(" is false.") {
            verdicts.push(Verdict::False);
        } else {
            verdicts.push(Verdict::Unproved);
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut from what ProVerif 2.05 prints.
    const SAMPLE: &str = "\
-- Query not attacker(s[]) in process 1.
Starting query not attacker(s[])
RESULT not attacker(s[]) is true.
goal reachable: attacker(k[])
The attack trace has been found.
RESULT not attacker_p1(k[]) is false.
RESULT inj-event(RAnswer(i,r)) ==> inj-event(IStart(i,r)) || event(Leaked(i)) is false.
RESULT (but event(RAnswer(i,r)) ==> event(IStart(i,r)) || event(Leaked(i)) is true.)
RESULT inj-event(IAccept(i,r)) ==> inj-event(RAnswer(i,r)) is false.
RESULT (even event(IAccept(i,r)) ==> event(RAnswer(i,r)) is false.)
RESULT inj-event(Received(m)) ==> inj-event(Sent(m)) cannot be proved.
RESULT (but event(Received(m)) ==> event(Sent(m)) is true.)

--------------------------------------------------------------
Verification summary:

Query not attacker(s[]) is true.
";

    #[test]
    fn each_result_line_is_one_verdict_and_a_remark_tells_a_replay_from_an_attack() {
        let found = verdicts(SAMPLE);
        let expected = [
            Verdict::True,
            Verdict::False,
            Verdict::NotInjective,
            Verdict::False,
            Verdict::Unproved,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_proverif_says_of_an_error_is_no_verdict() {
        let error = "File \"a.pv\", line 1, character 1:\nError: identifier a not defined.\n";
        assert!(verdicts(error).is_empty());
    }
}
