use core::time::Duration;
use std::collections::HashMap;

use super::{Findings, Place, Violation};

/// Who waits to be heard, and since when nothing keeps it from being heard.
#[derive(Debug)]
pub(super) struct Patience {
    longest: Duration,
    places: HashMap<Place, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wants: Option<Duration>,
    /// Since when it can be reached; `None`: it cannot.
    reachable: Option<Duration>,
}

impl Waiting {
    /// How long it has waited although it could be reached.
    fn waited(&self, now: Duration) -> Option<Duration> {
        let since = self.wants?.max(self.reachable?);
        Some(now.saturating_sub(since))
    }
}

impl Patience {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            places: HashMap::new(),
        }
    }

    pub(super) fn wants(&mut self, now: Duration, place: Place, findings: &mut Findings) {
        self.judge(now, place, findings);
        findings.wishes += 1;
        self.place(place).wants = Some(now);
    }

    pub(super) fn heard(&mut self, now: Duration, place: Place, findings: &mut Findings) {
        self.judge(now, place, findings);
        let waiting = self.place(place);
        findings.heard += u64::from(waiting.wants.take().is_some());
    }

    pub(super) fn hindered(
        &mut self,
        now: Duration,
        place: Place,
        hindered: bool,
        findings: &mut Findings,
    ) {
        let waiting = self.place(place);
        if hindered == waiting.reachable.is_none() {
            return;
        }
        self.judge(now, place, findings);
        self.place(place).reachable = (!hindered).then_some(now);
    }

    pub(super) fn finish(&mut self, now: Duration, findings: &mut Findings) {
        let mut places: Vec<_> = self.places.keys().copied().collect();
        places.sort_unstable();
        for place in places {
            self.judge(now, place, findings);
        }
    }

    /// Everybody can be reached until something is said of it.
    fn place(&mut self, place: Place) -> &mut Waiting {
        self.places.entry(place).or_insert(Waiting {
            wants: None,
            reachable: Some(Duration::ZERO),
        })
    }

    fn judge(&mut self, now: Duration, place: Place, findings: &mut Findings) {
        let longest = self.longest;
        let waiting = self.place(place);
        let Some(waited) = waiting.waited(now) else {
            return;
        };
        findings.waited(waited);
        if waited > longest {
            // Once for each wish.
            waiting.wants = None;
            findings.note(Violation::Stranded, now, || {
                format!("{place:?} could be reached and was not heard for {waited:?}")
            });
        }
    }
}
