use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use refpoint_association::{CloseReason, Error, MAX_STREAM_PAYLOAD, StreamSession};
use tokio::io::AsyncWrite;

use crate::clock;

/// So much may wait, sealed, for the stream below.
const MOST_WAITING: usize = 64 * 1024;

/// What was accepted and is not written yet: sealed bytes first, staged ones behind them.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    sealed: Vec<u8>,
    sent: usize,
    /// At most one record's worth, not sealed yet.
    staged: Vec<u8>,
}

impl Outbound {
    /// Where sealed bytes are appended.
    pub(super) const fn sealed(&mut self) -> &mut Vec<u8> {
        &mut self.sealed
    }

    /// Whether anything waits.
    pub(super) const fn is_waiting(&self) -> bool {
        self.sent < self.sealed.len() || self.has_staged()
    }

    pub(super) const fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Whether nothing can be accepted before something was sent.
    pub(super) const fn is_full(&self) -> bool {
        self.unsent() >= MOST_WAITING
    }

    /// Takes as much of `slices` as there is room for. Nothing may wait unless `is_blocked`.
    ///
    /// What is small and in parts, or has to wait anyway, is gathered; the rest is sealed where it will be sent from.
    /// While the session holds data back until it is refreshed, nothing may be accepted.
    pub(super) fn accept(
        &mut self,
        session: &mut StreamSession,
        slices: &[IoSlice<'_>],
        is_blocked: bool,
    ) -> Result<usize, Error> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let in_parts = slices.iter().filter(|slice| !slice.is_empty()).count() > 1;
        if (is_blocked || in_parts) && self.staged.len() + total <= MAX_STREAM_PAYLOAD {
            slices
                .iter()
                .for_each(|slice| self.staged.extend_from_slice(slice));
            return Ok(total);
        }
        self.seal_staged(session)?;
        if self.has_staged() {
            return Ok(0);
        }
        let mut accepted = 0;
        for chunk in slices
            .iter()
            .flat_map(|slice| slice.chunks(MAX_STREAM_PAYLOAD))
        {
            if self.is_full() {
                break;
            }
            match session.send(clock::present(), chunk, &mut self.sealed) {
                Ok(()) => accepted += chunk.len(),
                // What was accepted is reported; the next call fails again, or waits.
                Err(_) if accepted > 0 || session.is_held() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(accepted)
    }

    /// Makes a record of what is staged, unless the session holds data back.
    pub(super) fn seal_staged(&mut self, session: &mut StreamSession) -> Result<(), Error> {
        if self.has_staged() && !session.is_held() {
            session.send(clock::present(), &self.staged, &mut self.sealed)?;
            self.staged.clear();
        }
        Ok(())
    }

    /// Seals an authenticated end.
    pub(super) fn close(
        &mut self,
        session: &mut StreamSession,
        reason: CloseReason,
    ) -> Result<(), Error> {
        session.close(clock::present(), reason, &mut self.sealed)
    }

    /// How many bytes are sealed and not sent.
    pub(super) const fn unsent(&self) -> usize {
        self.sealed.len() - self.sent
    }

    /// Writes what is sealed.
    pub(super) fn poll_send<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.sealed.len() {
            let count = ready!(Pin::new(&mut *io).poll_write(cx, &self.sealed[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        self.sealed.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}
