use core::time::Duration;

/// Bounds on what one HTTP peer may take of this node: bytes, time and connections.
///
/// The defaults suit a CSE on the same host; every value can be set in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Bytes of a request or status line with its headers.
    pub head: usize,
    /// Header lines in a message.
    pub headers: usize,
    /// Bytes of a body after chunks are joined.
    pub body: usize,
    /// From the first byte of a head to its last, so that a slow sender cannot hold a connection.
    pub head_time: Duration,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// How long a connection may stay open between two messages.
    pub idle_time: Duration,
    /// How long connecting to a server may take.
    pub connect_time: Duration,
    /// How long a server may take from the request's last byte to its answer's head.
    pub answer_time: Duration,
    /// Connections held at once; more wait in the listener's backlog, or for a pooled connection.
    pub connections: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            headers: 128,
            body: 4 * 1024 * 1024,
            head_time: Duration::from_secs(5),
            body_time: Duration::from_secs(20),
            idle_time: Duration::from_secs(30),
            connect_time: Duration::from_secs(2),
            answer_time: Duration::from_secs(8),
            connections: 256,
        }
    }
}
