use core::time::Duration;

/// Bounds of the carriage of requests, the same for all links of a server or each made by a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an asker waits for an answer unless it says otherwise.
    pub patience: Duration,
    /// The most requests under way over one association in one direction. What comes on top is refused at its sender.
    pub in_flight: usize,
    /// The most bytes of an encoded message. Both ends should have the same.
    pub largest: usize,
    /// After how much silence the peer is asked for a sign of life; after a third of that without one, the association is
    /// given up. `None`: never.
    pub keepalive: Option<Duration>,
}

impl Default for Limits {
    /// Eight seconds (ACME, and with it a CSE's own client, gives up after ten), 128 requests, 4 MiB, half a minute.
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(8),
            in_flight: 128,
            largest: 4 << 20,
            keepalive: Some(Duration::from_secs(30)),
        }
    }
}

/// HTTP/2 flow control: so much of one message, and of all, may be on its way to an end that does not read.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 4 << 20;

/// HTTP/2 frames of up to this size, so that a large body is sealed and written in large parts.
pub(crate) const FRAME_SIZE: u32 = 256 << 10;
