use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use crate::http::{
    Authority, Client, ClientError, Handler, Headers, HttpLimits, Request, Response,
};

/// An application entity: asks its CSE over HTTP, and takes notifications when it is served as a [`Handler`].
#[derive(Debug)]
pub struct Ae {
    originator: String,
    client: Client,
    requests: AtomicU64,
    notified: Mutex<Vec<Value>>,
    arrived: Notify,
}

/// What a CSE answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The result code; 0 if there was none.
    pub code: i32,
    /// The content, if there was any.
    pub content: Value,
}

impl Ae {
    /// An AE that names itself `originator` and sends to `cse`: the CSE, or the node in front of it.
    pub fn new(originator: &str, cse: Authority, limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self {
            originator: originator.to_owned(),
            client: Client::new(cse, limits),
            requests: AtomicU64::new(0),
            notified: Mutex::default(),
            arrived: Notify::new(),
        })
    }

    /// Creates a resource of type `kind` below `target`.
    ///
    /// # Errors
    ///
    /// When nothing answers.
    pub async fn create(
        &self,
        target: &str,
        kind: u32,
        content: &Value,
    ) -> Result<Answer, ClientError> {
        self.ask("POST", target, Some((kind, content))).await
    }

    /// Retrieves `target`.
    ///
    /// # Errors
    ///
    /// When nothing answers.
    pub async fn retrieve(&self, target: &str) -> Result<Answer, ClientError> {
        self.ask("GET", target, None).await
    }

    /// Deletes `target`.
    ///
    /// # Errors
    ///
    /// When nothing answers.
    pub async fn delete(&self, target: &str) -> Result<Answer, ClientError> {
        self.ask("DELETE", target, None).await
    }

    /// The notifications so far, verification requests included.
    pub fn notifications(&self) -> Vec<Value> {
        self.notified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until there are `count` notifications. The caller bounds the time.
    pub async fn notified(&self, count: usize) {
        loop {
            let next = self.arrived.notified();
            if self.notifications().len() >= count {
                return;
            }
            next.await;
        }
    }

    async fn ask(
        &self,
        method: &str,
        target: &str,
        content: Option<(u32, &Value)>,
    ) -> Result<Answer, ClientError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut headers = Headers::new();
        headers.push("Host", self.client.authority().as_str());
        headers.push("X-M2M-Origin", self.originator.as_str());
        headers.push(
            "X-M2M-RI",
            format!(
                "{}-{number}",
                self.originator.trim_start_matches('/').replace('/', "-")
            ),
        );
        headers.push("X-M2M-RVI", "4");
        if let Some((kind, _)) = content {
            headers.push("Content-Type", format!("application/json;ty={kind}"));
        }
        let body = content.map_or_else(Bytes::new, |(_, content)| content.to_string().into());
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        };
        let response = self.client.exchange(&request).await?;
        Ok(Answer {
            code: response
                .headers
                .text("X-M2M-RSC")
                .and_then(|code| code.parse().ok())
                .unwrap_or_default(),
            content: serde_json::from_slice(&response.body).unwrap_or_default(),
        })
    }
}

impl Handler for Arc<Ae> {
    async fn handle(&self, request: Request) -> Response {
        let content = serde_json::from_slice(&request.body).unwrap_or_default();
        self.notified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(content);
        self.arrived.notify_waiters();
        let mut response = Response::new(200);
        response.headers.push("X-M2M-RSC", "2000");
        for name in ["X-M2M-RI", "X-M2M-RVI"] {
            if let Some(value) = request.headers.first(name) {
                response.headers.push(name, value);
            }
        }
        response
    }
}
