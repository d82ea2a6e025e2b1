use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use refpoint_keys::ReferencePoint;
use refpoint_primitive::{Failure, RequestMessage, ResponseMessage, ResultCode};

use crate::config::Config;
use crate::end_to_end::EndToEnd;
use crate::ingress::{BearerToken, Ingress};

/// Every ingress of a node, by reference point: where what peers ask goes.
#[derive(Debug, Default)]
pub struct Inbound {
    by_point: RwLock<HashMap<ReferencePoint, Arc<Ingress>>>,
    end_to_end: Option<Arc<EndToEnd>>,
}

impl Inbound {
    /// The ingresses of `config`.
    ///
    /// # Errors
    ///
    /// When a bearer token cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            by_point: RwLock::new(ingresses(config)?),
            end_to_end: None,
        })
    }

    /// Has `end` open what is sealed before the AE gets it.
    #[must_use]
    pub fn with_end_to_end(mut self, end: Option<Arc<EndToEnd>>) -> Self {
        self.end_to_end = end;
        self
    }

    /// Takes over the ingresses of another configuration; requests under way end at the old ones.
    ///
    /// # Errors
    ///
    /// When a bearer token cannot be read; then nothing changes.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let ingresses = ingresses(config)?;
        *self
            .by_point
            .write()
            .unwrap_or_else(PoisonError::into_inner) = ingresses;
        Ok(())
    }

    /// Has the local CSE (or AE) answer a request that arrived on `point` and that its layer let through.
    pub async fn serve(&self, point: ReferencePoint, request: RequestMessage) -> ResponseMessage {
        match self.ask(point, &request).await {
            Ok(response) => response,
            Err(failure) => ResponseMessage::refusal(failure, &request),
        }
    }

    /// As [`Inbound::serve`], but a failure on this side of the CSE stays one.
    ///
    /// # Errors
    ///
    /// Why the CSE has not answered. After [`Failure::Timeout`] and [`Failure::UnusableAnswer`] it may have executed
    /// the request all the same.
    pub async fn ask(
        &self,
        point: ReferencePoint,
        request: &RequestMessage,
    ) -> Result<ResponseMessage, Failure> {
        let ingress = self
            .by_point
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&point)
            .cloned();
        let ingress = ingress.ok_or(Failure::PeerUnreachable)?;
        let opened = match (&self.end_to_end, request) {
            (Some(end), RequestMessage::Http(request)) => end.arrived(request).await?,
            _ => None,
        };
        let Some(notification) = opened else {
            return ingress.serve(request).await;
        };
        let opened = RequestMessage::Http(notification.request().clone());
        let response = ingress.serve(&opened).await?;
        let taken = match &response {
            ResponseMessage::Http(response) => response
                .result_code()
                .map_or(response.status() < 300, ResultCode::is_success),
            ResponseMessage::Primitive(_) => false,
        };
        if taken {
            // The AE has it: whatever becomes of this node's state, that is the answer.
            let _ = notification.told().await;
        }
        Ok(response)
    }
}

fn ingresses(config: &Config) -> anyhow::Result<HashMap<ReferencePoint, Arc<Ingress>>> {
    let mut by_point = HashMap::new();
    for table in &config.ingress {
        let load = |path: &std::path::PathBuf| {
            BearerToken::load(path).with_context(|| path.display().to_string())
        };
        let bearer = table.bearer_token.as_ref().map(load).transpose()?;
        let ingress = Arc::new(Ingress::new(
            table.cse.clone(),
            bearer,
            config.limits.http.clone(),
        ));
        by_point.extend(
            table
                .points
                .iter()
                .map(|point| (*point, Arc::clone(&ingress))),
        );
    }
    Ok(by_point)
}
