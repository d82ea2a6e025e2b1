//! HTTP/1.1 on the CSE's side, byte-exact.
//!
//! A oneM2M CSE reads meaning from bytes that general HTTP libraries feel free to change: `/~/` and `/_/` in
//! paths, repeated query keys, parameters of `Content-Type`. This module therefore keeps what it reads: the
//! request target, header names with their case, header order and values, and the body. Heads are parsed by
//! `httparse` (the parser inside hyper), after checks that are stricter than it is: no bare line feed, no folded
//! header, exactly one way to tell where a body ends.
//!
//! Deliberately absent: TLS, HTTP/2, upgrades, pipelining beyond answering in order, trailers (read and dropped),
//! content codings (carried untouched).

mod body;
mod client;
mod fault;
mod head;
mod header;
mod hop;
mod limits;
mod message;
mod server;
mod wire;

pub use client::{Authority, Client, ClientError, InvalidAuthority};
pub use fault::Fault;
pub use header::{Header, Headers};
pub use hop::strip_hop_by_hop;
pub use limits::HttpLimits;
pub use message::{InvalidMessage, Request, Response};
pub use server::{Handler, Server};

pub use head::{Framing, RequestHead, ResponseHead, parse_request_head, parse_response_head};
