//! What refpoint associations put on the wire, parsed once into domain types.
//!
//! Four layers, one module each, from outside in:
//!
//! ```text
//!  datagram   [ packet                      ]        stream   [ length u16 | packet ]  frame
//!  packet     [ type | header | Noise message or sealed record ]                      packet
//!  payload    protobuf inside a Noise message                                         payload
//!  control    protobuf inside a record of kind control                                control
//! ```
//!
//! `proto/README.md` is the specification; this crate implements its layouts and nothing else:
//! it holds no key, verifies nothing and keeps no state. Everything here may be fed arbitrary
//! bytes: decoding never panics and never allocates more than its input.
//!
//! ```
//! use refpoint_wire::{Index, Packet, Record, RecordKind, Sequence};
//!
//! let header = Record::header(RecordKind::Data, Index::new(7, 1)?, Sequence::new(3)?, false, false);
//! let packet = [header.as_bytes(), &[0; 16]].concat();
//! let Packet::Record(record) = Packet::parse(&packet)? else { unreachable!() };
//! assert_eq!(record.index(), Index::new(7, 1)?);
//! # Ok::<(), refpoint_wire::Error>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod control;
mod error;
mod frame;
mod generated;
mod grant;
mod index;
mod initiate;
mod letter;
mod limit;
mod packet;
mod payload;
mod record;
mod refuse;
mod resume;
mod retry;
mod sequence;
mod terms;

pub use control::{CloseReason, Control};
pub use error::Error;
pub use frame::{FRAME_HEADER, Frame, MAX_FRAME};
pub use grant::{Grant, HandleGrant, LightGrant, Modes, Window};
pub use index::Index;
pub use initiate::{COOKIE_LEN, Cookie, Initiate, InitiateHeader, TAG_KEY_LEN};
pub use letter::LetterHeader;
pub use limit::LogLimit;
pub use packet::{Packet, PacketType};
pub use payload::{InitiatePayload, Limits, RespondPayload, SessionLabel};
pub use record::{MAX_RECORD_HEADER, RECORD, Record, RecordHeader, RecordKind, TAG_LEN};
pub use refuse::Refuse;
pub use resume::{
    HANDLE_LEN, Handle, HandleId, MAC_LEN, Mode, NONCE_LEN, Resume, ResumeBody, ResumeHeader,
};
pub use retry::{PacketHash, RETRY_MAC_LEN, Retry};
pub use sequence::Sequence;
pub use terms::{Carriage, Suite, Terms};
