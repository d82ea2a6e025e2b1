use refpoint_association::{
    CredentialId, Error as Association, Now, StreamInitiator, StreamResponder,
};
use refpoint_association::{SessionLabel, StreamSession};
use refpoint_wire::FRAME_HEADER;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::SecureStream;
use crate::frames::{Frames, LARGEST_RECORD};
use crate::{Error, Keyring, clock, entropy};

/// Handshake packets are far smaller.
const LARGEST_HANDSHAKE: usize = 1024;

/// Makes an association over `io`, as its initiator, by a credential of the keyring.
///
/// There is no time limit in it: drop the future to give up. `session` tells apart associations that one pair of
/// entities wants side by side; the default label is the usual one.
///
/// # Errors
/// [`Error::Association`] when the peer does not prove to be the credential's, or says nothing and ends the stream
/// ([`Truncated`](refpoint_association::Error::Truncated): it may not know this key); [`Error::Io`] from `io`.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    keyring: &Keyring,
    credential: CredentialId,
    session: SessionLabel,
) -> Result<SecureStream<IO>, Error> {
    let mut out = Vec::new();
    let initiator = keyring.read(|local, credentials| {
        let entry = credentials
            .find(credential)
            .ok_or(Association::NoCredential)?;
        StreamInitiator::new(
            clock::now(),
            &mut entropy::system(),
            local,
            keyring.backend(),
            (credential, entry.clone()),
            session,
            &mut out,
        )
    })?;
    send(&mut io, &mut out).await?;
    let mut frames = Frames::new(LARGEST_HANDSHAKE);
    let respond = receive(&mut io, &mut frames).await?;
    let session = initiator.receive(clock::now(), &respond[FRAME_HEADER..], &mut out)?;
    send(&mut io, &mut out).await?;
    finish(io, keyring, session, frames)
}

/// Makes an association over `io`, as its responder, with any peer that the keyring has a credential for.
///
/// It is ready when the peer has confirmed (rule H6). There is no time limit in it: drop the future to give up, and
/// never run it where others wait for it ([`Incoming`](crate::Incoming) does neither).
///
/// # Errors
/// [`Error::Association`] when the peer proves to be nobody that is known; [`Error::Io`] from `io`.
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    keyring: &Keyring,
) -> Result<SecureStream<IO>, Error> {
    let mut out = Vec::new();
    let mut frames = Frames::new(LARGEST_HANDSHAKE);
    let initiate = receive(&mut io, &mut frames).await?;
    let (backend, packet) = (keyring.backend(), &initiate[FRAME_HEADER..]);
    let received = keyring.read(|local, credentials| {
        let now: Now = clock::now();
        let rng = &mut entropy::system();
        StreamResponder::receive(now, rng, local, backend, credentials, packet, &mut out)
    });
    // Filled in one case of failure, too: a stranger in `known` gets an answer that tells it nothing (rule H3).
    send(&mut io, &mut out).await?;
    let mut session = received?;
    let confirmation = receive(&mut io, &mut frames).await?;
    session.receive(clock::now(), confirmation, &mut out)?;
    send(&mut io, &mut out).await?;
    finish(io, keyring, session, frames)
}

fn finish<IO>(
    io: IO,
    keyring: &Keyring,
    session: StreamSession,
    mut frames: Frames,
) -> Result<SecureStream<IO>, Error> {
    frames.limit(LARGEST_RECORD);
    let stream = SecureStream::new(io, session, frames, keyring.clone());
    keyring.admit(stream.association())?;
    Ok(stream)
}

async fn send(io: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>) -> Result<(), Error> {
    if !out.is_empty() {
        io.write_all(out).await?;
        io.flush().await?;
        out.clear();
    }
    Ok(())
}

async fn receive<'a>(
    io: &mut (impl AsyncRead + Unpin),
    frames: &'a mut Frames,
) -> Result<&'a mut [u8], Error> {
    let frame = loop {
        if let Some(frame) = frames.next_range()? {
            break frame;
        }
        match io.read(frames.spare()).await? {
            0 => return Err(Association::Truncated.into()),
            count => frames.filled(count),
        }
    };
    Ok(frames.bytes(frame))
}
