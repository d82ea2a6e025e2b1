//! An ordinary tonic client, secured by an association instead of TLS; `server.rs` is its server.
//!
//!     cargo run --example client -- //sp.example.com/id-mn //sp.example.com/id-in $KEY
#[path = "keys/keys.rs"]
mod keys;

use refpoint_transport::{Connector, stubs::y::y_service_client::YServiceClient};
use refpoint_y::proto::ExchangeRequest;
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (keyring, peer) = keys::keyring()?;
    let connector = Connector::new(keyring, keys::POINT, peer);
    let channel = Endpoint::from_static("http://[::1]:7777")
        .connect_with_connector(connector)
        .await?;
    let mut client = YServiceClient::new(channel);
    let response = client.exchange(ExchangeRequest::default()).await?;
    println!("answered: {:?}", response.into_inner());
    Ok(())
}
