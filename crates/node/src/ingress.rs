//! Association in, HTTP out: what a peer asks of the local CSE or AE.

mod bearer;

use std::time::Instant;

use refpoint_primitive::{Failure, HttpResponse, RequestMessage, ResponseMessage};

use crate::carried::{request_from_carried, response_to_carry};
use crate::http::{Authority, Client, ClientError, Fault, HttpLimits};

pub use bearer::{BearerError, BearerToken};

/// Hands requests to one CSE (or AE) over HTTP.
///
/// Who may ask for what has been decided before: the layers check the originator against the association.
#[derive(Debug)]
pub struct Ingress {
    client: Client,
    bearer: Option<BearerToken>,
}

impl Ingress {
    /// An ingress to `cse`. With a `bearer` token, every request carries it, and a peer's `Authorization` is dropped.
    pub fn new(cse: Authority, bearer: Option<BearerToken>, limits: HttpLimits) -> Self {
        Self {
            client: Client::new(cse, limits),
            bearer,
        }
    }

    /// Asks the CSE and returns its response.
    ///
    /// # Errors
    ///
    /// Why it has not answered. After [`Failure::Timeout`] and [`Failure::UnusableAnswer`] it may have executed the
    /// request all the same.
    #[tracing::instrument(name = "ingress", level = "debug", skip_all, fields(cse = %self.client.authority()))]
    pub async fn serve(&self, request: &RequestMessage) -> Result<ResponseMessage, Failure> {
        let begun = Instant::now();
        let outcome = match request {
            RequestMessage::Http(carried) => self.ask(carried).await,
            RequestMessage::Primitive(_) => Err(Failure::UnsupportedForm),
        };
        metrics::histogram!("refpoint_ingress_seconds").record(begun.elapsed().as_secs_f64());
        let label = if outcome.is_ok() {
            "answered"
        } else {
            "refused"
        };
        metrics::counter!("refpoint_ingress_requests_total", "outcome" => label).increment(1);
        outcome
            .map(ResponseMessage::Http)
            .inspect_err(|failure| tracing::debug!(%failure, "request not served"))
    }

    async fn ask(
        &self,
        carried: &refpoint_primitive::HttpRequest,
    ) -> Result<HttpResponse, Failure> {
        let mut request = request_from_carried(carried)?;
        let host = self.client.authority().as_str();
        if request.headers.first("host").is_some() {
            request.headers.set("Host", host);
        } else {
            let mut headers = crate::http::Headers::new();
            headers.push("Host", host);
            request.headers = headers.iter().chain(&request.headers).cloned().collect();
        }
        if let Some(bearer) = &self.bearer {
            request
                .headers
                .set("Authorization", bearer.expose_authorization().as_bytes());
        }
        match self.client.exchange(&request).await {
            Ok(response) => {
                let response = response_to_carry(response)?;
                let asked = carried.request_id();
                // A CSE that answers another request than it was asked has lost its place.
                if response
                    .request_id()
                    .is_some_and(|answered| answered != asked)
                {
                    return Err(Failure::UnusableAnswer);
                }
                Ok(response)
            }
            Err(error) => {
                tracing::debug!(%error, "the CSE did not answer");
                Err(failure(&error))
            }
        }
    }
}

fn failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Answer(Fault::TimedOut) | ClientError::TimedOut => Failure::Timeout,
        ClientError::Answer(_) => Failure::UnusableAnswer,
        ClientError::Unreachable(_) => Failure::PeerUnreachable,
        ClientError::Request(_) => Failure::Malformed,
    }
}
