//! Targets of `refpoint-transport`: a stream cut into frames.

use refpoint_transport::Frames;

use crate::Input;

/// Frames do not depend on how the stream was cut, and a length beyond the limit ends it.
///
/// Two bytes of limit, a byte for the size of the pieces, then the stream.
pub fn transport_frames(data: &[u8]) {
    let mut input = Input::new(data);
    let limit = usize::from(u16::from_be_bytes(input.array()));
    let piece = usize::from(input.byte()) + 1;
    let stream = input.rest();
    let (frames, ended) = cut(limit, piece, stream);
    assert_eq!(
        (&frames, ended),
        (&cut(limit, usize::MAX, stream).0, cut(limit, 1, stream).1)
    );
    assert_eq!(frames, cut(limit, 1, stream).0);

    let joined = frames.concat();
    assert!(stream.starts_with(&joined), "bytes of its own");
    for frame in &frames {
        let length = usize::from(u16::from_be_bytes([frame[0], frame[1]]));
        assert!(frame.len() == 2 + length && (1..=limit).contains(&length));
    }
    // What is left is the beginning of a frame, or an error.
    let rest = &stream[joined.len()..];
    let next = rest
        .first_chunk()
        .map(|length| usize::from(u16::from_be_bytes(*length)));
    match next {
        Some(length) if length == 0 || length > limit.min(LARGEST) => assert!(ended),
        Some(length) => assert!(!ended && rest.len() < 2 + length),
        None => assert!(!ended),
    }
}

/// The largest record, its type and its tag.
const LARGEST: usize = refpoint_association::MAX_STREAM_PAYLOAD + 17;

/// The frames of a stream that arrives in pieces, and whether an error ended it.
fn cut(limit: usize, piece: usize, mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Frames::new(limit);
    let mut found = Vec::new();
    while !stream.is_empty() {
        let spare = frames.spare();
        assert!(!spare.is_empty() && spare.len() <= 64 * 1024);
        let count = spare.len().min(stream.len()).min(piece);
        spare[..count].copy_from_slice(&stream[..count]);
        frames.filled(count);
        stream = &stream[count..];
        loop {
            match frames.next() {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}
