use core::{fmt, time::Duration};

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A nonce used twice under one key.
    NonceTwice,
    /// Something sealed or opened after the end of its keys.
    Expired,
    /// Two ends in different epochs for longer than the reorder time.
    Epochs,
    /// Something delivered twice, or that was not sent.
    Delivered,
    /// Someone who could be reached and was not heard.
    Stranded,
}

impl Violation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NonceTwice,
        Self::Expired,
        Self::Epochs,
        Self::Delivered,
        Self::Stranded,
    ];
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NonceTwice => "nonces used twice",
            Self::Expired => "records under expired keys",
            Self::Epochs => "ends in different epochs for too long",
            Self::Delivered => "records delivered twice or unsent",
            Self::Stranded => "stranded",
        })
    }
}

/// How many violations are kept in words.
const KEPT: usize = 20;

/// Waiting times are counted by their binary logarithm, in units of this many milliseconds.
const UNIT: u64 = 10;

/// What a [`Watch`](super::Watch) has seen.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Findings {
    violations: [u64; 5],
    words: Vec<String>,
    /// Packets that left.
    pub packets: u64,
    /// Records among them.
    pub records: u64,
    /// Handshake messages among them, repetitions included; refreshes are inside records.
    pub handshakes: u64,
    /// Packets that are none.
    pub unreadable: u64,
    /// Records by an association that nobody had claimed: seen, but not checked.
    pub unclaimed: u64,
    /// Ends of associations that were established.
    pub claims: u64,
    /// Epochs that were begun by a sender, but for the first of each key.
    pub ratchets: u64,
    /// Records that arrived so many epochs ahead that no receiver derives them.
    pub beyond: u64,
    /// Records whose content was delivered.
    pub delivered: u64,
    /// How often someone wanted to be heard.
    pub wishes: u64,
    /// How often it was.
    pub heard: u64,
    /// The shortest time that was left to a key when a record was sealed.
    pub margin: Option<Duration>,
    /// The longest time for which an end was in an earlier epoch than what had arrived there.
    pub apart: Duration,
    /// The longest that someone waited who could be reached.
    pub longest_wait: Duration,
    waits: [u64; 32],
}

impl Findings {
    /// How often this has happened.
    #[must_use]
    pub const fn count(&self, of: Violation) -> u64 {
        self.violations[of as usize]
    }

    /// How much has happened that must not.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations.iter().sum()
    }

    /// The first of them, in words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A time within which `permille` of a thousand of all who waited were heard.
    #[must_use]
    pub fn wait(&self, permille: u64) -> Duration {
        let all: u64 = self.waits.iter().sum();
        let mut left = (all * permille).div_ceil(1000);
        for (bin, count) in self.waits.iter().enumerate() {
            left = left.saturating_sub(*count);
            if left == 0 {
                return Duration::from_millis(UNIT << bin).min(self.longest_wait);
            }
        }
        self.longest_wait
    }

    /// Adds what another watch has seen.
    pub fn add(&mut self, other: Self) {
        for (sum, one) in self.violations.iter_mut().zip(other.violations) {
            *sum += one;
        }
        for (sum, one) in self.waits.iter_mut().zip(other.waits) {
            *sum += one;
        }
        self.words.extend(other.words);
        self.words.truncate(KEPT);
        self.packets += other.packets;
        self.records += other.records;
        self.handshakes += other.handshakes;
        self.unreadable += other.unreadable;
        self.unclaimed += other.unclaimed;
        self.claims += other.claims;
        self.ratchets += other.ratchets;
        self.beyond += other.beyond;
        self.delivered += other.delivered;
        self.wishes += other.wishes;
        self.heard += other.heard;
        self.margin = [self.margin, other.margin].into_iter().flatten().min();
        self.apart = self.apart.max(other.apart);
        self.longest_wait = self.longest_wait.max(other.longest_wait);
    }

    pub(super) fn note(&mut self, what: Violation, now: Duration, words: impl FnOnce() -> String) {
        self.violations[what as usize] += 1;
        if self.words.len() < KEPT {
            self.words.push(format!("{what}: {} ({now:?})", words()));
        }
    }

    pub(super) fn least_margin(&mut self, margin: Duration) {
        self.margin = Some(self.margin.map_or(margin, |least| least.min(margin)));
    }

    pub(super) fn longest_apart(&mut self, apart: Duration) {
        self.apart = self.apart.max(apart);
    }

    pub(super) fn waited(&mut self, waited: Duration) {
        let units = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) / UNIT;
        let bin = (u64::BITS - units.leading_zeros()) as usize;
        self.waits[bin.min(31)] += 1;
        self.longest_wait = self.longest_wait.max(waited);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} packets left, {} of them records ({} of no known association), {} handshake messages",
            self.packets, self.records, self.unclaimed, self.handshakes
        )?;
        writeln!(
            f,
            "{} ends of associations established, {} ratchets ({} records beyond them), {} records delivered",
            self.claims, self.ratchets, self.beyond, self.delivered
        )?;
        writeln!(
            f,
            "{} requests, {} answered; waited although reachable: p50 {:?}, p99 {:?}, longest {:?}",
            self.wishes,
            self.heard,
            self.wait(500),
            self.wait(990),
            self.longest_wait
        )?;
        writeln!(
            f,
            "least left of a key when something was sealed: {:?}; longest in an earlier epoch: {:?}",
            self.margin.unwrap_or_default(),
            self.apart
        )?;
        for violation in Violation::ALL {
            writeln!(f, "{violation:<40} {}", self.count(violation))?;
        }
        for words in &self.words {
            writeln!(f, "  {words}")?;
        }
        Ok(())
    }
}
