use refpoint_association::{Backoff, Error};
use refpoint_sim::{Agenda, Chance, Entropy};

use super::{
    Costs, MILLI, Network, Outcome, SECOND, Strategy,
    device::{Device, Happening, MOST, State},
    outcome::Tally,
    responder::{Reply, Responder, count},
};

/// A responder that is back after an outage, and devices that all want their associations again.
#[derive(Debug, Clone)]
pub struct Storm {
    devices: u32,
    capacity: u32,
    /// Over how many times the capacity they come.
    burst: u32,
    ignoring: Chance,
    costs: Costs,
    network: Network,
    buffer: u64,
    limit: u64,
    seed: u64,
}

impl Storm {
    /// `devices` that come at 200 times the `capacity` (handshakes a second); 2 s of requests may wait for a processor.
    ///
    /// # Errors
    /// [`Error::Config`] for no devices, more than 2^28, or a capacity that is none.
    pub fn new(devices: u32, capacity: u32) -> Result<Self, Error> {
        if devices == 0 || devices > MOST {
            return Err(Error::Config("number of devices"));
        }
        if !(1..=100_000_000).contains(&capacity) {
            return Err(Error::Config("capacity"));
        }
        let ideal = u64::from(devices) / u64::from(capacity);
        Ok(Self {
            devices,
            capacity,
            burst: 200,
            ignoring: Chance::NEVER,
            costs: Costs::measured(capacity),
            network: Network::default(),
            buffer: 2_000,
            limit: 15 * ideal.max(40),
            seed: 1,
        })
    }

    /// Over how many times the capacity the devices come.
    #[must_use]
    pub fn with_burst(mut self, times: u32) -> Self {
        self.burst = times.max(1);
        self
    }

    /// How many devices ignore hints and ask again at short intervals.
    #[must_use]
    pub const fn with_ignoring(mut self, chance: Chance) -> Self {
        self.ignoring = chance;
        self
    }

    /// What work costs.
    #[must_use]
    pub const fn with_costs(mut self, costs: Costs) -> Self {
        self.costs = costs;
        self
    }

    /// What lies between.
    #[must_use]
    pub const fn with_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// How long a request may wait for a processor before it is dropped, in milliseconds.
    #[must_use]
    pub const fn with_buffer(mut self, millis: u64) -> Self {
        self.buffer = millis;
        self
    }

    /// When to give up, in seconds: who is not back by then is lost.
    #[must_use]
    pub fn with_limit(mut self, seconds: u64) -> Self {
        self.limit = seconds.clamp(1, 4_000_000);
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

    /// The shortest time in which all can be back, in seconds.
    #[must_use]
    pub fn ideal(&self) -> f64 {
        f64::from(self.devices) / f64::from(self.capacity)
    }

    /// Runs it; `progress` is told how many devices are back from time to time.
    ///
    /// # Panics
    /// Never: what the responder may be was checked when the storm was made.
    #[must_use]
    pub fn run(&self, strategy: Strategy, progress: &mut dyn FnMut(u32)) -> Outcome {
        let size = (self.devices, self.capacity);
        let responder = Responder::new(strategy, size, &self.costs, self.buffer)
            .expect("capacity and cost were checked");
        let mut run = Run {
            storm: self,
            strategy,
            agenda: Agenda::default(),
            devices: vec![Device::new(); self.devices as usize],
            responder,
            entropy: Entropy::new(self.seed, strategy.name()),
            started: 0,
            tally: Tally::new(),
        };
        run.start_next();
        let mut steps = 0_u64;
        while let Some((at, entry)) = run.agenda.pop() {
            if at > self.limit * SECOND || run.tally.back == self.devices {
                break;
            }
            run.step(at, entry);
            steps += 1;
            if steps.is_multiple_of(1 << 16) {
                progress(run.tally.back);
            }
        }
        progress(run.tally.back);
        let attempts = run.devices.iter().map(|device| device.attempts);
        Outcome::new(self, strategy, run.tally, run.responder.work, attempts)
    }

    /// When device `number` comes, in nanoseconds.
    fn start(&self, number: u32) -> u64 {
        let together = u128::from(self.burst) * u128::from(self.capacity);
        (u128::from(number) * u128::from(SECOND) / together) as u64
    }

    pub(super) const fn seconds(&self) -> u64 {
        self.limit
    }
}

/// A storm under way.
struct Run<'a> {
    storm: &'a Storm,
    strategy: Strategy,
    agenda: Agenda,
    devices: Vec<Device>,
    responder: Responder,
    entropy: Entropy,
    /// Devices that have come.
    started: u32,
    tally: Tally,
}

impl Run<'_> {
    fn step(&mut self, at: u64, entry: u32) {
        let (happening, number) = Happening::read(entry);
        let device = &mut self.devices[number as usize];
        match happening {
            Happening::Wakes if device.state == State::Back || device.timer != at => {}
            Happening::Wakes => {
                if device.attempts == 0 {
                    self.start_next();
                }
                self.ask(at, number);
            }
            Happening::Asks | Happening::Returns => {
                count(&mut self.tally.arrivals, at);
                let token = happening == Happening::Returns;
                let (sent, what) = match self.responder.receive(at, (number, device), token) {
                    Reply::Answer(sent) => (sent, Happening::IsAnswered),
                    Reply::Hint(sent) => (sent, Happening::IsTold),
                    Reply::Nothing => return,
                };
                if let Some(arrives) = self.storm.network.carry(sent, &mut self.entropy) {
                    self.agenda.push(arrives, what.to(number));
                }
            }
            Happening::IsTold if matches!(device.state, State::Back | State::Deaf) => {}
            Happening::IsTold => {
                device.state = State::Waiting;
                device.repeats = 0;
                let wait = u64::from(device.span) * MILLI;
                let timer = at + self.storm.network.wait(number, wait);
                self.wake_at(timer, number);
            }
            Happening::IsAnswered => {
                if device.state != State::Back {
                    device.state = State::Back;
                    self.tally.is_back(at);
                }
            }
        }
    }

    /// The next device comes: the agenda holds one at a time.
    fn start_next(&mut self) {
        if self.started < self.storm.devices {
            if self.entropy.strikes(self.storm.ignoring) {
                self.devices[self.started as usize].state = State::Deaf;
            }
            self.wake_at(self.storm.start(self.started), self.started);
            self.started += 1;
        }
    }

    fn wake_at(&mut self, timer: u64, number: u32) {
        self.devices[number as usize].timer = timer;
        self.agenda.push(timer, Happening::Wakes.to(number));
    }

    fn ask(&mut self, at: u64, number: u32) {
        let device = &mut self.devices[number as usize];
        device.attempts = device.attempts.saturating_add(1);
        if device.state == State::Waiting {
            device.state = State::Returned;
        }
        let returned = device.state == State::Returned;
        let repeats = u32::from(device.repeats);
        device.repeats = device.repeats.saturating_add(1);
        let delay = if returned {
            Backoff::SLOT.delay(repeats, &mut self.entropy)
        } else if device.state == State::Deaf {
            Backoff::REPEAT.delay(repeats, &mut self.entropy)
        } else {
            let mut pause = device.span;
            let delay = self.strategy.delay(repeats, &mut pause, &mut self.entropy);
            device.span = pause;
            delay
        };
        let what = if returned {
            Happening::Returns
        } else {
            Happening::Asks
        };
        if let Some(arrives) = self.storm.network.carry(at, &mut self.entropy) {
            self.agenda.push(arrives, what.to(number));
        }
        let wait = self.storm.network.wait(number, delay * MILLI);
        self.wake_at(at + wait, number);
    }
}
