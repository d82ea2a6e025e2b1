use refpoint_association::{
    CredentialId, Error as Association, HeldHandle, SessionLabel, StreamAnswer, StreamInitiator,
    StreamResponder, StreamSession, StreamUnconfirmed,
};
use refpoint_wire::FRAME_HEADER;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::SecureStream;
use crate::frames::{Frames, LARGEST_RECORD};
use crate::{Error, Keyring, clock, entropy};

/// Handshake packets are far smaller.
const LARGEST_HANDSHAKE: usize = 1024;

/// Makes an association over `io`, as its initiator, by a credential of the keyring: by the handle that the one before
/// has left, if there is one and the policy wants it, else by a full handshake.
///
/// There is no time limit in it: drop the future to give up. `session` tells apart associations that one pair of
/// entities wants side by side; the default label is the usual one. A handle that comes to nothing is not used again:
/// after a failure, try again over another connection, and it is a full handshake.
///
/// # Errors
/// [`Error::Association`] when the peer does not prove to be the credential's, or says nothing and ends the stream
/// ([`Truncated`](refpoint_association::Error::Truncated): it may not know this key); [`Error::Io`] from `io`.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    keyring: &Keyring,
    credential: CredentialId,
    session: SessionLabel,
) -> Result<SecureStream<IO>, Error> {
    let held = keyring.handles().take((credential, session));
    initiate(io, keyring, (credential, session), held.as_deref()).await
}

/// Makes an association over `io`, as its initiator, by redeeming `held` if there is one. A handle that the responder
/// refuses is followed by a full handshake in the same stream.
pub(crate) async fn initiate<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    keyring: &Keyring,
    place: (CredentialId, SessionLabel),
    held: Option<&HeldHandle>,
) -> Result<SecureStream<IO>, Error> {
    let (mut frames, mut out) = (Frames::new(LARGEST_HANDSHAKE), Vec::new());
    let mut initiator = begin(keyring, place, held, &mut out)?;
    let (session, was_resumed) = loop {
        send(&mut io, &mut out).await?;
        let answer = receive(&mut io, &mut frames).await?;
        let was_resumed = initiator.resumes();
        match initiator.receive(clock::now(), &answer[FRAME_HEADER..], &mut out) {
            Ok(session) => break (session, was_resumed),
            // An initiator that does not resume cannot be refused.
            Err(error @ Association::Handle) => {
                tracing::info!(%error, "not resumed: a full handshake follows");
                initiator = begin(keyring, place, None, &mut out)?;
            }
            Err(error) => return Err(error.into()),
        }
    };
    send(&mut io, &mut out).await?;
    finish(io, keyring, (session, was_resumed), frames)
}

/// Writes the first packet: a Resume if `held` may be redeemed, else an Initiate.
fn begin(
    keyring: &Keyring,
    (credential, session): (CredentialId, SessionLabel),
    held: Option<&HeldHandle>,
    out: &mut Vec<u8>,
) -> Result<StreamInitiator, Error> {
    let begun = keyring.read(|local, credentials| {
        let entry = credentials
            .find(credential)
            .ok_or(Association::NoCredential)?;
        let entry = (credential, entry.clone());
        let (now, rng, backend) = (clock::now(), &mut entropy::system(), keyring.backend());
        if let Some(held) = held {
            match StreamInitiator::resume(now, rng, local, backend, entry.clone(), held, out) {
                Ok(initiator) => return Ok(initiator),
                Err(error) => tracing::debug!(%error, "a handle is of no use any more"),
            }
        }
        StreamInitiator::new(now, rng, local, backend, entry, session, out)
    });
    Ok(begun?)
}

/// Makes an association over `io`, as its responder, with any peer that the keyring has a credential for, or has
/// granted a handle to.
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
    let mut packet = &receive(&mut io, &mut frames).await?[FRAME_HEADER..];
    let mut resumed = None;
    if StreamResponder::resumes(packet) {
        let answer = resume(keyring, packet, &mut out);
        send(&mut io, &mut out).await?;
        resumed = answer?;
        if resumed.is_none() {
            packet = &receive(&mut io, &mut frames).await?[FRAME_HEADER..];
        }
    }
    let answered = match resumed {
        Some(answered) => answered,
        None => {
            let answered = keyring.read(|local, credentials| {
                let (now, rng) = (clock::now(), &mut entropy::system());
                let backend = keyring.backend();
                StreamResponder::answer(now, rng, local, backend, credentials, packet, &mut out)
            });
            // Filled in one case of failure, too: a stranger in `known` gets an answer that tells it nothing (rule H3).
            send(&mut io, &mut out).await?;
            answered?
        }
    };
    let was_resumed = answered.resumes();
    let confirmation = receive(&mut io, &mut frames).await?;
    let handles = keyring.handles();
    let session = handles.confirm(clock::now(), answered, confirmation, &mut out)?;
    send(&mut io, &mut out).await?;
    finish(io, keyring, (session, was_resumed), frames)
}

/// Answers a Resume; none when it is refused. Only who resumes waits for the table of handles, and nobody for another's
/// DH.
fn resume(
    keyring: &Keyring,
    packet: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<StreamUnconfirmed>, Association> {
    keyring.read(|local, credentials| {
        let (now, rng, backend) = (clock::now(), &mut entropy::system(), keyring.backend());
        let read = keyring.handles().grants(|grants| {
            let tables = (credentials, grants);
            StreamResponder::resume(now, rng, local, backend, tables, packet, out)
        });
        match read? {
            StreamAnswer::Resumed(redemption) => {
                let answered = redemption.answer(now, rng, local, backend, out);
                answered.map(Some)
            }
            StreamAnswer::Refused => Ok(None),
        }
    })
}

fn finish<IO>(
    io: IO,
    keyring: &Keyring,
    session: (StreamSession, bool),
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
