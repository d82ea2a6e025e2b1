use refpoint_keys::ReferencePoint;
use refpoint_primitive::ExchangeId;
use refpoint_y::proto;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::sealed::Stubs;
use super::{Call, FromInitiator, FromResponder, Service};
use crate::generated::y::y_service_client::YServiceClient;
use crate::generated::y::y_service_server::{YService, YServiceServer};
use crate::responder::{Asking, Responder};

/// Y (Mcc, Mcc′): between service nodes. Either end may announce for whom it speaks.
#[derive(Clone, Copy, Debug)]
pub enum Y {}

impl Service for Y {
    const NAME: &'static str = "refpoint.y.v1.YService";

    fn serves(point: ReferencePoint) -> bool {
        matches!(point, ReferencePoint::Y | ReferencePoint::YPrime)
    }
}

impl Stubs for Y {
    type Request = proto::ExchangeRequest;
    type Response = proto::ExchangeResponse;
    type Announcement = proto::Announcement;
    type Served = proto::ServeRequest;
    type Asked = proto::ServeResponse;
    type Server = YServiceServer<Responder<Self>>;

    fn set_patience(request: &mut proto::ExchangeRequest, milliseconds: u32) {
        request.patience_ms = milliseconds;
    }

    fn ready() -> proto::ServeRequest {
        proto::ServeRequest::default()
    }

    fn served_announcement(announcement: proto::Announcement) -> proto::ServeRequest {
        proto::ServeRequest {
            announcement: Some(announcement),
            ..proto::ServeRequest::default()
        }
    }

    fn answer(exchange: ExchangeId, response: proto::ExchangeResponse) -> proto::ServeRequest {
        proto::ServeRequest {
            exchange_id: exchange.number(),
            response: Some(response),
            announcement: None,
        }
    }

    fn read_served(served: proto::ServeRequest) -> FromInitiator<Self> {
        match (served.exchange_id, served.announcement) {
            (0, None) => FromInitiator::Ready,
            (0, Some(announcement)) => FromInitiator::Announcement(announcement),
            (number, _) => {
                FromInitiator::Answer(ExchangeId::new(number), served.response.unwrap_or_default())
            }
        }
    }

    fn asked_announcement(announcement: proto::Announcement) -> proto::ServeResponse {
        proto::ServeResponse {
            announcement: Some(announcement),
            ..proto::ServeResponse::default()
        }
    }

    fn ask(exchange: ExchangeId, request: proto::ExchangeRequest) -> proto::ServeResponse {
        proto::ServeResponse {
            exchange_id: exchange.number(),
            request: Some(request),
            announcement: None,
        }
    }

    fn read_asked(asked: proto::ServeResponse) -> Option<FromResponder<Self>> {
        match (asked.exchange_id, asked.announcement) {
            (0, None) => None,
            (0, Some(announcement)) => Some(FromResponder::Announcement(announcement)),
            (number, _) => {
                let request = asked.request.unwrap_or_default();
                Some(FromResponder::Request(ExchangeId::new(number), request))
            }
        }
    }

    fn exchange(
        channel: Channel,
        largest: usize,
        request: Request<proto::ExchangeRequest>,
    ) -> Call<proto::ExchangeResponse> {
        let client = YServiceClient::new(channel).max_decoding_message_size(largest);
        let mut client = client.max_encoding_message_size(largest);
        Box::pin(async move { client.exchange(request).await.map(Response::into_inner) })
    }

    fn serve(
        channel: Channel,
        largest: usize,
        served: ReceiverStream<proto::ServeRequest>,
    ) -> Call<Streaming<proto::ServeResponse>> {
        let mut client = YServiceClient::new(channel).max_decoding_message_size(largest);
        Box::pin(async move { client.serve(served).await.map(Response::into_inner) })
    }

    fn server(responder: Responder<Self>, largest: usize) -> Self::Server {
        YServiceServer::new(responder)
            .max_decoding_message_size(largest)
            .max_encoding_message_size(largest)
    }
}

#[tonic::async_trait]
impl YService for Responder<Y> {
    type ServeStream = Asking<Y>;

    async fn exchange(
        &self,
        request: Request<proto::ExchangeRequest>,
    ) -> Result<Response<proto::ExchangeResponse>, Status> {
        self.answer(request).await.map(Response::new)
    }

    async fn serve(
        &self,
        request: Request<Streaming<proto::ServeRequest>>,
    ) -> Result<Response<Asking<Y>>, Status> {
        self.open(request).map(Response::new)
    }
}
