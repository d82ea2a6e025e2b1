//! Turns and medians.

use crate::machine;

/// CPU time of the two sides of one operation, in nanoseconds: initiator and responder of a
/// handshake, seal and open of a record.
pub(crate) type Sides = [f64; 2];

/// Something to measure.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    /// Runs a batch of operations; gives the mean of one.
    pub(crate) batch: Box<dyn FnMut() -> Sides + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'static str, batch: impl FnMut() -> Sides + 'a) -> Self {
        let batch = Box::new(batch);
        Self { name, batch }
    }
}

/// What was measured of a contestant.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) sides: Sides,
}

/// Lets the contestants take turns for so many rounds. A turn is a batch that brings back into the
/// caches what the others have pushed out, and one that counts.
pub(crate) fn compare(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Measured> {
    let mut samples = vec![Vec::with_capacity(rounds); contestants.len()];
    for _ in 0..rounds {
        for (contestant, samples) in contestants.iter_mut().zip(&mut samples) {
            (contestant.batch)();
            samples.push((contestant.batch)());
        }
    }
    let measured = contestants.iter().zip(&samples);
    measured
        .map(|(contestant, samples)| Measured {
            name: contestant.name,
            sides: [0, 1].map(|side| median(samples.iter().map(|sample| sample[side]))),
        })
        .collect()
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Adds up the CPU time of each side over a batch.
#[derive(Default)]
pub(crate) struct Stopwatch([u64; 2]);

impl Stopwatch {
    /// Runs `step` on the account of the first side.
    pub(crate) fn first<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.time(0, step)
    }

    /// Runs `step` on the account of the second side.
    pub(crate) fn second<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.time(1, step)
    }

    fn time<T>(&mut self, side: usize, step: impl FnOnce() -> T) -> T {
        let start = machine::cpu_time();
        let result = step();
        self.0[side] += machine::cpu_time() - start;
        result
    }

    /// The mean of one of so many operations.
    pub(crate) fn mean(&self, operations: usize) -> Sides {
        self.0.map(|total| total as f64 / operations as f64)
    }
}
