use core::fmt;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use refpoint_association::{CloseReason, Error, Opened, StreamSession};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::association::{Association, Side};
use crate::error::stream_error;
use crate::frames::Frames;
use crate::{Keyring, clock};

mod handshake;
mod outbound;
mod upkeep;

pub(crate) use handshake::initiate;
pub use handshake::{accept, connect};
use outbound::Outbound;
use upkeep::Upkeep;

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
/// **Refreshes** happen by themselves inside the stream, in reads and, while data wait for one, in writes: new keys by a
/// fresh Diffie-Hellman, before the association's time, bytes or messages are used up. Users see nothing of it but
/// [`Association::refreshes`]. An end that is never read from refreshes nothing, and ends at its limits.
///
/// The association's limits close the stream by itself, as do [`Association::close`] and a revocation
/// ([`Keyring::update`](crate::Keyring::update)).
pub struct SecureStream<IO> {
    io: IO,
    session: StreamSession,
    association: Association,
    keyring: Keyring,
    frames: Frames,
    /// What was opened in `frames` and not read yet.
    plain: Range<usize>,
    outbound: Outbound,
    upkeep: Upkeep,
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
    fn new(
        io: IO,
        (session, was_resumed): (StreamSession, bool),
        frames: Frames,
        keyring: Keyring,
    ) -> Self {
        Self {
            io,
            association: Association::of_stream(&session, was_resumed),
            upkeep: Upkeep::new(session.next_timeout()),
            session,
            keyring,
            frames,
            plain: 0..0,
            outbound: Outbound::default(),
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

    /// Key material that both ends can derive and nobody else, until the next refresh.
    ///
    /// # Errors
    /// Why the association has failed.
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        self.session.export(label, context, out)
    }

    /// How often the keys of both directions were ratcheted since the last refresh: this end's, the peer's.
    #[must_use]
    pub fn epochs(&self) -> (u64, u64) {
        self.session.epochs()
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.state = State::Failed(error);
        // The other half of a split stream shall see it too.
        self.association.wake();
        stream_error(error)
    }
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

    /// Hands out what is opened, opening what has arrived.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> Result<(), Error> {
        loop {
            let count = self.plain.len().min(buf.remaining());
            let next = self.plain.start + count;
            buf.put_slice(self.frames.bytes(self.plain.start..next));
            self.plain.start = next;
            if buf.remaining() == 0 || !self.open_next()? {
                return Ok(());
            }
        }
    }

    /// Opens the next frame that has arrived, up to the peer's authenticated end; false when there is none. What was
    /// opened before must have been handed out.
    fn open_next(&mut self) -> Result<bool, Error> {
        if let State::Ended(_) = self.state {
            return Ok(false);
        }
        let Some(range) = self.frames.next_range()? else {
            return Ok(false);
        };
        let frame = self.frames.bytes(range.clone());
        let base = frame.as_ptr().addr();
        let now = clock::present();
        let unsent = self.outbound.unsent();
        let was_held = self.session.is_held();
        match self.session.receive(now, frame, self.outbound.sealed())? {
            Opened::Data(data) => {
                let start = range.start + (data.as_ptr().addr() - base);
                self.plain = start..start + data.len();
            }
            Opened::Closed(reason) => {
                self.state = State::Ended(reason);
                self.association.mark_closed();
            }
            Opened::Refresh => self.refresh(),
            Opened::Refreshed => self.refreshed(),
            Opened::Granted => self.granted(),
            Opened::Control => {}
        }
        if was_held && !self.session.is_held() {
            self.association.wake_side(Side::Write);
        }
        self.note_owed(unsent);
        self.keep(now.monotonic)?;
        Ok(true)
    }

    /// Reads from the stream below.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut arrived = ReadBuf::new(self.frames.spare());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut arrived))?;
        Poll::Ready(match arrived.filled().len() {
            0 => Err(self.fail(Error::Truncated)),
            count => {
                self.frames.filled(count);
                Ok(())
            }
        })
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
            let delivered = this.deliver(buf);
            this.poll_owed(cx);
            if let Err(error) = delivered {
                let error = this.fail(error);
                // What came before is handed over first; the error stays.
                let has_some = buf.filled().len() > before;
                return Poll::Ready(if has_some { Ok(()) } else { Err(error) });
            }
            let has_ended = matches!(this.state, State::Ended(_));
            if has_ended || buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match this.poll_fill(cx) {
                Poll::Ready(filled) => filled?,
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
            ready!(self.poll_held(cx))?;
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
        this.upkeep.writes();
        let is_blocked = this.outbound.is_waiting() && this.poll_send(cx)?.is_pending();
        if is_blocked && this.outbound.is_full() {
            return Poll::Pending;
        }
        let is_empty = slices.iter().all(|slice| slice.is_empty());
        let accepted = loop {
            match this
                .outbound
                .accept(&mut this.session, slices, is_blocked)
                .and_then(|accepted| this.keep_usage().map(|()| accepted))
            {
                Ok(0) if !is_empty => ready!(this.poll_held(cx))?,
                Ok(accepted) => break accepted,
                Err(error) => return Poll::Ready(Err(this.fail(error))),
            }
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
        this.upkeep.writes();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::Failed(_) = this.state {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        this.check(cx)?;
        this.upkeep.writes();
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
