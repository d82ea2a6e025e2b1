use core::time::Duration;

use crate::{AdmissionConfig, Backend, Error, time::millis};

/// What bounds an [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) backend: Backend,
    pub(crate) index_len: u8,
    pub(crate) associations: usize,
    pub(crate) half_open: usize,
    pub(crate) contexts: usize,
    pub(crate) admission: Option<AdmissionConfig>,
    pub(crate) handshake_timeout: u64,
    pub(crate) drain: u64,
    pub(crate) max_datagram: usize,
    pub(crate) handles: usize,
}

/// Half-open associations that one peer may have without a cookie, and as many with one.
pub(crate) const HALF_OPEN_PER_PEER: usize = 4;

/// Slots of an index of 1 to 4 bytes; what is left of its bits is random.
pub(crate) const fn slot_bits(index_len: u8) -> u32 {
    match index_len {
        1 => 8,
        2 => 14,
        3 => 18,
        _ => 22,
    }
}

impl Default for Config {
    /// For a gateway: indices of four bytes, 65 536 associations, 1 024 of them half-open, 4 096
    /// expanded keys, 2 000 handshakes a second before slots are given, 8 s for a handshake
    /// (within the 10 s that a CSE waits), 5 s of draining, datagrams of 1 200 bytes, 131 072 handles.
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            index_len: 4,
            associations: 1 << 16,
            half_open: 1024,
            contexts: 4096,
            admission: AdmissionConfig::new(2000).ok(),
            handshake_timeout: 8_000,
            drain: 5_000,
            max_datagram: 1200,
            handles: 1 << 17,
        }
    }
}

impl Config {
    /// For a device: indices of one byte, 8 associations, 4 expanded keys.
    #[must_use]
    pub fn device() -> Self {
        Self {
            index_len: 1,
            associations: 8,
            half_open: 4,
            contexts: 4,
            handles: 8,
            admission: AdmissionConfig::new(10)
                .ok()
                .map(|admission| admission.with_bookings(64)),
            ..Self::default()
        }
    }

    /// The library that computes the primitives.
    #[must_use]
    pub const fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// How many associations may exist at a time; the index's length follows.
    ///
    /// # Errors
    /// [`Error::Config`] for none or more than 2^22.
    pub fn with_associations(mut self, limit: usize) -> Result<Self, Error> {
        // Half of the slots stay free, so that an index is not used again soon.
        self.index_len = match limit {
            0 => return Err(Error::Config("number of associations")),
            1..=128 => self.index_len,
            129..=0x2000 => self.index_len.max(2),
            0x2001..=0x2_0000 => self.index_len.max(3),
            0x2_0001..=0x40_0000 => 4,
            _ => return Err(Error::Config("number of associations")),
        };
        self.associations = limit;
        self.handles = 2 * limit;
        Ok(self)
    }

    /// How many half-open associations may exist before Initiates are answered by a Retry.
    #[must_use]
    pub const fn with_half_open(mut self, limit: usize) -> Self {
        self.half_open = limit;
        self
    }

    /// How many handshakes a second are answered; who comes above that gets a slot. 0: a cookie is
    /// asked for each time, and nothing else bounds them.
    #[must_use]
    pub fn with_handshakes_per_second(mut self, rate: u32) -> Self {
        self.admission = AdmissionConfig::new(rate).ok();
        self
    }

    /// How handshakes are shared out among classes and tenants when there are too many.
    #[must_use]
    pub fn with_admission(mut self, admission: AdmissionConfig) -> Self {
        self.admission = Some(admission);
        self
    }

    /// How many expanded keys are cached; two per association in motion.
    #[must_use]
    pub const fn with_contexts(mut self, limit: usize) -> Self {
        self.contexts = if limit < 2 { 2 } else { limit };
        self
    }

    /// How many handles may be issued and not yet redeemed; 0: this end grants neither handles nor
    /// renewal windows.
    #[must_use]
    pub const fn with_handles(mut self, limit: usize) -> Self {
        self.handles = limit;
        self
    }

    /// After how long an unanswered handshake fails.
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = millis(timeout).max(1);
        self
    }

    /// The longest datagram to send, UDP payload.
    ///
    /// # Errors
    /// [`Error::Config`] below 256, where a handshake may not fit, or above 65 507.
    pub fn with_max_datagram(mut self, bytes: usize) -> Result<Self, Error> {
        if !(256..=65_507).contains(&bytes) {
            return Err(Error::Config("datagram size"));
        }
        self.max_datagram = bytes;
        Ok(self)
    }
}
