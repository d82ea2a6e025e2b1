//! What differs between X, Y and Z when requests are carried: their messages and their layers.

use core::time::Duration;

use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Failure, Incoming, Peer, Receipt, RequestMessage, ResponseMessage, Ticket,
};
use refpoint_transport::{Service, X, Y, Z};

use crate::layers::Layers;
use crate::utc;

/// A reference point's service together with its layer.
pub(super) trait Point: Service {
    /// A request that has been read.
    type Arrived: Send + Sync + 'static;

    /// The message that asks a peer.
    fn message(request: RequestMessage) -> Result<Self::Request, Failure>;

    /// Reads what a peer answered to `request`.
    fn read_answer(
        response: Self::Response,
        request: &RequestMessage,
    ) -> Result<ResponseMessage, Failure>;

    /// Reads what a peer asks; the error is the refusal to answer.
    fn read(request: Self::Request) -> Result<Self::Arrived, Self::Response>;

    /// The primitive in it, if it is one.
    fn primitive(arrived: &Self::Arrived) -> Option<RequestMessage>;

    /// How long its sender waits, if it says so.
    fn patience(arrived: &Self::Arrived) -> Option<Duration>;

    /// Asks the layer what to do with it.
    fn receive(layers: &Layers, now: Duration, peer: &Peer, arrived: &Self::Arrived) -> Receipt;

    /// It was executed and answered so.
    fn settle(layers: &Layers, ticket: Ticket, answer: &Self::Response);

    /// It was not executed.
    fn abandon(layers: &Layers, ticket: Ticket);

    /// The answer to it.
    fn respond(arrived: &Self::Arrived, response: ResponseMessage) -> Self::Response;

    /// The refusal of it.
    fn refuse(arrived: &Self::Arrived, failure: Failure) -> Self::Response;

    /// An answer that was given before.
    fn repeat(answer: Bytes) -> Option<Self::Response>;

    /// The announcement of these entities, where the reference point has announcements.
    fn announcement(entities: Vec<EntityId>) -> Option<Self::Announcement>;

    /// A peer says for whom it speaks.
    fn announced(
        layers: &Layers,
        peer: &Peer,
        announcement: &Self::Announcement,
    ) -> Result<(), Failure>;
}

/// X and Y carry primitives and nothing else.
macro_rules! primitives {
    ($point:ty, $module:ident, $layer:ident) => {
        type Arrived = Incoming;

        fn message(request: RequestMessage) -> Result<Self::Request, Failure> {
            // The link adds for how long it waits.
            Ok($module::exchange::request(request, None))
        }

        fn read_answer(
            response: Self::Response,
            request: &RequestMessage,
        ) -> Result<ResponseMessage, Failure> {
            $module::exchange::read_response(response, request.checked().request_id)
        }

        fn read(request: Self::Request) -> Result<Incoming, Self::Response> {
            $module::exchange::read_request(request)
                .map_err(|unreadable| $module::exchange::response(*unreadable.refusal))
        }

        fn primitive(arrived: &Incoming) -> Option<RequestMessage> {
            Some(arrived.message().clone())
        }

        fn patience(arrived: &Incoming) -> Option<Duration> {
            arrived.patience()
        }

        fn receive(layers: &Layers, now: Duration, peer: &Peer, arrived: &Incoming) -> Receipt {
            layers
                .$layer()
                .receive(now, Some(utc::now()), peer, arrived)
        }

        fn settle(layers: &Layers, ticket: Ticket, answer: &Self::Response) {
            let answer = $module::exchange::answer(answer);
            layers.$layer().settle(ticket, answer);
        }

        fn abandon(layers: &Layers, ticket: Ticket) {
            layers.$layer().abandon(ticket);
        }

        fn respond(_: &Incoming, response: ResponseMessage) -> Self::Response {
            $module::exchange::response(response)
        }

        fn refuse(arrived: &Incoming, failure: Failure) -> Self::Response {
            $module::exchange::response(ResponseMessage::refusal(failure, arrived.message()))
        }

        fn repeat(answer: Bytes) -> Option<Self::Response> {
            $module::exchange::read_answer(answer).ok()
        }
    };
}

impl Point for X {
    primitives!(X, refpoint_x, x);

    fn announcement(_: Vec<EntityId>) -> Option<Self::Announcement> {
        None
    }

    fn announced(_: &Layers, _: &Peer, never: &Self::Announcement) -> Result<(), Failure> {
        match *never {}
    }
}

impl Point for Y {
    primitives!(Y, refpoint_y, y);

    fn announcement(entities: Vec<EntityId>) -> Option<Self::Announcement> {
        let announcement = refpoint_y::Announcement::new(entities).ok()?;
        Some(announcement.into_proto())
    }

    fn announced(
        layers: &Layers,
        peer: &Peer,
        announcement: &Self::Announcement,
    ) -> Result<(), Failure> {
        let announcement =
            refpoint_y::Announcement::from_proto(announcement).map_err(|_| Failure::Malformed)?;
        layers.y().announce(peer, &announcement)
    }
}

impl Point for Z {
    type Arrived = refpoint_z::Request;

    fn message(request: RequestMessage) -> Result<Self::Request, Failure> {
        Ok(refpoint_z::exchange::request(on_z(request)?))
    }

    fn read_answer(
        response: Self::Response,
        request: &RequestMessage,
    ) -> Result<ResponseMessage, Failure> {
        let response = refpoint_z::exchange::read_response(response, &on_z(request.clone())?)?;
        let code = response.result_code();
        match response.into_reply() {
            Some(refpoint_z::Reply::Primitive(message)) => Ok(message),
            _ if code.is_success() => Err(Failure::UnusableAnswer),
            // A refusal by the peer's layer: its code says which.
            _ => Err(Failure::ALL
                .into_iter()
                .find(|failure| failure.result_code() == code)
                .unwrap_or(Failure::Internal)),
        }
    }

    fn read(request: Self::Request) -> Result<refpoint_z::Request, Self::Response> {
        refpoint_z::exchange::read_request(request).map_err(|unreadable| *unreadable.refusal)
    }

    fn primitive(arrived: &refpoint_z::Request) -> Option<RequestMessage> {
        match arrived.ask() {
            refpoint_z::Ask::Primitive(message) => Some(message.clone()),
            _ => None,
        }
    }

    fn patience(arrived: &refpoint_z::Request) -> Option<Duration> {
        arrived.patience()
    }

    fn receive(
        layers: &Layers,
        now: Duration,
        peer: &Peer,
        arrived: &refpoint_z::Request,
    ) -> Receipt {
        layers.z().receive(now, Some(utc::now()), peer, arrived)
    }

    fn settle(layers: &Layers, ticket: Ticket, answer: &Self::Response) {
        let answer = refpoint_z::exchange::answer(answer);
        layers.z().settle(ticket, answer);
    }

    fn abandon(layers: &Layers, ticket: Ticket) {
        layers.z().abandon(ticket);
    }

    fn respond(arrived: &refpoint_z::Request, response: ResponseMessage) -> Self::Response {
        let reply = refpoint_z::Reply::Primitive(response);
        match refpoint_z::Response::new(arrived, reply) {
            Ok(response) => refpoint_z::exchange::response(response),
            Err(_) => arrived.refusal(Failure::UnusableAnswer),
        }
    }

    fn refuse(arrived: &refpoint_z::Request, failure: Failure) -> Self::Response {
        arrived.refusal(failure)
    }

    fn repeat(answer: Bytes) -> Option<Self::Response> {
        refpoint_z::exchange::read_answer(answer).ok()
    }

    fn announcement(_: Vec<EntityId>) -> Option<Self::Announcement> {
        None
    }

    fn announced(_: &Layers, _: &Peer, never: &Self::Announcement) -> Result<(), Failure> {
        match *never {}
    }
}

fn on_z(request: RequestMessage) -> Result<refpoint_z::Request, Failure> {
    let id = request.checked().request_id.clone();
    refpoint_z::Request::new(id, refpoint_z::Ask::Primitive(request), None)
        .map_err(|_| Failure::Malformed)
}
