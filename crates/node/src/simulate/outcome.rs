use serde_json::{Value, json};

use super::{SECOND, Storm, Strategy, responder::Work};

/// Hundredths of a second: how finely the times are counted at which devices are back.
const STEP: u64 = SECOND / 100;

/// What became of a storm under one strategy.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The strategy.
    pub strategy: Strategy,
    /// Seconds until half of all devices were back, if they were.
    pub p50: Option<f64>,
    /// Seconds until 99 of a hundred devices were back, if they were.
    pub p99: Option<f64>,
    /// Requests a device.
    pub attempts: f64,
    /// Devices that came back, a second until 99 of a hundred were, as a part of the capacity.
    pub goodput: f64,
    /// The most in one second, as a part of the capacity.
    pub peak: Peak,
    /// Devices that were not back at the end.
    pub lost: u32,
    /// Handshakes made with devices that had one already.
    pub wasted: u64,
    /// Requests that found the responder's buffer full.
    pub dropped: u64,
    /// Hints given.
    pub hints: u64,
    /// Requests that arrived in each second.
    pub arrivals: Vec<u32>,
    /// Handshakes begun in each second.
    pub served: Vec<u32>,
    /// Devices that came back in each second.
    pub back: Vec<u32>,
    /// How many milliseconds of work were promised in each second, at most.
    pub backlog: Vec<u32>,
    /// How many devices took one attempt, two, and so on; the last counts all above.
    pub by_attempts: Vec<u32>,
}

/// The most in one second, as a part of the capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Of requests that arrived.
    pub offered: f64,
    /// Of handshakes that were begun.
    pub served: f64,
    /// Of slots that were given, if any were.
    pub planned: f64,
}

/// What is counted while a storm is under way.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) back: u32,
    pub(super) arrivals: Vec<u32>,
    /// By [`STEP`].
    times: Vec<u32>,
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            back: 0,
            arrivals: Vec::new(),
            times: Vec::new(),
        }
    }

    pub(super) fn is_back(&mut self, at: u64) {
        let step = (at / STEP) as usize;
        if self.times.len() <= step {
            self.times.resize(step + 1, 0);
        }
        self.times[step] += 1;
        self.back += 1;
    }

    /// Seconds until `percent` of `all` were back.
    fn percentile(&self, percent: u64, all: u32) -> Option<f64> {
        let wanted = (u64::from(all) * percent).div_ceil(100);
        let mut seen = 0;
        let step = self.times.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        })?;
        Some((step as f64 + 1.0) * STEP as f64 / SECOND as f64)
    }
}

/// Attempts that are told apart.
const ATTEMPTS: usize = 64;

impl Outcome {
    pub(super) fn new(
        storm: &Storm,
        strategy: Strategy,
        tally: Tally,
        work: Work,
        attempts: impl Iterator<Item = u16>,
    ) -> Self {
        let mut by_attempts = vec![0; ATTEMPTS];
        let mut all = 0_u64;
        for attempts in attempts {
            all += u64::from(attempts);
            by_attempts[usize::from(attempts).clamp(1, ATTEMPTS) - 1] += 1;
        }
        let capacity = f64::from(storm.capacity());
        let peak =
            |seconds: &[u32]| f64::from(seconds.iter().copied().max().unwrap_or(0)) / capacity;
        let p99 = tally.percentile(99, storm.devices());
        let (back, seconds) = match p99 {
            Some(seconds) => (f64::from(storm.devices()) * 0.99, seconds),
            None => (f64::from(tally.back), storm.seconds() as f64),
        };
        let per_second = (SECOND / STEP) as usize;
        Self {
            strategy,
            p50: tally.percentile(50, storm.devices()),
            p99,
            attempts: all as f64 / f64::from(storm.devices()),
            goodput: back / (seconds * capacity),
            peak: Peak {
                offered: peak(&tally.arrivals),
                served: peak(&work.served),
                planned: peak(&work.planned),
            },
            lost: storm.devices() - tally.back,
            wasted: work.wasted,
            dropped: work.dropped,
            hints: work.hints,
            back: tally
                .times
                .chunks(per_second)
                .map(|steps| steps.iter().sum())
                .collect(),
            arrivals: tally.arrivals,
            served: work.served,
            backlog: work.backlog,
            by_attempts,
        }
    }

    /// The figures as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "strategy": self.strategy.name(),
            "p50": self.p50,
            "p99": self.p99,
            "attempts_per_device": self.attempts,
            "goodput": self.goodput,
            "peak": {
                "offered": self.peak.offered,
                "served": self.peak.served,
                "planned": self.peak.planned,
            },
            "lost": self.lost,
            "wasted_handshakes": self.wasted,
            "dropped": self.dropped,
            "hints": self.hints,
        })
    }
}
