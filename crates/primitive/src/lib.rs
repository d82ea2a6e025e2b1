//! oneM2M primitives: what the security layers of X, Y and Z share.
//!
//! A primitive travels in one of two forms ([`RequestMessage`], [`ResponseMessage`]): field by field as TS-0004 lists them, or
//! exactly as its HTTP binding (TS-0009) wrote it. Whichever it is, a layer checks the same [`Checked`] fields.
//!
//! ```text
//!  association ── opened bytes ─► RequestMessage ── Checked ─► Originator ─► X, Y or Z: may this peer say so?
//!                                      │                                          │            │
//!                                    digest                                       │ yes        │ no
//!                                      ▼                                          ▼            ▼
//!                                   Ledger ◄──────────────── was it here before? ─┘         Failure
//!                                      │                                                       │
//!                             Receipt: execute, pending, repeat the answer              refusal with its
//!                                                                                       ResultCode
//! ```
//!
//! [`Exchanges`] is the other side of the [`Ledger`]: requests of this end that wait, and are repeated where the carriage
//! loses datagrams.
//!
//! What is deliberately absent: who may say what (X, Y and Z know), content (it is bytes), routing, clocks, randomness and
//! anything that sends.
//!
//! ```
//! use refpoint_primitive::{Failure, Header, Headers, HttpRequest, RequestMessage, ResponseMessage};
//!
//! # fn main() -> Result<(), refpoint_primitive::Error> {
//! let headers = Headers::new(vec![
//!     Header::new("X-M2M-Origin", "CAdmin")?,
//!     Header::new("X-M2M-RI", "r1")?,
//! ])?;
//! let request = RequestMessage::Http(HttpRequest::new("GET", "/cse-mn", headers, "")?);
//! assert_eq!(request.checked().from, Some("CAdmin"));
//!
//! let refusal = ResponseMessage::refusal(Failure::Impersonation, &request);
//! assert_eq!(refusal.result_code().map(|code| code.number()), Some(4106));
//! # Ok(())
//! # }
//! ```
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod content;
mod error;
mod exchange;
mod failure;
mod generated;
mod holders;
mod http;
mod incoming;
mod ledger;
mod message;
mod operation;
mod peer;
mod refusal;
mod request;
mod request_id;
mod response;
mod result_code;
mod timestamp;

pub use content::{Content, MediaType};
pub use error::Error;
pub use exchange::{Courier, ExchangeId, Exchanges, Retransmission};
pub use failure::Failure;
pub use holders::{Held, Holders};
pub use http::{Header, Headers, HttpRequest, HttpResponse};
pub use incoming::{Incoming, Unreadable};
pub use ledger::{Ledger, LedgerKey, LedgerLimits, Receipt, Ticket};
pub use message::{Checked, RequestDigest, RequestMessage, ResponseMessage};
pub use operation::{EventCategory, Operation, ResourceType, ResponseType, ResultContent};
pub use peer::{Originator, Peer};
pub use refusal::Echo;
pub use request::{Request, RequestParts};
pub use request_id::{ReleaseVersion, RequestId};
pub use response::{ContentStatus, Response, ResponseParts};
pub use result_code::ResultCode;
pub use timestamp::Timestamp;

/// Bytes that are shared, not copied.
pub use prost::bytes::Bytes;

/// The generated messages of `refpoint.primitive.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
