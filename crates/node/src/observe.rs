//! Logs and metrics. Both have stable names; neither ever holds a key, a token or the content of a message.
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `refpoint_egress_requests_total` | counter | `outcome`: `answered`, `refused` | requests of the local CSE |
//! | `refpoint_egress_seconds` | summary | | from request to response, association included |
//! | `refpoint_ingress_requests_total` | counter | `outcome`: `answered`, `refused` | requests of peers |
//! | `refpoint_ingress_seconds` | summary | | the local CSE's time |
//! | `refpoint_associations` | gauge | | associations that live now, noted every second |
//! | `refpoint_datagrams_total` | counter | `kind` | packets of X on UDP: `opened`, `handshake` (answered), `retried`, `resumed` (answered), `refused` (handles that lead to nothing), and those dropped: `malformed`, `unauthenticated`, `unopened`, `replayed`, `unknown`, `limited` |
//! | `refpoint_refused_total` | counter | `point`, `code` | requests of peers that a layer refused, by result code |
//! | `refpoint_end_to_end_opened_total` | counter | | what was sealed end to end and opened for the AE |
//! | `refpoint_end_to_end_refused_total` | counter | `code` | what was sealed, or should have been, and was refused, by result code |
//! | `refpoint_http_refused_total` | counter | | HTTP messages that were not well-formed, too large or too slow |
//!
//! Spans: `egress` (field `peer`), `ingress` (field `cse`). What a layer refuses a peer is an event at level warn,
//! `request refused`, with the fields `peer`, `point`, `code` and `failure`; what is refused end to end is `sealed content refused`, with `place`, `code` and `reason`. Why a request of the local CSE is not
//! served is one at level debug with field `failure`.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::drain::Drain;
use crate::http::{Handler, HttpLimits, Request, Response, Server};

/// Writes logs to standard error. `filter` is a tracing filter such as `info` or `refpoint_node=debug`; the
/// environment variable `RUST_LOG` wins.
///
/// # Errors
///
/// When the filter is malformed.
pub fn log(filter: &str) -> anyhow::Result<()> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(_) => EnvFilter::try_new(filter)
            .context("the log filter is malformed: write one such as info")?,
    };
    // An error means that a subscriber is set already, which then stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    Ok(())
}

/// The metrics of this process.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Begins to collect, once a process.
    ///
    /// # Errors
    ///
    /// When a collector is installed already.
    pub fn install() -> anyhow::Result<Self> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|_| anyhow::anyhow!("metrics are collected already"))?;
        describe();
        Ok(Self { handle })
    }

    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Serves [`Metrics::render`] at `GET /metrics` on `address` until the drain begins.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn serve(self, address: SocketAddr, drain: Drain) -> anyhow::Result<()> {
        let mut limits = HttpLimits::default();
        (limits.connections, limits.body, limits.idle_time) = (16, 1024, Duration::from_secs(5));
        let server = Server::bind(address, limits)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(address = %server.local_addr()?, "metrics listen");
        let handle = self.handle.clone();
        tokio::spawn(server.run(Arc::new(self), drain.clone()));
        tokio::spawn(async move {
            // Summaries are kept in buckets that this moves on.
            while tokio::time::timeout(Duration::from_secs(5), drain.begun())
                .await
                .is_err()
            {
                handle.run_upkeep();
            }
        });
        Ok(())
    }
}

impl Handler for Metrics {
    async fn handle(&self, request: Request) -> Response {
        if request.method != "GET" || request.target != "/metrics" {
            return Response::new(404);
        }
        let mut response = Response::new(200);
        response
            .headers
            .push("Content-Type", "text/plain; version=0.0.4");
        response.body = self.render().into();
        response
    }
}

fn describe() {
    metrics::describe_counter!(
        "refpoint_egress_requests_total",
        "Requests of the local CSE, by outcome."
    );
    metrics::describe_histogram!(
        "refpoint_egress_seconds",
        "From request to response, association included."
    );
    metrics::describe_counter!(
        "refpoint_ingress_requests_total",
        "Requests of peers, by outcome."
    );
    metrics::describe_histogram!("refpoint_ingress_seconds", "The time of the local CSE.");
    metrics::describe_gauge!("refpoint_associations", "Associations that live now.");
    metrics::describe_counter!(
        "refpoint_datagrams_total",
        "Packets of X on UDP, by what became of them."
    );
    metrics::describe_counter!(
        "refpoint_refused_total",
        "Requests of peers that a layer refused."
    );
    metrics::describe_counter!(
        "refpoint_end_to_end_opened_total",
        "What was sealed end to end and opened for the AE."
    );
    metrics::describe_counter!(
        "refpoint_end_to_end_refused_total",
        "What was sealed end to end, or should have been, and was refused."
    );
    metrics::describe_counter!(
        "refpoint_http_refused_total",
        "HTTP messages that were not taken."
    );
}
