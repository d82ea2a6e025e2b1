//! What the gateway does for the Python peer.

use core::time::Duration;
use std::collections::BTreeMap;

use anyhow::Context as _;
use rand_core::UnwrapErr;
use refpoint_association::{
    AssociationId, CloseReason, Credentials, Endpoint, Now, Outbox, SessionLabel, Window,
};
use refpoint_keys::EntityId;
use refpoint_primitive::{
    Content, ExchangeId, Incoming, LedgerLimits, MediaType, Operation, Peer, Receipt, Request,
    RequestId, RequestMessage, RequestParts, Response, ResponseMessage, ResponseParts, ResultCode,
};
use refpoint_x::{Datagram, DatagramBody, Identity, Layer, exchange};
use serde_json::json;

/// The renewal window that `/id-mn/move` moves to: its beginning from then on, and its length.
const RENEW_FROM: Duration = Duration::from_secs(60);
const RENEW_WITHIN: Duration = Duration::from_secs(30);

/// What one application has done.
#[derive(Default)]
struct Record {
    executed: u32,
    /// The last answer to a request of the gateway's: result code and content.
    answer: Option<(i32, String)>,
}

/// The gateway's layer X, and what it remembers of its applications.
pub(crate) struct Errands {
    local: EntityId,
    layer: Layer,
    records: BTreeMap<EntityId, Record>,
    exchanges: u32,
}

impl Errands {
    /// Admits every application that has a credential.
    pub(crate) fn new(local: EntityId, credentials: &Credentials) -> anyhow::Result<Self> {
        let mut layer = Layer::new(local.clone(), LedgerLimits::default());
        for (_, credential) in credentials.iter() {
            layer.admit(Identity::application(credential.peer().clone())?)?;
        }
        Ok(Self {
            local,
            layer,
            records: BTreeMap::new(),
            exchanges: 0,
        })
    }

    /// An association can be used. One that this end initiated is used at once.
    pub(crate) fn established(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        id: AssociationId,
        out: &mut dyn Outbox,
    ) -> anyhow::Result<()> {
        let peer = endpoint.peer(id).context("just established")?;
        eprintln!("established with {}", peer.entity());
        if peer.role() == refpoint_keys::Role::Initiator {
            self.notify(endpoint, now, id, out)?;
        }
        Ok(())
    }

    /// The content of a record.
    pub(crate) fn received(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        id: AssociationId,
        data: Vec<u8>,
        out: &mut dyn Outbox,
    ) -> anyhow::Result<()> {
        let Ok(datagram) = Datagram::decode(data) else {
            return Ok(());
        };
        match datagram.body {
            DatagramBody::Request(Ok(request)) => {
                self.request(endpoint, now, id, (datagram.exchange, request), out)
            }
            DatagramBody::Request(Err(unreadable)) => {
                let answer = exchange::response(*unreadable.refusal);
                send_answer(endpoint, now, id, datagram.exchange, answer, out)
            }
            DatagramBody::Response(Ok(ResponseMessage::Primitive(response))) => {
                let peer = endpoint.peer(id).context("it has sent something")?;
                let parts = response.into_parts();
                let content = parts.content.map(|content| content.data().to_vec());
                let content = String::from_utf8_lossy(&content.unwrap_or_default()).into_owned();
                let record = self.records.entry(peer.entity().clone()).or_default();
                record.answer = Some((parts.result_code.number(), content));
                Ok(())
            }
            DatagramBody::Response(_) | DatagramBody::Pending => Ok(()),
        }
    }

    fn request(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        id: AssociationId,
        (exchange, request): (ExchangeId, Incoming),
        out: &mut dyn Outbox,
    ) -> anyhow::Result<()> {
        let authenticated = endpoint.peer(id).context("it has sent something")?;
        let peer = Peer {
            entity: authenticated.entity().clone(),
            point: authenticated.point(),
            role: authenticated.role(),
        };
        let receipt = self.layer.receive(now.monotonic, now.utc, &peer, &request);
        let ticket = match receipt {
            Receipt::Execute(ticket) => ticket,
            Receipt::Pending => return Ok(()),
            Receipt::Repeat(answer) => {
                let answer = exchange::read_answer(answer)?;
                return send_answer(endpoint, now, id, exchange, answer, out);
            }
            Receipt::Refuse(failure) => {
                let refusal = ResponseMessage::refusal(failure, request.message());
                return send_answer(
                    endpoint,
                    now,
                    id,
                    exchange,
                    exchange::response(refusal),
                    out,
                );
            }
        };
        let record = self.records.entry(peer.entity).or_default();
        record.executed += 1;
        let checked = request.message().checked();
        let mut exported = [0; 32];
        endpoint.export(id, b"interop", b"python", &mut exported)?;
        let epochs = endpoint.epochs(id)?;
        let state = json!({
            "executed": record.executed,
            "epochs": [epochs.0, epochs.1],
            "exported": exported.map(|byte| format!("{byte:02x}")).concat(),
            "answer": record.answer,
        });
        let mut parts = ResponseParts::new(ResultCode::OK, checked.request_id.clone());
        parts.content = Some(Content::new(MediaType::Json, state.to_string())?);
        let answer = exchange::response(ResponseMessage::Primitive(Response::new(parts)?));
        self.layer.settle(ticket, exchange::answer(&answer));
        send_answer(endpoint, now, id, exchange, answer, out)?;
        self.run(endpoint, now, id, checked.to, out)
    }

    /// What is to be done after the answer.
    fn run(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        id: AssociationId,
        errand: &str,
        out: &mut dyn Outbox,
    ) -> anyhow::Result<()> {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        match errand {
            "/id-mn/notify" => self.notify(endpoint, now, id, out)?,
            "/id-mn/renew" => endpoint.renew(now, rng, id, out)?,
            "/id-mn/move" => {
                let from = now.monotonic + RENEW_FROM;
                let millis = |span: Duration| span.as_millis() as u64;
                let window = Window::new(millis(from), millis(RENEW_WITHIN));
                endpoint.move_renewal(now, id, window, out)?;
            }
            "/id-mn/close" => endpoint.close(now, id, CloseReason::Done, out)?,
            "/id-mn/call" => {
                let peer = endpoint.peer(id).context("it has sent something")?;
                let (credential, to) = (peer.credential_id(), endpoint.address(id));
                let (to, label) = (to.context("it has an address")?, SessionLabel::default());
                endpoint.connect(now, rng, to, credential, label, out)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A request of the gateway's own.
    fn notify(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        id: AssociationId,
        out: &mut dyn Outbox,
    ) -> anyhow::Result<()> {
        self.exchanges += 1;
        let request_id = RequestId::new(&format!("from-gateway-{}", self.exchanges))?;
        let to = endpoint.peer(id).context("it is established")?.entity();
        let mut parts = RequestParts::new(Operation::Notify, to.to_string(), request_id);
        parts.from = Some(self.local.to_string());
        parts.content = Some(Content::new(
            MediaType::Json,
            r#"{"m2m:sgn":{"vrq":true}}"#,
        )?);
        let message = RequestMessage::Primitive(Request::new(parts)?);
        let request = exchange::request(message, None);
        let limit = endpoint.max_payload(id)?;
        let datagram = Datagram::request(ExchangeId::new(self.exchanges), request, limit)?;
        endpoint.send(now, id, &datagram, out)?;
        Ok(())
    }
}

fn send_answer(
    endpoint: &mut Endpoint,
    now: Now,
    id: AssociationId,
    exchange: ExchangeId,
    answer: refpoint_x::proto::ExchangeResponse,
    out: &mut dyn Outbox,
) -> anyhow::Result<()> {
    let datagram = Datagram::response(exchange, answer, endpoint.max_payload(id)?)?;
    // An association that was closed meanwhile takes no answer.
    let _ = endpoint.send(now, id, &datagram, out);
    Ok(())
}
