//! The messages of `Serve`, by which the association's responder asks and its initiator answers.

use alloc::boxed::Box;

use refpoint_primitive::{Error, ExchangeId};

use crate::{Request, Unreadable, exchange, proto};

/// What the initiator says.
#[derive(Debug, Clone, PartialEq)]
pub enum Served {
    /// It is ready to be asked.
    Ready,
    /// The answer to an exchange, to be read against its request ([`exchange::read_response`]).
    Answer(ExchangeId, Box<proto::ExchangeResponse>),
}

impl Served {
    /// Reads the generated message.
    #[must_use]
    pub fn from_proto(message: proto::ServeRequest) -> Self {
        match message.exchange_id {
            0 => Self::Ready,
            number => {
                let response = message.response.unwrap_or_default();
                Self::Answer(ExchangeId::new(number), Box::new(response))
            }
        }
    }

    /// The message that says that the initiator is ready.
    #[must_use]
    pub fn ready() -> proto::ServeRequest {
        proto::ServeRequest::default()
    }

    /// The message that answers.
    #[must_use]
    pub fn answer(exchange: ExchangeId, response: proto::ExchangeResponse) -> proto::ServeRequest {
        proto::ServeRequest {
            exchange_id: exchange.number(),
            response: Some(response),
        }
    }
}

/// What the responder says.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A request, or the refusal of one that cannot be read.
    Request(ExchangeId, Result<Request, Unreadable>),
}

impl Asked {
    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] when it names no exchange, so that nobody could be answered.
    pub fn from_proto(message: proto::ServeResponse) -> Result<Self, Error> {
        if message.exchange_id == 0 {
            return Err(Error::Missing("exchange_id"));
        }
        let request = exchange::read_request(message.request.unwrap_or_default());
        Ok(Self::Request(ExchangeId::new(message.exchange_id), request))
    }

    /// The message that asks.
    #[must_use]
    pub fn request(exchange: ExchangeId, request: proto::ExchangeRequest) -> proto::ServeResponse {
        proto::ServeResponse {
            exchange_id: exchange.number(),
            request: Some(request),
        }
    }
}
