//! The messages of `Serve`, by which the association's responder asks and its initiator answers; either may announce.

use refpoint_primitive::{Error, ExchangeId, Incoming, ResponseMessage, Unreadable};

use crate::{Announcement, exchange, proto};

/// What the initiator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// It is ready to be asked.
    Ready,
    /// For whom it speaks, or what is wrong with that.
    Announcement(Result<Announcement, Error>),
    /// The answer to an exchange, or what is wrong with it.
    Answer(ExchangeId, Result<ResponseMessage, Error>),
}

impl Served {
    /// Reads the generated message.
    #[must_use]
    pub fn from_proto(message: proto::ServeRequest) -> Self {
        match (message.exchange_id, message.announcement) {
            (0, None) => Self::Ready,
            (0, Some(announcement)) => Self::Announcement(Announcement::from_proto(&announcement)),
            (number, _) => {
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

    /// The message that announces; it also says that the initiator is ready.
    #[must_use]
    pub fn announcement(announcement: Announcement) -> proto::ServeRequest {
        proto::ServeRequest {
            announcement: Some(announcement.into_proto()),
            ..proto::ServeRequest::default()
        }
    }

    /// The message that answers.
    #[must_use]
    pub fn answer(exchange: ExchangeId, response: ResponseMessage) -> proto::ServeRequest {
        proto::ServeRequest {
            exchange_id: exchange.number(),
            response: Some(exchange::response(response)),
            ..proto::ServeRequest::default()
        }
    }
}

/// What the responder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// For whom it speaks, or what is wrong with that.
    Announcement(Result<Announcement, Error>),
    /// A request, or the refusal of one that cannot be read.
    Request(ExchangeId, Result<Incoming, Unreadable>),
}

impl Asked {
    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] when it names no exchange and announces nothing, so that nobody could be answered.
    pub fn from_proto(message: proto::ServeResponse) -> Result<Self, Error> {
        match (message.exchange_id, message.announcement) {
            (0, None) => Err(Error::Missing("exchange_id")),
            (0, Some(announcement)) => {
                let announcement = Announcement::from_proto(&announcement);
                Ok(Self::Announcement(announcement))
            }
            (number, _) => {
                let request = exchange::read_request(message.request.unwrap_or_default());
                Ok(Self::Request(ExchangeId::new(number), request))
            }
        }
    }

    /// The message that announces.
    #[must_use]
    pub fn announcement(announcement: Announcement) -> proto::ServeResponse {
        proto::ServeResponse {
            announcement: Some(announcement.into_proto()),
            ..proto::ServeResponse::default()
        }
    }

    /// The message that asks.
    #[must_use]
    pub fn request(exchange: ExchangeId, request: proto::ExchangeRequest) -> proto::ServeResponse {
        proto::ServeResponse {
            exchange_id: exchange.number(),
            request: Some(request),
            ..proto::ServeResponse::default()
        }
    }
}
