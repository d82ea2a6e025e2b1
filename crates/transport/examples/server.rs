//! An ordinary tonic service, secured by an association instead of TLS.
//!
//!     cargo run --example server -- //sp.example.com/id-in //sp.example.com/id-mn $KEY
#[path = "keys/keys.rs"]
mod keys;

use refpoint_transport::{Association, Incoming, stubs::y::y_service_server as stub};
use refpoint_y::proto::{ExchangeRequest, ExchangeResponse, ServeRequest, ServeResponse};
use tonic::{Request, Response, Status, Streaming, transport::Server};

struct Service;

#[tonic::async_trait]
impl stub::YService for Service {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        println!("asked by {:?}", request.extensions().get::<Association>());
        Ok(Response::new(ExchangeResponse::default()))
    }

    type ServeStream = tokio_stream::Empty<Result<ServeResponse, Status>>;
    async fn serve(
        &self,
        _: Request<Streaming<ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        Err(Status::unimplemented("this end asks nothing"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let listener = tokio::net::TcpListener::bind("[::1]:7777").await?;
    let incoming = Incoming::new(listener, keys::keyring()?.0);
    let service = stub::YServiceServer::new(Service);
    let served = Server::builder().serve_with_incoming(service, incoming);
    Ok(served.await?)
}
