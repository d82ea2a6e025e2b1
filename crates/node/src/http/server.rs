use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::body::read_body;
use super::fault::Fault;
use super::head::parse_request_head;
use super::header::Headers;
use super::limits::HttpLimits;
use super::message::{Request, Response};
use super::wire::Wire;
use crate::drain::Drain;

/// How long a connection that was refused is read on, so that its sender sees the answer before the reset.
const LINGER: Duration = Duration::from_secs(1);

/// What answers the requests of a [`Server`].
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. Never fails: a failure is an answer too.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// The answer to a message that could not be taken; `headers` are those of its head, if that was read.
    fn refuse(&self, fault: &Fault, headers: Option<&Headers>) -> Response {
        let _ = headers;
        Response::new(fault.status().unwrap_or(400))
    }
}

/// An HTTP/1.1 server on one address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: HttpLimits,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, limits: HttpLimits) -> std::io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            limits,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell it.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `drain` begins, then until the requests under way are answered. Dropping the future cuts
    /// every connection.
    pub async fn run<H: Handler>(self, handler: Arc<H>, drain: Drain) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = drain.begun() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let connection = Connection {
                        handler: Arc::clone(&handler),
                        limits: self.limits.clone(),
                        drain: drain.clone(),
                    };
                    connections.spawn(async move {
                        connection.run(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most often: the pause lets connections end.
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

struct Connection<H> {
    handler: Arc<H>,
    limits: HttpLimits,
    drain: Drain,
}

impl<H: Handler> Connection<H> {
    async fn run(self, stream: TcpStream) {
        let (reader, mut writer) = stream.into_split();
        let mut wire = Wire::new(reader);
        loop {
            let first_byte = tokio::select! {
                biased;
                ready = timeout(self.limits.idle_time, wire.ready()) => ready,
                () = self.drain.begun() => break,
            };
            match first_byte {
                Ok(Ok(true)) => {}
                Ok(Ok(false) | Err(_)) | Err(_) => break,
            }
            match self.exchange(&mut wire, &mut writer).await {
                Ok(true) => {}
                Ok(false) => break,
                Err((fault, headers)) => {
                    self.refuse(&fault, headers.as_ref(), &mut wire, &mut writer)
                        .await;
                    break;
                }
            }
        }
        let _ = writer.shutdown().await;
    }

    /// One request and its answer; whether the connection stays open.
    async fn exchange(
        &self,
        wire: &mut Wire<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) -> Result<bool, (Fault, Option<Headers>)> {
        let head = wire
            .head(self.limits.head, self.limits.head_time)
            .await
            .map_err(|fault| (fault, None))?;
        let head = parse_request_head(&head, &self.limits).map_err(|fault| (fault, None))?;
        if head.expects_continue {
            let proceed = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            proceed.map_err(|error| (Fault::Io(error), None))?;
        }
        let body = match read_body(wire, head.framing, &self.limits).await {
            Ok(body) => body,
            Err(fault) => return Err((fault, Some(head.headers))),
        };
        let method = head.method.clone();
        let request = Request {
            method: head.method,
            target: head.target,
            headers: head.headers,
            body,
        };
        let response = self.handler.handle(request).await;
        let close = !head.keep_alive || self.drain.has_begun();
        self.write(&response, &method, close, writer)
            .await
            .map_err(|fault| (fault, None))?;
        Ok(!close)
    }

    async fn write(
        &self,
        response: &Response,
        method: &str,
        close: bool,
        writer: &mut OwnedWriteHalf,
    ) -> Result<(), Fault> {
        let bytes = match response.encode(method, close) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "an answer was not writable");
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n".to_vec()
            }
        };
        match timeout(self.limits.body_time, writer.write_all(&bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Fault::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    async fn refuse(
        &self,
        fault: &Fault,
        headers: Option<&Headers>,
        wire: &mut Wire<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) {
        tracing::debug!(%fault, "HTTP message refused");
        metrics::counter!("refpoint_http_refused_total").increment(1);
        if fault.status().is_none() {
            return;
        }
        let response = self.handler.refuse(fault, headers);
        if self.write(&response, "", true, writer).await.is_ok() {
            let _ = writer.shutdown().await;
            let mut scrap = [0; 4096];
            let read_on = async {
                while matches!(wire.reader_mut().read(&mut scrap).await, Ok(count) if count > 0) {}
            };
            let _ = timeout(LINGER, read_on).await;
        }
    }
}
