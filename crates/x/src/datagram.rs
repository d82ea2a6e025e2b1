//! Requests and responses in records on UDP.

use prost::Message as _;
use refpoint_primitive::{Bytes, ExchangeId, Incoming, ResponseMessage, Unreadable};

use crate::{Error, exchange, proto};

/// What a record on UDP says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The exchange it is about: a number of the asking end. Both ends number theirs alike, so that a request and a
    /// response of the same number need not belong together.
    pub exchange: ExchangeId,
    /// What it says about it.
    pub body: DatagramBody,
}

/// What a record on UDP says about an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatagramBody {
    /// A request, or the refusal of one that cannot be read.
    Request(Result<Incoming, Unreadable>),
    /// The response, or what is wrong with it.
    Response(Result<ResponseMessage, refpoint_primitive::Error>),
    /// The request has arrived and is being worked on.
    Pending,
}

impl Datagram {
    /// The limit that fits every path of IPv6, with record and association around it: 1200 bytes.
    pub const DEFAULT_LIMIT: usize = 1200;

    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is none.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        use proto::datagram::Body;
        let datagram = proto::Datagram::decode(bytes.into());
        let datagram = datagram.map_err(|_| refpoint_primitive::Error::Encoding)?;
        let body = datagram.body;
        let body = body.ok_or(refpoint_primitive::Error::Missing("body"))?;
        Ok(Self {
            exchange: ExchangeId::new(datagram.exchange_id),
            body: match body {
                Body::Request(request) => DatagramBody::Request(exchange::read_request(request)),
                Body::Response(response) => {
                    DatagramBody::Response(exchange::response_message(response))
                }
                Body::Pending(_) => DatagramBody::Pending,
            },
        })
    }

    /// The datagram that asks, in at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it needs more.
    pub fn request(
        exchange: ExchangeId,
        request: proto::ExchangeRequest,
        limit: usize,
    ) -> Result<Bytes, Error> {
        encode(exchange, proto::datagram::Body::Request(request), limit)
    }

    /// The datagram that answers, in at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it needs more: the request has been executed, so answer that by a refusal with
    /// [`Failure::TooLarge`](refpoint_primitive::Failure::TooLarge).
    pub fn response(
        exchange: ExchangeId,
        response: proto::ExchangeResponse,
        limit: usize,
    ) -> Result<Bytes, Error> {
        encode(exchange, proto::datagram::Body::Response(response), limit)
    }

    /// The datagram that says that the request has arrived and is being worked on.
    #[must_use]
    pub fn pending(exchange: ExchangeId) -> Bytes {
        let body = Some(proto::datagram::Body::Pending(proto::Pending {}));
        let exchange_id = exchange.number();
        proto::Datagram { exchange_id, body }.encode_to_vec().into()
    }
}

fn encode(exchange: ExchangeId, body: proto::datagram::Body, limit: usize) -> Result<Bytes, Error> {
    let exchange_id = exchange.number();
    let datagram = proto::Datagram {
        exchange_id,
        body: Some(body),
    };
    let size = datagram.encoded_len();
    if size > limit {
        return Err(Error::TooLarge { size, limit });
    }
    Ok(datagram.encode_to_vec().into())
}
