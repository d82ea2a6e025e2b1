use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio::time::Instant;

use super::fault::Fault;
use super::head::Framing;
use super::limits::HttpLimits;
use super::wire::Wire;

/// A chunk's size line with its extensions, and a trailer's line, may have this many bytes.
const LINE: usize = 1024;
/// So many trailer lines are read and dropped.
const TRAILERS: usize = 32;

/// Reads a body of at most `limits.body` bytes.
pub(super) async fn read_body<R: AsyncRead + Unpin>(
    wire: &mut Wire<R>,
    framing: Framing,
    limits: &HttpLimits,
) -> Result<Bytes, Fault> {
    let deadline = Instant::now() + limits.body_time;
    match framing {
        Framing::Length(length) if length > limits.body => Err(Fault::BodyTooLarge(limits.body)),
        Framing::Length(length) => wire.exactly(length, deadline).await,
        Framing::UntilClose => wire.rest(limits.body, deadline).await,
        Framing::Chunked => read_chunks(wire, limits.body, deadline).await,
    }
}

async fn read_chunks<R: AsyncRead + Unpin>(
    wire: &mut Wire<R>,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    loop {
        let size = chunk_size(&wire.line(LINE, deadline).await?)?;
        if size == 0 {
            break;
        }
        if size > limit - body.len() {
            return Err(Fault::BodyTooLarge(limit));
        }
        body.extend_from_slice(&wire.exactly(size, deadline).await?);
        if !wire.exactly(2, deadline).await?.eq(&b"\r\n"[..]) {
            return Err(Fault::Malformed("a chunk is longer than its size"));
        }
    }
    for _ in 0..TRAILERS {
        if wire.line(LINE, deadline).await?.is_empty() {
            return Ok(body.freeze());
        }
    }
    Err(Fault::Malformed("too many trailers"))
}

/// The size in front of a chunk: hexadecimal digits, then nothing or an extension, which is ignored.
fn chunk_size(line: &[u8]) -> Result<usize, Fault> {
    let digits = line
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    let extension_is_clean = line
        .iter()
        .all(|byte| *byte == b'\t' || (b' '..0x7f).contains(byte));
    if digits.is_empty()
        || digits.len() > 8
        || !digits.iter().all(u8::is_ascii_hexdigit)
        || !extension_is_clean
    {
        return Err(Fault::Malformed(
            "a chunk's size is not a hexadecimal number",
        ));
    }
    core::str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(Fault::Malformed(
            "a chunk's size is not a hexadecimal number",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn chunks(bytes: &[u8]) -> Result<Bytes, Fault> {
        let limits = HttpLimits {
            body: 16,
            ..HttpLimits::default()
        };
        read_body(&mut Wire::new(bytes), Framing::Chunked, &limits).await
    }

    #[tokio::test]
    async fn chunks_are_joined_and_trailers_dropped() {
        let body =
            chunks(b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-M2M-Origin: CAdmin\r\n\r\n").await;
        assert_eq!(body.expect("a body"), &b"abc0123456789"[..]);
    }

    #[tokio::test]
    async fn dishonest_chunks_are_refused() {
        for bytes in [
            &b"3\r\nabcd\r\n0\r\n\r\n"[..],
            b"+3\r\nabc\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b"\r\nabc\r\n0\r\n\r\n",
            b"3\nabc\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nabc",
            b"ffffffff\r\nabc",
            b"9\r\n012345678\r\n9\r\n012345678\r\n0\r\n\r\n",
            b"3\r\nabc\r\n",
            b"3\r\nabc\r\n0\r\n",
        ] {
            assert!(
                chunks(bytes).await.is_err(),
                "{:?} was taken",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
