//! gRPC by tonic: over an association, over rustls and over bare TCP.
//!
//! Client and server run on one thread, so that its CPU time is that of both ends, the kernel's
//! part included; the request and the answer carry the same body.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use refpoint_association::Suite;
use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_primitive::proto::{
    HttpRequest, HttpResponse, RequestMessage, ResponseMessage, request_message, response_message,
};
use refpoint_transport::{
    Connector, Incoming, Keyring,
    stubs::y::{y_service_client::YServiceClient, y_service_server as stub},
};
use refpoint_y::proto::{ExchangeRequest, ExchangeResponse, ServeRequest, ServeResponse};
use tokio::{net::TcpListener, runtime, task::JoinSet};
use tonic::{
    Request, Response, Status, Streaming,
    codegen::BoxStream,
    transport::{
        Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
        server::TcpIncoming,
    },
};

use crate::{
    machine,
    measure::{Contestant, Measured, compare},
    pair::{End, Pair},
    peer::certificates::{Authority, CLIENT, SERVER},
    row::{Row, Target},
};

/// Body, requests of a batch, and batches.
const SIZES: [(usize, &str, usize, usize); 3] = [
    (64, "64 B", 200, 40),
    (1024, "1 KiB", 200, 40),
    (1 << 20, "1 MiB", 8, 40),
];
/// Requests in flight.
const AT_ONCE: usize = 8;

const OWN: [(&str, Suite); 2] = [
    ("AES-GCM", Suite::AesGcm),
    ("ChaChaPoly", Suite::ChaChaPoly),
];
const TLS: &str = "tonic over rustls (aws-lc-rs, its defaults: AES-256-GCM), mutual";
const TCP: &str = "tonic over bare TCP";

type Client = YServiceClient<Channel>;

pub(crate) fn run() -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let [aes, chacha] = OWN.map(|(_, suite)| runtime.block_on(over_association(suite)));
    let clients = [
        (OWN[0].0, aes?),
        (OWN[1].0, chacha?),
        (TLS, runtime.block_on(over_tls())?),
        (TCP, runtime.block_on(over_tcp())?),
    ];
    for (size, name, requests, rounds) in SIZES {
        let contestants = clients.iter().map(|(name, client)| {
            let runtime = &runtime;
            Contestant::new(name, move || {
                let start = machine::cpu_time();
                let exchanged = runtime.block_on(exchange(client, size, requests));
                exchanged.expect("the server answers");
                let each = (machine::cpu_time() - start) as f64 / requests as f64;
                [each, each]
            })
        });
        rows(size, name, &compare(rounds, contestants.collect()));
    }
    Ok(())
}

fn rows(size: usize, name: &str, measured: &[Measured]) {
    let [own @ .., tls, tcp] = measured else {
        return;
    };
    for own in own {
        for peer in [tls, tcp] {
            let name = format!("gRPC {name}, {}", own.name);
            let [own, cpu] = [own, peer].map(|one| one.sides[0]);
            let secured = peer.name == TLS;
            if size < 1 << 20 {
                Row::new(
                    format!("{name}, CPU of both ends a request"),
                    own / 1e3,
                    "µs",
                )
                .beside(peer.name, cpu / 1e3)
                .reaching(secured.then_some(Target::Ratio(1.0)))
                .print();
            } else {
                // Both ways: the answer is as long as the request.
                let rate = |each: f64| 2.0 * size as f64 * 1e3 / each;
                Row::new(format!("{name}, throughput a CPU"), rate(own), "MB/s")
                    .beside(peer.name, rate(cpu))
                    .reaching(secured.then_some(Target::Gain(1.0)))
                    .print();
            }
        }
    }
}

async fn exchange(client: &Client, size: usize, requests: usize) -> anyhow::Result<()> {
    let body = vec![0x5a; size];
    let request = HttpRequest {
        method: b"POST".to_vec().into(),
        target: b"/~/id-in/cse-in/data".to_vec().into(),
        headers: Vec::new(),
        body: body.into(),
    };
    let form = Some(request_message::Form::Http(request));
    let request = ExchangeRequest {
        request: Some(RequestMessage { form }),
        patience_ms: 0,
    };
    let mut flying = JoinSet::new();
    for _ in 0..requests {
        if flying.len() == AT_ONCE
            && let Some(landed) = flying.join_next().await
        {
            landed??;
        }
        let (mut client, request) = (client.clone(), request.clone());
        flying.spawn(async move { client.exchange(request).await });
    }
    while let Some(landed) = flying.join_next().await {
        landed??;
    }
    Ok(())
}

/// Answers with the body that it was sent.
struct Echo;

#[tonic::async_trait]
impl stub::YService for Echo {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let form = request
            .into_inner()
            .request
            .and_then(|request| request.form);
        let Some(request_message::Form::Http(request)) = form else {
            return Err(Status::invalid_argument("send the HTTP form"));
        };
        let response = HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: request.body,
            ..HttpResponse::default()
        };
        let form = Some(response_message::Form::Http(response));
        let response = Some(ResponseMessage { form });
        Ok(Response::new(ExchangeResponse { response }))
    }

    type ServeStream = BoxStream<ServeResponse>;

    async fn serve(
        &self,
        _: Request<Streaming<ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        Err(Status::unimplemented("this end asks nothing"))
    }
}

fn service() -> stub::YServiceServer<Echo> {
    stub::YServiceServer::new(Echo)
}

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn over_association(suite: Suite) -> anyhow::Result<Client> {
    let Pair { device, gateway } = Pair::of_servers(suite)?;
    let peer: EntityId = gateway.local.entity().clone();
    let keyring = |end: End| Keyring::new(end.local, end.credentials);
    let incoming = Incoming::new(TcpListener::bind(ANY).await?, keyring(gateway));
    let uri = format!("http://{}", incoming.local_addr()?);
    tokio::spawn(Server::builder().serve_with_incoming(service(), incoming));
    let connector = Connector::new(keyring(device), ReferencePoint::Y, peer);
    let channel = Endpoint::from_shared(uri)?
        .connect_with_connector(connector)
        .await?;
    Ok(YServiceClient::new(channel))
}

async fn over_tls() -> anyhow::Result<Client> {
    let authority = Authority::new()?;
    let root = Certificate::from_pem(authority.0.pem());
    let identity = |name| {
        let (certificate, key) = authority.issue(name)?;
        anyhow::Ok(Identity::from_pem(certificate.pem(), key.serialize_pem()))
    };
    let server = ServerTlsConfig::new()
        .identity(identity(SERVER)?)
        .client_ca_root(root.clone());
    let incoming = TcpIncoming::bind(ANY)?.with_nodelay(Some(true));
    let uri = format!("https://{}", incoming.local_addr()?);
    let server = Server::builder().tls_config(server)?;
    tokio::spawn(server.serve_with_incoming(service(), incoming));
    let client = ClientTlsConfig::new()
        .identity(identity(CLIENT)?)
        .ca_certificate(root)
        .domain_name(SERVER);
    let channel = Endpoint::from_shared(uri)?
        .tls_config(client)?
        .connect()
        .await?;
    Ok(YServiceClient::new(channel))
}

async fn over_tcp() -> anyhow::Result<Client> {
    let incoming = TcpIncoming::bind(ANY)?.with_nodelay(Some(true));
    let uri = format!("http://{}", incoming.local_addr()?);
    tokio::spawn(Server::builder().serve_with_incoming(service(), incoming));
    let channel = Endpoint::from_shared(uri)?.connect().await?;
    Ok(YServiceClient::new(channel))
}
