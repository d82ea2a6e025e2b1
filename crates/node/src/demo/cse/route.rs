use std::sync::Arc;

use bytes::Bytes;
use refpoint_primitive::{Failure, HttpRequest, ResourceType, ResultCode};
use serde_json::Value;

use super::attributes::strings;
use super::{Cse, lock};
use crate::carried::refusal;
use crate::http::{Authority, Client, Headers, Request, Response, strip_hop_by_hop};

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To a resource of this CSE, by its path.
    Here(String),
    /// To another CSE, over HTTP.
    Away(Authority),
    /// Nobody knows the way.
    Nowhere,
}

impl Cse {
    pub(super) fn route(&self, to: &str) -> Route {
        let own = &self.options.id;
        let relative = match to.strip_prefix("//") {
            None => to,
            Some(absolute) => match absolute.split_once('/') {
                Some((provider, rest)) if provider == own.service_provider() => {
                    return self.route(&format!("/{rest}"));
                }
                Some((provider, _)) => {
                    let known = self.options.providers.get(provider);
                    return known
                        .cloned()
                        .or_else(|| self.registrar())
                        .map_or(Route::Nowhere, Route::Away);
                }
                None => return Route::Nowhere,
            },
        };
        let Some(named) = relative.strip_prefix('/') else {
            return Route::Here(relative.to_owned());
        };
        let (cse, rest) = named.split_once('/').unwrap_or((named, ""));
        if own.to_sp_relative().trim_start_matches('/') == cse {
            return Route::Here(rest.to_owned());
        }
        let registered = lock(&self.tree).remote_cse(&format!("/{cse}"));
        let next = registered
            .and_then(|url| url.parse().ok())
            .or_else(|| self.registrar());
        next.map_or(Route::Nowhere, Route::Away)
    }

    fn registrar(&self) -> Option<Authority> {
        self.options.registrar.as_ref().map(|hop| hop.url.clone())
    }

    /// Sends a request on as it is, but for the originator's form, which depends on where it is read.
    pub(super) async fn forward(
        &self,
        next: &Authority,
        request: &Request,
        carried: &HttpRequest,
    ) -> Response {
        let mut onward = request.clone();
        strip_hop_by_hop(&mut onward.headers);
        onward.headers.set("Host", next.as_str());
        if let Some(from) = carried.from() {
            onward
                .headers
                .set("X-M2M-Origin", self.outside(from, carried.to()));
        }
        self.relay(next, &onward).await
    }

    /// A Notify to an AE goes to its pointOfAccess; the CSE itself takes none.
    pub(super) async fn deliver(
        &self,
        path: &str,
        request: &Request,
        carried: &HttpRequest,
    ) -> Response {
        let target = {
            let tree = lock(&self.tree);
            let ae = tree.resolve(path).and_then(|path| tree.at(&path).cloned());
            ae.filter(|ae| ae.kind == ResourceType::AE)
                .and_then(|ae| strings(ae.attributes.get("poa")).into_iter().next())
        };
        let Some((next, path)) = target.as_deref().and_then(split_url) else {
            return self.answer(carried, Err(ResultCode::OPERATION_NOT_ALLOWED));
        };
        let mut onward = request.clone();
        strip_hop_by_hop(&mut onward.headers);
        onward.headers.set("Host", next.as_str());
        onward.target = path;
        self.relay(&next, &onward).await
    }

    async fn relay(&self, next: &Authority, onward: &Request) -> Response {
        match self.client(next).exchange(onward).await {
            Ok(mut response) => {
                strip_hop_by_hop(&mut response.headers);
                response
            }
            Err(error) => {
                tracing::debug!(%error, %next, "not forwarded");
                refusal(Failure::PeerUnreachable, &onward.headers)
            }
        }
    }

    /// How `from` is written in a request that leaves this CSE for `to` (TS-0001, 7.2).
    fn outside(&self, from: &str, to: &str) -> String {
        let own = &self.options.id;
        let relative = if from.starts_with('C') {
            format!("{}/{from}", own.to_sp_relative())
        } else {
            from.to_owned()
        };
        let stays =
            !to.starts_with("//") || to[2..].split('/').next() == Some(own.service_provider());
        if stays || relative.starts_with("//") {
            relative
        } else {
            format!("//{}{relative}", own.service_provider())
        }
    }

    /// Sends a request of this CSE's own and returns the result code.
    pub(super) async fn ask(
        &self,
        next: &Authority,
        method: &str,
        target: &str,
        content: Option<(ResourceType, &Value)>,
    ) -> Result<ResultCode, Failure> {
        let content_type = content.map(|(kind, _)| match kind.number() {
            0 => "application/json".to_owned(),
            number => format!("application/json;ty={number}"),
        });
        let mut headers = Headers::new();
        headers.push("Host", next.as_str());
        headers.push("X-M2M-Origin", self.options.id.to_sp_relative());
        headers.push(
            "X-M2M-RI",
            format!("{}-{}", self.options.name, self.next_number()),
        );
        headers.push("X-M2M-RVI", "4");
        if let Some(content_type) = content_type {
            headers.push("Content-Type", content_type);
        }
        let body = content.map_or_else(Bytes::new, |(_, body)| body.to_string().into());
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        };
        let response = self
            .client(next)
            .exchange(&request)
            .await
            .map_err(|_| Failure::PeerUnreachable)?;
        let code = response
            .headers
            .text("X-M2M-RSC")
            .and_then(|code| code.parse().ok());
        code.map(ResultCode::new).ok_or(Failure::UnusableAnswer)
    }

    fn client(&self, server: &Authority) -> Arc<Client> {
        let mut clients = lock(&self.clients);
        let client = clients
            .entry(server.as_str().to_owned())
            .or_insert_with(|| Arc::new(Client::new(server.clone(), self.limits.clone())));
        Arc::clone(client)
    }
}

/// The server and the path of a URL.
pub(super) fn split_url(url: &str) -> Option<(Authority, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest
        .split_once('/')
        .map_or((rest, String::from("/")), |(host, path)| {
            (host, format!("/{path}"))
        });
    Some((format!("http://{host}").parse().ok()?, path))
}
