use core::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;

/// The reading half of a connection with what was read ahead.
#[derive(Debug)]
pub(super) struct Wire<R> {
    reader: R,
    ahead: BytesMut,
}

impl<R: AsyncRead + Unpin> Wire<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            ahead: BytesMut::new(),
        }
    }

    pub(super) fn reader(&self) -> &R {
        &self.reader
    }

    pub(super) fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Whether nothing was read ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Waits for the first byte of the next message; `false` if the connection ends instead.
    pub(super) async fn ready(&mut self) -> Result<bool, Fault> {
        Ok(!self.ahead.is_empty() || self.fill().await? > 0)
    }

    /// Reads up to and with the empty line that ends a head.
    pub(super) async fn head(&mut self, limit: usize, time: Duration) -> Result<Bytes, Fault> {
        let deadline = Instant::now() + time;
        let mut searched = 0;
        loop {
            // Empty lines before a message are allowed for (RFC 9112, 2.2).
            while searched == 0 && self.ahead.starts_with(b"\r\n") {
                self.ahead.advance(2);
            }
            let from = searched.min(self.ahead.len());
            if let Some(found) = self.ahead[from..]
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                let end = from + found + 4;
                if end > limit {
                    return Err(Fault::HeadTooLarge(limit));
                }
                return Ok(self.ahead.split_to(end).freeze());
            }
            // A sender that ends its lines otherwise would be waited for in vain.
            if self.ahead[from..]
                .windows(2)
                .any(|window| window == b"\n\n")
            {
                return Err(Fault::Malformed(
                    "lines end with carriage return and line feed",
                ));
            }
            searched = self.ahead.len().saturating_sub(3);
            if self.ahead.len() >= limit {
                return Err(Fault::HeadTooLarge(limit));
            }
            self.fill_until(deadline).await?;
        }
    }

    /// Reads exactly `length` bytes.
    pub(super) async fn exactly(
        &mut self,
        length: usize,
        deadline: Instant,
    ) -> Result<Bytes, Fault> {
        while self.ahead.len() < length {
            self.fill_until(deadline).await?;
        }
        Ok(self.ahead.split_to(length).freeze())
    }

    /// Reads a line of at most `limit` bytes and returns it without its end.
    pub(super) async fn line(&mut self, limit: usize, deadline: Instant) -> Result<Bytes, Fault> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line = self.ahead.split_to(end).freeze();
                self.ahead.advance(2);
                return Ok(line);
            }
            if self.ahead.len() > limit {
                return Err(Fault::Malformed("a chunk's line is too long"));
            }
            self.fill_until(deadline).await?;
        }
    }

    /// Reads until the connection ends.
    pub(super) async fn rest(&mut self, limit: usize, deadline: Instant) -> Result<Bytes, Fault> {
        loop {
            if self.ahead.len() > limit {
                return Err(Fault::BodyTooLarge(limit));
            }
            match self.fill_until(deadline).await {
                Ok(()) => {}
                Err(Fault::Truncated) => return Ok(self.ahead.split().freeze()),
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn fill_until(&mut self, deadline: Instant) -> Result<(), Fault> {
        match timeout_at(deadline, self.fill()).await {
            Ok(Ok(0)) => Err(Fault::Truncated),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::TimedOut),
        }
    }

    async fn fill(&mut self) -> Result<usize, Fault> {
        self.ahead.reserve(8 * 1024);
        Ok(self.reader.read_buf(&mut self.ahead).await?)
    }
}
