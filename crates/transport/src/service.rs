use core::fmt::Debug;
use core::future::Future;
use core::pin::Pin;

use refpoint_keys::ReferencePoint;
use refpoint_primitive::ExchangeId;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::responder::Responder;

mod x;
mod y;
mod z;

pub use x::X;
pub use y::Y;
pub use z::Z;

/// The gRPC service of one reference point: [`X`], [`Y`] or [`Z`], which have the same two RPCs and differ in their
/// messages.
///
/// What is carried are the generated messages: the layers (`refpoint-x`, `-y`, `-z`) turn them into their domain types,
/// in their modules `exchange`.
pub trait Service: sealed::Stubs {
    /// The service's name, as protobuf knows it.
    const NAME: &'static str;

    /// Whether an association that was made for `point` may carry it.
    fn serves(point: ReferencePoint) -> bool;
}

/// The future of a call.
pub(crate) type Call<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

/// What an initiator says on `Serve`.
#[derive(Debug)]
pub enum FromInitiator<S: sealed::Stubs> {
    /// It is ready to be asked.
    Ready,
    /// For whom it speaks.
    Announcement(S::Announcement),
    /// An answer.
    Answer(ExchangeId, S::Response),
}

/// What a responder says on `Serve`.
#[derive(Debug)]
pub enum FromResponder<S: sealed::Stubs> {
    /// For whom it speaks.
    Announcement(S::Announcement),
    /// A request.
    Request(ExchangeId, S::Request),
}

pub(crate) mod sealed {
    use super::*;

    /// The generated messages and stubs behind a [`Service`].
    pub trait Stubs: Debug + Sized + Send + Sync + 'static {
        /// `ExchangeRequest`.
        type Request: prost::Message + Default + 'static;
        /// `ExchangeResponse`.
        type Response: prost::Message + Default + 'static;
        /// `Announcement`, where the service has it.
        type Announcement: Clone + Debug + Send + Sync + 'static;
        /// `ServeRequest`.
        type Served: prost::Message + Default + 'static;
        /// `ServeResponse`.
        type Asked: prost::Message + Default + 'static;
        /// The server's stub.
        type Server: tower::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<tonic::body::Body>,
                Error = core::convert::Infallible,
                Future: Send,
            > + Clone
            + Send
            + 'static;

        fn set_patience(request: &mut Self::Request, milliseconds: u32);

        fn ready() -> Self::Served;
        fn served_announcement(announcement: Self::Announcement) -> Self::Served;
        fn answer(exchange: ExchangeId, response: Self::Response) -> Self::Served;
        fn read_served(served: Self::Served) -> FromInitiator<Self>;

        fn asked_announcement(announcement: Self::Announcement) -> Self::Asked;
        fn ask(exchange: ExchangeId, request: Self::Request) -> Self::Asked;
        fn read_asked(asked: Self::Asked) -> Option<FromResponder<Self>>;

        fn exchange(
            channel: Channel,
            largest: usize,
            request: Request<Self::Request>,
        ) -> Call<Self::Response>;
        fn serve(
            channel: Channel,
            largest: usize,
            served: ReceiverStream<Self::Served>,
        ) -> Call<Streaming<Self::Asked>>;
        fn server(responder: Responder<Self>, largest: usize) -> Self::Server
        where
            Self: Service;
    }
}
