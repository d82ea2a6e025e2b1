//! The demo's CSE. Not a product: it keeps everything in memory, knows six resource types and no access control.
//!
//! ```text
//! HTTP ─► read (to, from, operation, as refpoint-primitive derives them)
//!           ├─ to is below another CSE ─► route: remoteCSE with that id, else the registrar ─► HTTP
//!           ├─ to is an AE and this a Notify ─► its pointOfAccess ─► HTTP
//!           └─ to is here ─► tree: create, retrieve, delete ─► notify subscribers ─► HTTP
//! ```

mod attributes;
mod notify;
mod route;
mod tree;

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_keys::EntityId;
use refpoint_primitive::{Failure, HttpRequest, Operation, ResourceType, ResultCode};
use serde_json::{Map, Value, json};

use crate::carried::{refusal, request_to_carry};
use crate::http::{Authority, Client, Handler, HttpLimits, Request, Response};
use tree::Tree;

/// What tells one CSE from another.
#[derive(Debug, Clone)]
pub struct CseOptions {
    /// Its id, such as `//sp.example.com/id-mn`.
    pub id: EntityId,
    /// The name of its CSEBase, such as `cse-mn`.
    pub name: String,
    /// Where what it cannot place goes, and where it registers.
    pub registrar: Option<NextHop>,
    /// Where requests to other service providers go, by the provider's domain.
    pub providers: HashMap<String, Authority>,
    /// Its own pointOfAccess, as others reach it.
    pub point_of_access: String,
}

/// The CSE with which another registers.
#[derive(Debug, Clone)]
pub struct NextHop {
    /// Its id.
    pub id: EntityId,
    /// The name of its CSEBase.
    pub name: String,
    /// Where it is reached: in the demo, a node's egress.
    pub url: Authority,
}

/// A request that the CSE was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was asked.
    pub operation: Operation,
    /// Of what.
    pub to: String,
    /// Who said so.
    pub from: Option<String>,
}

/// A result code and what goes with it.
#[derive(Debug)]
struct Outcome {
    code: ResultCode,
    content: Option<Value>,
    location: Option<String>,
}

type Served = Result<Outcome, ResultCode>;

/// oneM2M TS-0004: a subscription's notification target could not be verified.
const VERIFICATION_FAILED: ResultCode = ResultCode::new(5204);

/// So many requests are remembered in [`Cse::seen`].
const REMEMBERED: usize = 10_000;

/// An in-memory CSE; serve it with [`crate::http::Server`].
#[derive(Debug)]
pub struct Cse {
    options: CseOptions,
    tree: Mutex<Tree>,
    seen: Mutex<Vec<Seen>>,
    clients: Mutex<HashMap<String, Arc<Client>>>,
    requests: AtomicU64,
    limits: HttpLimits,
}

impl Cse {
    /// A CSE with nothing but its CSEBase.
    pub fn new(options: CseOptions, limits: HttpLimits) -> Arc<Self> {
        let base = json!({ "csi": options.id.to_sp_relative(), "poa": [options.point_of_access] });
        Arc::new(Self {
            tree: Mutex::new(Tree::new(&options.name, attributes::object(base))),
            options,
            seen: Mutex::default(),
            clients: Mutex::default(),
            requests: AtomicU64::new(0),
            limits,
        })
    }

    /// Registers with the registrar, replacing an earlier registration, and returns the result code.
    ///
    /// # Errors
    ///
    /// The refusal's failure when the registrar is not reached; [`Failure::Forbidden`] when there is none.
    pub async fn register(&self) -> Result<ResultCode, Failure> {
        let hop = self.options.registrar.as_ref().ok_or(Failure::Forbidden)?;
        let name = self.options.id.to_sp_relative().trim_start_matches('/');
        let base = format!("/~{}/{}", hop.id.to_sp_relative(), hop.name);
        self.ask(&hop.url, "DELETE", &format!("{base}/{name}"), None)
            .await?;
        let body = json!({ "m2m:csr": {
            "rn": name,
            "csi": self.options.id.to_sp_relative(),
            "cb": format!("{}/{}", self.options.id.to_sp_relative(), self.options.name),
            "rr": true,
            "poa": [self.options.point_of_access],
        }});
        self.ask(
            &hop.url,
            "POST",
            &base,
            Some((ResourceType::REMOTE_CSE, &body)),
        )
        .await
    }

    /// The requests that were sent to this CSE, forwarded ones included, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Whether there is a resource at this path.
    pub fn holds(&self, path: &str) -> bool {
        lock(&self.tree).at(path).is_some()
    }

    async fn serve(self: &Arc<Self>, request: &Request, carried: &HttpRequest) -> Response {
        match self.route(carried.to()) {
            route::Route::Away(next) => self.forward(&next, request, carried).await,
            route::Route::Nowhere => self.answer(carried, Err(ResultCode::TARGET_NOT_REACHABLE)),
            route::Route::Here(path) => {
                if carried.operation() == Operation::Notify {
                    return self.deliver(&path, request, carried).await;
                }
                let outcome = match carried.operation() {
                    Operation::Create => self.create(&path, carried).await,
                    Operation::Retrieve => self.retrieve(&path),
                    Operation::Delete => self.delete(&path),
                    Operation::Update | Operation::Notify => Err(ResultCode::OPERATION_NOT_ALLOWED),
                };
                self.answer(carried, outcome)
            }
        }
    }

    async fn create(self: &Arc<Self>, path: &str, carried: &HttpRequest) -> Served {
        let kind = carried.resource_type().ok_or(ResultCode::BAD_REQUEST)?;
        let content: Value =
            serde_json::from_slice(carried.body()).map_err(|_| ResultCode::BAD_REQUEST)?;
        let tag = attributes::tag(kind).ok_or(ResultCode::NOT_IMPLEMENTED)?;
        let mut given = content
            .get(tag)
            .and_then(Value::as_object)
            .cloned()
            .ok_or(ResultCode::BAD_REQUEST)?;
        let parent = lock(&self.tree)
            .resolve(path)
            .ok_or(ResultCode::NOT_FOUND)?;
        let from = self.prepare(kind, carried.from(), &mut given)?;
        if kind == ResourceType::SUBSCRIPTION {
            self.verify_targets(&parent, &from, &given).await?;
        }
        given.insert("cr".to_owned(), from.into());
        let (created, notified) = {
            let mut tree = lock(&self.tree);
            let created = tree.insert(&parent, kind, given)?;
            let targets = tree.subscribers(&parent);
            (created, targets)
        };
        let representation = json!({ tag: created.attributes });
        if kind != ResourceType::SUBSCRIPTION {
            self.notify_all(&parent, notified, &representation);
        }
        Ok(Outcome {
            code: ResultCode::CREATED,
            content: Some(representation),
            location: Some(created.path),
        })
    }

    /// Completes the attributes that depend on who creates, and returns who that is.
    fn prepare(
        &self,
        kind: ResourceType,
        from: Option<&str>,
        given: &mut Map<String, Value>,
    ) -> Result<String, ResultCode> {
        let from = match (kind, from) {
            (ResourceType::AE, None | Some("C")) => format!("C{}", self.next_number()),
            (_, Some(from)) => from.to_owned(),
            (_, None) => return Err(ResultCode::BAD_REQUEST),
        };
        if kind == ResourceType::AE {
            let stem = self.stem(&from).ok_or(ResultCode::BAD_REQUEST)?;
            if lock(&self.tree).resolve(&stem).is_some() {
                return Err(ResultCode::ORIGINATOR_HAS_ALREADY_REGISTERED);
            }
            given.insert("aei".to_owned(), stem.into());
        }
        if kind == ResourceType::REMOTE_CSE
            && given.get("csi").and_then(Value::as_str) != Some(&from)
        {
            return Err(ResultCode::BAD_REQUEST);
        }
        Ok(from)
    }

    /// The stem with `C` that `from` names at this CSE.
    fn stem(&self, from: &str) -> Option<String> {
        let id = EntityId::resolve(
            from,
            self.options.id.service_provider(),
            Some(&self.options.id),
        )
        .ok()?;
        let stem = id.to_stem()?;
        (id.is_at(&self.options.id)).then(|| stem.to_owned())
    }

    fn retrieve(&self, path: &str) -> Served {
        let tree = lock(&self.tree);
        let path = tree.resolve(path).ok_or(ResultCode::NOT_FOUND)?;
        let resource = tree.at(&path).ok_or(ResultCode::NOT_FOUND)?;
        let tag = attributes::tag(resource.kind).unwrap_or("m2m:cb");
        Ok(Outcome {
            code: ResultCode::OK,
            content: Some(json!({ tag: resource.attributes })),
            location: None,
        })
    }

    fn delete(&self, path: &str) -> Served {
        let mut tree = lock(&self.tree);
        let path = tree.resolve(path).ok_or(ResultCode::NOT_FOUND)?;
        tree.remove(&path)?;
        Ok(Outcome {
            code: ResultCode::DELETED,
            content: None,
            location: None,
        })
    }

    fn answer(&self, carried: &HttpRequest, outcome: Served) -> Response {
        let outcome = outcome.unwrap_or_else(|code| Outcome {
            code,
            content: None,
            location: None,
        });
        let mut response = Response::new(outcome.code.http_status());
        response
            .headers
            .push("X-M2M-RSC", outcome.code.number().to_string());
        response
            .headers
            .push("X-M2M-RI", carried.request_id().as_str());
        if let Some(version) = carried.release_version() {
            response.headers.push("X-M2M-RVI", version.as_str());
        }
        if let Some(location) = outcome.location {
            response.headers.push("Content-Location", location);
        }
        if let Some(content) = outcome.content {
            response.headers.push("Content-Type", "application/json");
            response.body = content.to_string().into();
        }
        response
    }

    fn next_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }
}

impl Handler for Arc<Cse> {
    async fn handle(&self, request: Request) -> Response {
        let carried = match request_to_carry(request.clone()) {
            Ok(carried) => carried,
            Err(failure) => return refusal(failure, &request.headers),
        };
        {
            let mut seen = lock(&self.seen);
            if seen.len() < REMEMBERED {
                let from = carried.from().map(str::to_owned);
                seen.push(Seen {
                    operation: carried.operation(),
                    to: carried.to().to_owned(),
                    from,
                });
            }
        }
        self.serve(&request, &carried).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
