use core::fmt;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::{self, IoSlice};

use refpoint_association::{CloseReason, Error, Opened, StreamSession};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::association::{Association, Side};
use crate::clock;
use crate::error::stream_error;
use crate::frames::Frames;

mod handshake;
mod outbound;

pub use handshake::{accept, connect};
use outbound::Outbound;

/// A byte stream inside an association, over any byte stream.
///
/// **Reading** is cancellation-safe: bytes are handed over when a read is ready, and none are lost when a pending one
/// is dropped. The end is an end only if the peer said so: if the stream below ends without an authenticated close, the
/// read fails with [`io::ErrorKind::UnexpectedEof`], whose source ([`association_error`](crate::association_error)) is
/// [`Error::Truncated`] (rule R7). Anything else that the peer did not send fails with [`io::ErrorKind::InvalidData`].
/// Every error is final.
///
/// **Writing** seals at once. Of the bytes that a write accepted, `n` of those offered, each goes out exactly once and in
/// order, whatever becomes of the future afterwards; of the others, none. A write offers its bytes to the stream below
/// itself; what that does not take waits here, at most 64 KiB, until the next write or a flush. So only a flush, or
/// another write, waits for a slow peer, and one should follow the last write. Writes that find earlier bytes waiting
/// share a record, as do the parts of a vectored one.
///
/// **Shutdown** flushes and sends the authenticated close. It ends the association: the peer cannot write any more once
/// it has read it. Dropping the stream without it is, for the peer, a truncation.
///
/// The association's time limit closes the stream by itself, as do [`Association::close`] and a revocation
/// ([`Keyring::update`](crate::Keyring::update)).
pub struct SecureStream<IO> {
    io: IO,
    session: StreamSession,
    association: Association,
    frames: Frames,
    /// What was opened in `frames` and not read yet.
    plain: Range<usize>,
    outbound: Outbound,
    timer: Pin<Box<Sleep>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// This end has sent its close.
    Finished,
    /// The peer has.
    Ended(CloseReason),
    Failed(Error),
}

impl<IO> SecureStream<IO> {
    fn new(io: IO, session: StreamSession, frames: Frames, outbound: Outbound) -> Self {
        let association = Association::of_stream(&session);
        let wait = until(session.next_timeout());
        Self {
            io,
            session,
            association,
            frames,
            plain: 0..0,
            outbound,
            timer: Box::pin(tokio::time::sleep(wait)),
            state: State::Open,
        }
    }

    /// The association's handle.
    #[must_use]
    pub const fn association(&self) -> &Association {
        &self.association
    }

    /// The stream below.
    #[must_use]
    pub const fn get_ref(&self) -> &IO {
        &self.io
    }

    /// Key material that both ends can derive and nobody else.
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) {
        self.session.export(label, context, out);
    }

    /// How often the keys of both directions were ratcheted: those of this end's, those of the peer's.
    #[must_use]
    pub const fn epochs(&self) -> (u64, u64) {
        self.session.epochs()
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.state = State::Failed(error);
        // The other half of a split stream shall see it too.
        self.association.wake();
        stream_error(error)
    }
}

fn until(monotonic: Duration) -> Duration {
    monotonic.saturating_sub(clock::monotonic())
}

impl<IO: AsyncRead + AsyncWrite + Unpin> SecureStream<IO> {
    /// Notices what ends the stream from this side.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let State::Failed(error) = self.state {
            return Err(stream_error(error));
        }
        if let Some(reason) = self.association.ending() {
            self.say_goodbye(cx, reason);
            return Err(self.fail(Error::Closed(reason)));
        }
        Ok(())
    }

    fn may_write(&self) -> io::Result<()> {
        match self.state {
            State::Open => Ok(()),
            State::Finished => Err(stream_error(Error::NoAssociation)),
            State::Ended(reason) => Err(stream_error(Error::Closed(reason))),
            State::Failed(error) => Err(stream_error(error)),
        }
    }

    /// Offers a close to the peer, without waiting.
    fn say_goodbye(&mut self, cx: &mut Context<'_>, reason: CloseReason) {
        if self.state == State::Open {
            let sealed = self.outbound.seal_staged(&mut self.session);
            let _ = sealed.and_then(|()| self.outbound.close(&mut self.session, reason));
            let _ = self.outbound.poll_send(&mut self.io, cx);
        }
    }

    /// Before waiting: what else may wake, and whether it has.
    fn poll_end(&mut self, cx: &mut Context<'_>, side: Side) -> Poll<io::Error> {
        self.association.register(side, cx.waker());
        if let Err(error) = self.check(cx) {
            return Poll::Ready(error);
        }
        if matches!(side, Side::Write) {
            return Poll::Pending;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let sealed = self.outbound.sealed();
            if self.session.handle_timeout(clock::present(), sealed) {
                let _ = self.outbound.poll_send(&mut self.io, cx);
                return Poll::Ready(self.fail(Error::Limit("time")));
            }
            // The system's suspended time counts for the association, not for timers: look again.
            let wait = until(self.session.next_timeout()).max(Duration::from_millis(1));
            let due = tokio::time::Instant::now() + wait;
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Hands out what is opened, opening what has arrived, up to the peer's authenticated end.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> Result<Option<CloseReason>, Error> {
        loop {
            let count = self.plain.len().min(buf.remaining());
            let next = self.plain.start + count;
            buf.put_slice(self.frames.bytes(self.plain.start..next));
            self.plain.start = next;
            if buf.remaining() == 0 {
                return Ok(None);
            }
            let Some(range) = self.frames.next_range()? else {
                return Ok(None);
            };
            let frame = self.frames.bytes(range.clone());
            let base = frame.as_ptr().addr();
            let now = clock::present();
            match self.session.receive(now, frame, self.outbound.sealed())? {
                Opened::Data(data) => {
                    let start = range.start + (data.as_ptr().addr() - base);
                    self.plain = start..start + data.len();
                }
                Opened::Closed(reason) => return Ok(Some(reason)),
                Opened::Control | Opened::RenewNow => {}
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::Ended(_) = this.state {
            return Poll::Ready(Ok(()));
        }
        this.check(cx)?;
        let before = buf.filled().len();
        loop {
            match this.deliver(buf) {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    this.state = State::Ended(reason);
                    this.association.mark_closed();
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
                    let error = this.fail(error);
                    // What came before is handed over first; the error stays.
                    let has_some = buf.filled().len() > before;
                    return Poll::Ready(if has_some { Ok(()) } else { Err(error) });
                }
            }
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut arrived = ReadBuf::new(this.frames.spare());
            match Pin::new(&mut this.io).poll_read(cx, &mut arrived) {
                Poll::Ready(Ok(())) => match arrived.filled().len() {
                    0 => return Poll::Ready(Err(this.fail(Error::Truncated))),
                    count => this.frames.filled(count),
                },
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return this.poll_end(cx, Side::Read).map(Err),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> SecureStream<IO> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Poll::Ready(sent) = self.outbound.poll_send(&mut self.io, cx) {
                sent?;
            } else {
                return self.poll_end(cx, Side::Write).map(Err);
            }
            if !self.outbound.has_staged() {
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = self.outbound.seal_staged(&mut self.session) {
                return Poll::Ready(Err(self.fail(error)));
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecureStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        this.may_write()?;
        let is_blocked = this.outbound.is_waiting() && this.poll_send(cx)?.is_pending();
        if is_blocked && this.outbound.is_full() {
            return Poll::Pending;
        }
        let accepted = match this.outbound.accept(&mut this.session, slices, is_blocked) {
            Ok(accepted) => accepted,
            Err(error) => return Poll::Ready(Err(this.fail(error))),
        };
        if !is_blocked {
            // What the stream below does not take now waits.
            let _ = this.poll_send(cx)?;
        }
        Poll::Ready(Ok(accepted))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::Failed(_) = this.state {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        this.check(cx)?;
        ready!(this.poll_send(cx))?;
        // Past a limit the stream just ends, which the peer reports. The second time there is nothing to do.
        if this
            .outbound
            .close(&mut this.session, CloseReason::Done)
            .is_ok()
        {
            if this.state == State::Open {
                this.state = State::Finished;
            }
            ready!(this.poll_send(cx))?;
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<IO> Drop for SecureStream<IO> {
    fn drop(&mut self) {
        self.association.mark_closed();
    }
}

impl<IO> Connected for SecureStream<IO> {
    type ConnectInfo = Association;

    fn connect_info(&self) -> Association {
        self.association.clone()
    }
}

impl<IO: fmt::Debug> fmt::Debug for SecureStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureStream")
            .field("io", &self.io)
            .field("association", &self.association)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
