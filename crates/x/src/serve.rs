//! The messages of `Serve`, by which the association's responder asks and its initiator answers.

use refpoint_primitive::{Error, ExchangeId, Incoming, ResponseMessage, Unreadable};

use crate::{exchange, proto};

/// What the initiator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// It is ready to be asked.
    Ready,
    /// The answer to an exchange, or what is wrong with it.
    Answer(ExchangeId, Result<ResponseMessage, Error>),
}

impl Served {
    /// Reads the generated message.
    #[must_use]
    pub fn from_proto(message: proto::ServeRequest) -> Self {
        match message.exchange_id {
            0 => Self::Ready,
            number => {
                let response = message.response.ok_or(Error::Missing("response"));
                let answer = response.and_then(exchange::response_message);
                Self::Answer(ExchangeId::new(number), answer)
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
    pub fn answer(exchange: ExchangeId, response: ResponseMessage) -> proto::ServeRequest {
        proto::ServeRequest {
            exchange_id: exchange.number(),
            response: Some(exchange::response(response)),
        }
    }
}

/// What the responder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A request, or the refusal of one that cannot be read.
    Request(ExchangeId, Result<Incoming, Unreadable>),
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
