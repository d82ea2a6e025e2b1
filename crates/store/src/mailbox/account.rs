use core::time::Duration;

/// How much may wait.
///
/// A put beyond it is refused, and nothing that waits is dropped for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub(super) message: usize,
    pub(super) longest: Duration,
    pub(super) receiver_messages: u64,
    pub(super) receiver_bytes: u64,
    pub(super) remembered: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) receivers: u64,
}

impl Default for Quota {
    /// 64 KiB a message and 30 days; 1024 messages and 4 MiB a receiver, of whose messages 16 384
    /// are remembered; 1 000 000 messages, 1 GiB and 100 000 receivers in all.
    fn default() -> Self {
        Self {
            message: 64 << 10,
            longest: Duration::from_secs(30 * 24 * 3600),
            receiver_messages: 1024,
            receiver_bytes: 4 << 20,
            remembered: 16_384,
            messages: 1_000_000,
            bytes: 1 << 30,
            receivers: 100_000,
        }
    }
}

impl Quota {
    /// With messages of at most so many bytes, which wait for at most so long.
    #[must_use]
    pub const fn with_message(mut self, bytes: usize, longest: Duration) -> Self {
        self.message = bytes;
        self.longest = longest;
        self
    }

    /// With so many messages and bytes that may wait for one receiver.
    #[must_use]
    pub const fn with_receiver(mut self, messages: u64, bytes: u64) -> Self {
        self.receiver_messages = messages;
        self.receiver_bytes = bytes;
        self
    }

    /// With so many messages of one receiver remembered, those that it has acknowledged included,
    /// so that a repeated put is known: each until its expiry.
    #[must_use]
    pub const fn with_remembered(mut self, messages: u64) -> Self {
        self.remembered = messages;
        self
    }

    /// With so many messages and bytes that may wait in all.
    #[must_use]
    pub const fn with_all(mut self, messages: u64, bytes: u64) -> Self {
        self.messages = messages;
        self.bytes = bytes;
        self
    }

    /// With so many receivers, ever: each one's last position is kept for good, in some 100 bytes.
    #[must_use]
    pub const fn with_receivers(mut self, receivers: u64) -> Self {
        self.receivers = receivers;
        self
    }
}

/// What is known of a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The last position given.
    pub(super) last: u64,
    /// Up to which position it has everything.
    pub(super) acknowledged: u64,
    /// What waits.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Messages whose ids are remembered.
    pub(super) remembered: u64,
}

/// What waits in all, and how many receivers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) receivers: u64,
}

impl Quota {
    /// Whether another message of `size` bytes fits its receiver's account.
    pub(super) fn has_room(&self, account: &Account, size: u64) -> bool {
        account.messages < self.receiver_messages
            && account.remembered < self.remembered
            && self.receiver_bytes.saturating_sub(account.bytes) >= size
    }

    /// Whether another message of `size` bytes fits in all.
    pub(super) fn has_room_in_all(&self, totals: &Totals, size: u64, new_receiver: bool) -> bool {
        totals.messages < self.messages
            && self.bytes.saturating_sub(totals.bytes) >= size
            && (!new_receiver || totals.receivers < self.receivers)
    }
}
