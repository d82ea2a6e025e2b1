//! How a reading is said on the wire.

use anyhow::Context as _;
use prost::Message as _;
use refpoint_primitive::{
    ExchangeId, Header, Headers, HttpRequest, HttpResponse, RequestMessage, ResponseMessage,
};
use refpoint_x::{
    Datagram, exchange,
    proto::{self, datagram::Body},
};

use super::Message;

/// How devices and core talk, and when a device tries again to have an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    /// Bytes with no more than a number, with the core of this bench.
    Bare,
    /// Primitives of X, with the core that is shipped, and the schedule of the device that is.
    Shipped,
}

/// What the core has said about an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The reading is kept.
    Kept,
    /// It is not.
    Refused,
    /// It is worked on.
    Pending,
}

/// The most bytes of a datagram's content.
const ROOM: usize = 1_100;

/// What every request is named; the exchange tells them apart.
pub(super) const REQUEST_ID: &str = "r";

impl Wording {
    /// The request that carries a reading.
    pub(super) fn request(self, message: Message, exchange: ExchangeId) -> Vec<u8> {
        let bare = message.request(exchange);
        match self {
            Self::Bare => bare,
            // It has no room only if the constants here are wrong: then nothing is answered.
            Self::Shipped => shipped(&bare, exchange).unwrap_or_default(),
        }
    }

    /// Reads what the core has sent.
    pub(super) fn answer(self, bytes: &[u8]) -> Option<(ExchangeId, Answer)> {
        if self == Self::Bare {
            let (exchange, _) = Message::from_answer(bytes)?;
            return Some((ExchangeId::new(exchange), Answer::Kept));
        }
        let proto::Datagram { exchange_id, body } = proto::Datagram::decode(bytes).ok()?;
        let answer = match body? {
            Body::Response(response) => {
                match ResponseMessage::from_proto(response.response?).ok()? {
                    ResponseMessage::Http(http) if http.status() == KEPT => Answer::Kept,
                    _ => Answer::Refused,
                }
            }
            Body::Pending(_) => Answer::Pending,
            Body::Request(_) => return None,
        };
        Some((ExchangeId::new(exchange_id), answer))
    }
}

const KEPT: u16 = 201;

fn shipped(reading: &[u8], exchange: ExchangeId) -> anyhow::Result<Vec<u8>> {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", "Cdevice")?,
        Header::new("X-M2M-RI", REQUEST_ID)?,
    ])?;
    let http = HttpRequest::new("POST", "/id-mn/readings", headers, reading.to_vec())?;
    let mut request = exchange::request(RequestMessage::Http(http), None);
    request.patience_ms = 9_000;
    Ok(Datagram::request(exchange, request, ROOM)?.to_vec())
}

/// The reading in a request of this device.
pub(super) fn reading(device: u32, request: proto::ExchangeRequest) -> Option<Message> {
    let incoming = exchange::read_request(request).ok()?;
    let RequestMessage::Http(http) = incoming.into_message() else {
        return None;
    };
    Message::from_request(device, http.body()).map(|(_, message)| message)
}

/// What the core says when a reading is kept, or is not.
pub(super) fn response(is_kept: bool) -> anyhow::Result<proto::ExchangeResponse> {
    let status = if is_kept { KEPT } else { 500 };
    let headers = Headers::new(vec![Header::new("X-M2M-RI", REQUEST_ID)?])?;
    let http = HttpResponse::new(status, headers, Vec::new()).context("three digits")?;
    Ok(exchange::response(ResponseMessage::Http(http)))
}
