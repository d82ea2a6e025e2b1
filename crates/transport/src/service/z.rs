use core::convert::Infallible;

use refpoint_keys::ReferencePoint;
use refpoint_primitive::ExchangeId;
use refpoint_z::proto;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::sealed::Stubs;
use super::{Call, FromInitiator, FromResponder, Service};
use crate::generated::z::z_service_client::ZServiceClient;
use crate::generated::z::z_service_server::{ZService, ZServiceServer};
use crate::responder::{Asking, Responder};

/// Z (Mcn): between a service node and the network.
#[derive(Clone, Copy, Debug)]
pub enum Z {}

impl Service for Z {
    const NAME: &'static str = "refpoint.z.v1.ZService";

    fn serves(point: ReferencePoint) -> bool {
        point == ReferencePoint::Z
    }
}

impl Stubs for Z {
    type Request = proto::ExchangeRequest;
    type Response = proto::ExchangeResponse;
    type Announcement = Infallible;
    type Served = proto::ServeRequest;
    type Asked = proto::ServeResponse;
    type Server = ZServiceServer<Responder<Self>>;

    fn set_patience(request: &mut proto::ExchangeRequest, milliseconds: u32) {
        request.patience_ms = milliseconds;
    }

    fn ready() -> proto::ServeRequest {
        proto::ServeRequest::default()
    }

    fn served_announcement(announcement: Infallible) -> proto::ServeRequest {
        match announcement {}
    }

    fn answer(exchange: ExchangeId, response: proto::ExchangeResponse) -> proto::ServeRequest {
        proto::ServeRequest {
            exchange_id: exchange.number(),
            response: Some(response),
        }
    }

    fn read_served(served: proto::ServeRequest) -> FromInitiator<Self> {
        match served.exchange_id {
            0 => FromInitiator::Ready,
            number => {
                FromInitiator::Answer(ExchangeId::new(number), served.response.unwrap_or_default())
            }
        }
    }

    fn asked_announcement(announcement: Infallible) -> proto::ServeResponse {
        match announcement {}
    }

    fn ask(exchange: ExchangeId, request: proto::ExchangeRequest) -> proto::ServeResponse {
        proto::ServeResponse {
            exchange_id: exchange.number(),
            request: Some(request),
        }
    }

    fn read_asked(asked: proto::ServeResponse) -> Option<FromResponder<Self>> {
        let request = asked.request.unwrap_or_default();
        (asked.exchange_id != 0)
            .then(|| FromResponder::Request(ExchangeId::new(asked.exchange_id), request))
    }

    fn exchange(
        channel: Channel,
        largest: usize,
        request: Request<proto::ExchangeRequest>,
    ) -> Call<proto::ExchangeResponse> {
        let client = ZServiceClient::new(channel).max_decoding_message_size(largest);
        let mut client = client.max_encoding_message_size(largest);
        Box::pin(async move { client.exchange(request).await.map(Response::into_inner) })
    }

    fn serve(
        channel: Channel,
        largest: usize,
        served: ReceiverStream<proto::ServeRequest>,
    ) -> Call<Streaming<proto::ServeResponse>> {
        let mut client = ZServiceClient::new(channel).max_decoding_message_size(largest);
        Box::pin(async move { client.serve(served).await.map(Response::into_inner) })
    }

    fn server(responder: Responder<Self>, largest: usize) -> Self::Server {
        ZServiceServer::new(responder)
            .max_decoding_message_size(largest)
            .max_encoding_message_size(largest)
    }
}

#[tonic::async_trait]
impl ZService for Responder<Z> {
    type ServeStream = Asking<Z>;

    async fn exchange(
        &self,
        request: Request<proto::ExchangeRequest>,
    ) -> Result<Response<proto::ExchangeResponse>, Status> {
        self.answer(request).await.map(Response::new)
    }

    async fn serve(
        &self,
        request: Request<Streaming<proto::ServeRequest>>,
    ) -> Result<Response<Asking<Z>>, Status> {
        self.open(request).map(Response::new)
    }
}
