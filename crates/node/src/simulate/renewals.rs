use core::fmt;

use refpoint_association::{Backoff, Lifetime, RenewalPlan, Turn, Window};
use refpoint_sim::{Agenda, Entropy};
use serde_json::{Value, json};

use super::{MILLI, Network};

/// Bins in which renewals are counted, in milliseconds.
const BIN: u64 = 10_000;

/// When devices renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalStrategy {
    /// At half of the lifetime.
    Fixed,
    /// Between 0.8 and 0.9 of it, at random.
    Late,
    /// Between 0.5 and 0.875 of it, at random, as DHCP's timers.
    Wide,
    /// refpoint: in a window that the responder plans.
    Planned,
}

impl RenewalStrategy {
    /// All of them, those of today first.
    pub const ALL: [Self; 4] = [Self::Fixed, Self::Late, Self::Wide, Self::Planned];

    /// Its name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Late => "late",
            Self::Wide => "wide",
            Self::Planned => "planned",
        }
    }

    /// The part of the lifetime at which rivals renew, in thousandths: from, and how much more.
    const fn span(self) -> (u64, u64) {
        match self {
            Self::Fixed => (500, 0),
            Self::Late => (800, 100),
            Self::Wide | Self::Planned => (500, 375),
        }
    }
}

impl fmt::Display for RenewalStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Associations that all began in one storm, and are renewed from then on.
#[derive(Debug, Clone)]
pub struct Renewals {
    devices: u32,
    capacity: u32,
    lifetime: u64,
    lifetimes: u64,
    network: Network,
    seed: u64,
}

impl Renewals {
    /// `devices` that came back at `capacity` a second, with associations of `lifetime` seconds; eight lifetimes.
    #[must_use]
    pub fn new(devices: u32, capacity: u32, lifetime: u64) -> Self {
        Self {
            devices: devices.max(1),
            capacity: capacity.max(1),
            lifetime: lifetime.clamp(60, 10_000_000),
            lifetimes: 8,
            network: Network::default(),
            seed: 1,
        }
    }

    /// How many lifetimes to look at: at least two.
    #[must_use]
    pub fn with_lifetimes(mut self, lifetimes: u64) -> Self {
        self.lifetimes = lifetimes.clamp(2, 1_000);
        self
    }

    /// What lies between.
    #[must_use]
    pub const fn with_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// All chance comes from it.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many devices there are.
    #[must_use]
    pub const fn devices(&self) -> u32 {
        self.devices
    }

    /// Handshakes a second.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Seconds that an association lives.
    #[must_use]
    pub const fn lifetime(&self) -> u64 {
        self.lifetime
    }

    /// Runs it; `progress` is told what part of the time is over, in thousandths.
    #[must_use]
    pub fn run(&self, strategy: RenewalStrategy, progress: &mut dyn FnMut(u32)) -> RenewalOutcome {
        let life = self.lifetime * 1_000;
        let end = life * self.lifetimes;
        let bins = (life / 2 / BIN + 2) as usize;
        let mut run = Run {
            set: self,
            strategy,
            life,
            agenda: Agenda::default(),
            devices: vec![Device::default(); self.devices as usize],
            plan: RenewalPlan::new(BIN, bins),
            entropy: Entropy::new(self.seed, strategy.name()),
            bins: vec![0; (end / BIN) as usize],
            renewals: 0,
            lost: 0,
            late: 0,
        };
        // All are back after N/C: what came before is the storm that `Storm` is about.
        for number in 0..self.devices {
            let began = u64::from(number) * 1_000 / u64::from(self.capacity);
            run.begin(began, number, Turn::First);
        }
        let mut steps = 0_u64;
        while let Some((at, number)) = run.agenda.pop() {
            if at >= end {
                break;
            }
            run.renew(at, number);
            steps += 1;
            if steps.is_multiple_of(1 << 16) {
                progress((at * 1_000 / end) as u32);
            }
        }
        progress(1_000);
        RenewalOutcome::new(self, strategy, run)
    }
}

/// A device's association.
#[derive(Debug, Clone, Copy, Default)]
struct Device {
    /// When the responder and the device count it from, in real milliseconds.
    began: u64,
    /// When the responder made its successor, if it has: the answer may be lost.
    succeeded: Option<u64>,
    repeats: u32,
}

/// Renewals under way.
struct Run<'a> {
    set: &'a Renewals,
    strategy: RenewalStrategy,
    life: u64,
    agenda: Agenda,
    devices: Vec<Device>,
    plan: RenewalPlan,
    entropy: Entropy,
    bins: Vec<u32>,
    renewals: u64,
    lost: u64,
    late: u64,
}

impl Run<'_> {
    /// An association begins: the device draws when it will renew it.
    fn begin(&mut self, now: u64, number: u32, turn: Turn) {
        self.devices[number as usize] = Device {
            began: now,
            ..Device::default()
        };
        let (network, life) = (&self.set.network, self.life);
        let wait = if self.strategy == RenewalStrategy::Planned {
            let window = self.plan.plan(now, life, turn);
            // On the wire, in seconds from now; the device counts them on its own clock from 0 on.
            let seconds = |millis: u64| millis / 1_000 * 1_000;
            let from = seconds(window.from().saturating_sub(now).next_multiple_of(1_000));
            let told = Window::new(from, seconds(window.length()));
            told.draw(0, &Lifetime::spanning(0, life), &mut self.entropy)
        } else {
            let (from, more) = self.strategy.span();
            life / 1_000 * from + self.entropy.below(life / 1_000 * more + 1)
        };
        self.agenda.push(now + network.wait(number, wait), number);
    }

    /// A device tries to renew, and once more if no answer comes.
    fn renew(&mut self, at: u64, number: u32) {
        let mut device = self.devices[number as usize];
        let network = &self.set.network;
        let nanos = at * MILLI;
        let arrives = network.carry(nanos, &mut self.entropy);
        let mut answered = None;
        if let Some(arrives) = arrives {
            if device.succeeded.is_none() {
                device.succeeded = Some(arrives / MILLI);
                self.renewals += 1;
                self.late += u64::from(arrives / MILLI > device.began + self.life / 2);
                if let Some(bin) = self.bins.get_mut((arrives / MILLI / BIN) as usize) {
                    *bin += 1;
                }
            }
            answered = network.carry(arrives, &mut self.entropy);
        }
        match answered {
            Some(answered) => {
                let now = answered / MILLI;
                // The responder's clock is exact; the device stops sealing by its own.
                let life = Lifetime::spanning(device.began, self.life);
                let own = device.began + network.shown(number, now - device.began);
                self.lost += u64::from(now >= life.hard() || own >= life.last_seal());
                self.begin(now, number, Turn::Later);
            }
            None => {
                let delay = Backoff::REPEAT.delay(device.repeats, &mut self.entropy);
                device.repeats += 1;
                self.devices[number as usize] = device;
                self.agenda.push(at + network.wait(number, delay), number);
            }
        }
    }
}

/// What became of renewals under one strategy.
#[derive(Debug, Clone)]
pub struct RenewalOutcome {
    /// The strategy.
    pub strategy: RenewalStrategy,
    /// The fullest bin of ten seconds by the mean bin, in the first lifetime after the restart.
    pub first: f64,
    /// The same from then on.
    pub later: f64,
    /// Renewals in the fullest second's worth of a bin, as a part of the capacity.
    pub peak: f64,
    /// Renewals a device and lifetime.
    pub renewals: f64,
    /// Associations that ended before their successor was there.
    pub lost: u64,
    /// Renewals after half of the lifetime.
    pub late: u64,
    /// Renewals in each bin of ten seconds.
    pub bins: Vec<u32>,
}

impl RenewalOutcome {
    fn new(set: &Renewals, strategy: RenewalStrategy, run: Run<'_>) -> Self {
        let first = (run.life / BIN) as usize;
        let (early, later) = run.bins.split_at(first.min(run.bins.len()));
        let most = run.bins.iter().copied().max().unwrap_or(0);
        let lives = f64::from(set.devices) * set.lifetimes as f64;
        Self {
            strategy,
            first: peak_to_mean(early),
            later: peak_to_mean(later),
            peak: f64::from(most) * 1_000.0 / BIN as f64 / f64::from(set.capacity),
            renewals: run.renewals as f64 / lives,
            lost: run.lost,
            late: run.late,
            bins: run.bins,
        }
    }

    /// The figures as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "strategy": self.strategy.name(),
            "peak_to_mean_first_lifetime": self.first,
            "peak_to_mean_later": self.later,
            "peak_of_capacity": self.peak,
            "renewals_per_device_and_lifetime": self.renewals,
            "lost": self.lost,
            "after_half_of_lifetime": self.late,
        })
    }
}

fn peak_to_mean(bins: &[u32]) -> f64 {
    let all: u64 = bins.iter().copied().map(u64::from).sum();
    let peak = bins.iter().copied().max().unwrap_or(0);
    f64::from(peak) * bins.len() as f64 / all.max(1) as f64
}
