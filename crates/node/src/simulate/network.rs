use refpoint_sim::{Chance, Entropy};

use super::MILLI;

/// What lies between devices and responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// From a device to the responder and back, in milliseconds; each way takes up to a tenth more.
    pub round_trip: u64,
    /// How often a packet is lost, each way.
    pub loss: Chance,
    /// How much faster or slower the devices' clocks run at most, in percent.
    pub skew: u64,
}

impl Default for Network {
    /// 100 ms, no loss, exact clocks.
    fn default() -> Self {
        Self {
            round_trip: 100,
            loss: Chance::NEVER,
            skew: 0,
        }
    }
}

impl Network {
    /// When a packet that is sent at `at` arrives, in nanoseconds, if it does.
    pub(super) fn carry(&self, at: u64, entropy: &mut Entropy) -> Option<u64> {
        let way = self.round_trip * MILLI / 2;
        let lost = entropy.strikes(self.loss);
        let late = entropy.below(way / 10 + 1);
        (!lost).then_some(at + way + late)
    }

    /// How long a device takes that means to wait for `span`: its clock is a property of the device.
    pub(super) fn wait(&self, device: u32, span: u64) -> u64 {
        let skew = i128::from(self.skew) * i128::from(spread(device)) / 100;
        let longer = (i128::from(span) * skew) >> 31;
        u64::try_from(i128::from(span) + longer).unwrap_or(0)
    }

    /// What a device's clock shows after `span`.
    pub(super) fn shown(&self, device: u32, span: u64) -> u64 {
        let real = self.wait(device, 1 << 40);
        u64::try_from((u128::from(span) << 40) / u128::from(real.max(1))).unwrap_or(u64::MAX)
    }
}

/// An even spread of the devices over -2^31 to 2^31 (the finalizer of MurmurHash3).
const fn spread(device: u32) -> i32 {
    let mixed = (device ^ (device >> 16)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    (mixed ^ (mixed >> 16)).cast_signed()
}

/// What work costs the responder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Microseconds of a processor for a full handshake: `cargo xtask bench costs` measures these three.
    pub handshake: f64,
    /// Microseconds for a light resumption.
    pub light: f64,
    /// Microseconds to receive a request and answer it with a hint, or with an answer that is kept.
    pub hint: f64,
    /// Processors.
    pub cores: f64,
}

impl Costs {
    /// 225 µs for a handshake with both static keys, 19 µs for a light resumption and 9 µs for a hint, each with its
    /// system calls, as `cargo xtask bench costs` measured them on an Intel Xeon at 2.8 GHz; processors of which `capacity`
    /// handshakes a second take three quarters, at least four.
    #[must_use]
    pub fn measured(capacity: u32) -> Self {
        let costs = Self {
            handshake: 225.0,
            light: 19.0,
            hint: 9.0,
            cores: 4.0,
        };
        costs.with_cores_for(capacity)
    }

    /// The same with processors of which `capacity` handshakes a second take three quarters, at least four.
    #[must_use]
    pub fn with_cores_for(mut self, capacity: u32) -> Self {
        let busy = f64::from(capacity) * self.handshake / 1e6;
        self.cores = (busy / 0.75).ceil().max(4.0);
        self
    }

    /// Nanoseconds that all processors together take for `micros` of work.
    pub(super) fn nanos(&self, micros: f64) -> u64 {
        (micros * 1_000.0 / self.cores) as u64
    }

    /// A hint's part of what `capacity` handshakes a second leave each other, in thousandths.
    pub(super) fn hint_thousandths(&self, capacity: u32) -> u32 {
        (f64::from(capacity) * self.hint / self.cores / 1_000.0).ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_spread_evenly_within_their_skew_and_show_what_they_wait() {
        let network = Network {
            skew: 10,
            ..Network::default()
        };
        let mut tenths = [0; 10];
        for device in 0..100_000 {
            let waited = network.wait(device, 1_000_000);
            assert!((900_000..=1_100_000).contains(&waited));
            tenths[((waited - 900_000) / 20_001) as usize] += 1;
            assert!(network.shown(device, waited).abs_diff(1_000_000) <= 2);
        }
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)));
        assert_eq!(Network::default().wait(7, 1_000), 1_000);
    }
}
