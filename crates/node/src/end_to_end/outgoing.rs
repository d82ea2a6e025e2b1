//! What the AE creates, sealed.

use core::time::Duration;
use std::sync::Arc;

use refpoint_association::Suite;
use refpoint_e2e::{Delivery, Group, Inner, InnerForm, MAX_OBJECT_CONTENT, Outer, Sealed};
use refpoint_primitive::{
    Content, Header, Headers, HttpRequest, HttpResponse, MediaType, ReleaseVersion,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::instance::Attributes;
use super::refused::Refused;
use super::{EndToEnd, asking, instance};
use crate::carrier::Carrier;
use crate::config::{Form, SealedResource};
use crate::{clock, entropy, utc};

/// So often an AE that waits for a session looks whether it is there.
const AWAITED: Duration = Duration::from_millis(100);

/// What several receivers' content is sealed with.
const SUITE: Suite = Suite::ChaChaPoly;

impl EndToEnd {
    /// Seals the contentInstance that `request` creates, and gives the AE the answer that it would have had.
    pub(super) async fn create<C: Carrier>(
        self: &Arc<Self>,
        carrier: &C,
        request: &HttpRequest,
        resource: &SealedResource,
    ) -> Result<HttpResponse, Refused> {
        if resource.to.is_empty() || !is_json(request.headers()) {
            return Err(Refused::Form);
        }
        let own = instance::parse(request.body()).ok_or(Refused::Form)?;
        let sealed = match resource.form {
            Form::Object => self.object(carrier, request, resource).await?,
            Form::Session => self.letter(request, resource).await?,
        };
        let (outer, id) = outer(request, sealed)?;
        let carried =
            instance::parse(outer.body()).ok_or(Refused::Unreadable("what was sealed"))?;
        let response = asking::exchange(carrier, outer).await;
        let response = response.map_err(Refused::Peer)?;
        if response
            .request_id()
            .is_some_and(|answered| *answered != id)
        {
            return Err(Refused::Peer(refpoint_primitive::Failure::UnusableAnswer));
        }
        answer(request, &response, |attributes| {
            // The only content that may come back is what went.
            if attributes.get("con") != carried.get("con") {
                return Err(Refused::Plain);
            }
            instance::put(attributes, &as_content(&own)?)
        })
    }

    /// What `request` creates, as an object for one receiver, or for several.
    async fn object<C: Carrier>(
        &self,
        carrier: &C,
        request: &HttpRequest,
        resource: &SealedResource,
    ) -> Result<Sealed, Refused> {
        let mut receivers = Vec::with_capacity(resource.to.len());
        for entity in &resource.to {
            let known = self.contact(entity);
            let known = known.ok_or(Refused::NoPreKey("the receiver is no contact"))?;
            receivers.push((known, self.recipient(carrier, known).await?));
        }
        let (now, inner) = (utc::now(), inner(request, resource)?);
        let deliveries: Vec<_> = receivers
            .iter()
            .map(|(known, recipient)| Delivery {
                recipient,
                key: known.key.as_deref(),
                target: &resource.target,
                expires: inner.expires,
            })
            .collect();
        let rng = &mut entropy::system();
        let inner = inner.encode();
        let fits = self.settings.padding.padded_len(inner.len()) <= MAX_OBJECT_CONTENT;
        Ok(match deliveries.as_slice() {
            [one] if fits => Sealed::Object(self.sealer.seal(now, rng, one, &inner)?),
            all => {
                let with = (self.backend, SUITE);
                Sealed::Group(Group::seal(&self.sealer, now, rng, with, all, &inner)?)
            }
        })
    }

    /// What `request` creates, as a letter; begins a session if there is none, and waits for the other end as long as
    /// the AE does.
    async fn letter(
        &self,
        request: &HttpRequest,
        resource: &SealedResource,
    ) -> Result<Sealed, Refused> {
        let peer = resource.to.first().ok_or(Refused::NoSession)?;
        let inner = inner(request, resource)?;
        let until = Instant::now() + self.patience.mul_f32(0.75);
        loop {
            let sent = self.state().letters.send(clock::now(), peer, &inner)?;
            if let Some(packet) = sent {
                return Ok(Sealed::Packet(packet));
            }
            if Instant::now() >= until {
                return Err(Refused::NoSession);
            }
            self.posted.notify_one();
            sleep(AWAITED).await;
        }
    }
}

/// What is sealed of `request`: the contentInstance as the AE wrote it.
fn inner(request: &HttpRequest, resource: &SealedResource) -> Result<Inner, Refused> {
    let content = Content::new(MediaType::Json, request.body().clone());
    Ok(Inner {
        target: resource.target.clone(),
        request_id: request.request_id().clone(),
        expires: utc::now().saturating_add(resource.expires),
        form: InnerForm::Content(content.map_err(refpoint_e2e::Error::from)?),
    })
}

/// The request that carries what was sealed: all that nodes in between are told.
fn outer(
    request: &HttpRequest,
    sealed: Sealed,
) -> Result<(HttpRequest, refpoint_primitive::RequestId), Refused> {
    let id = asking::new_id()?;
    let release = match request.release_version() {
        Some(release) => release.clone(),
        None => ReleaseVersion::new(asking::RELEASE).map_err(refpoint_e2e::Error::from)?,
    };
    let from = request.from().unwrap_or_default();
    let outer = Outer {
        to: request.to().to_owned(),
        from: from.to_owned(),
        request_id: id.clone(),
        expiration: request.expiration().cloned(),
        release_version: release.clone(),
    };
    let outer = outer.content_instance(&instance::to_base64(&sealed.encode()))?;
    let body = outer.parts().content.as_ref().map(Content::data).cloned();
    let path = request.target().split(|byte| *byte == b'?').next();
    let mut lines = vec![
        ("X-M2M-Origin", from),
        ("X-M2M-RI", id.as_str()),
        ("X-M2M-RVI", release.as_str()),
        ("Content-Type", "application/json;ty=4"),
        ("Accept", "application/json"),
    ];
    if let Some(expiration) = request.expiration() {
        lines.push(("X-M2M-RET", expiration.as_str()));
    }
    let path = path.unwrap_or_default().to_vec();
    let http = asking::request("POST", path, &lines, body.unwrap_or_default());
    Ok((http.map_err(refpoint_e2e::Error::from)?, id))
}

/// The answer to `request` that the AE gets for `response`: with its own identifier, and every content as `each` makes it.
pub(super) fn answer(
    request: &HttpRequest,
    response: &HttpResponse,
    mut each: impl FnMut(&mut Attributes) -> Result<(), Refused>,
) -> Result<HttpResponse, Refused> {
    let mut body = response.body().clone();
    if !body.is_empty() {
        let parsed = serde_json::from_slice::<Value>(&body);
        match parsed {
            Ok(mut value) => {
                instance::each_with_content(&mut value, &mut each)?;
                body = value.to_string().into();
            }
            // What a CSE says when it refuses is no content, and need not be JSON.
            Err(_) if response.status() >= 400 => {}
            Err(_) => return Err(Refused::Unreadable("the answer")),
        }
    }
    let headers = rewritten(response.headers(), body.len(), Some(request))?;
    let rewritten = HttpResponse::new(response.status(), headers, body);
    let rewritten = rewritten.map_err(refpoint_e2e::Error::from)?;
    Ok(match response.reason() {
        Some(reason) => {
            let reason = rewritten.with_reason(reason.clone());
            reason.map_err(refpoint_e2e::Error::from)?
        }
        None => rewritten,
    })
}

/// The headers of a message whose body has changed, and, if it answers `request`, with that one's identifier.
pub(super) fn rewritten(
    headers: &Headers,
    length: usize,
    request: Option<&HttpRequest>,
) -> Result<Headers, Refused> {
    let lines = headers.iter().map(|header| {
        let name = header.name().clone();
        match request {
            _ if header.is("Content-Length") => Header::new(name, length.to_string()),
            Some(request) if header.is("X-M2M-RI") => {
                Header::new(name, request.request_id().as_str().to_owned())
            }
            _ => Ok(header.clone()),
        }
    });
    let lines: Result<Vec<_>, _> = lines.collect();
    Ok(lines
        .and_then(Headers::new)
        .map_err(refpoint_e2e::Error::from)?)
}

fn is_json(headers: &Headers) -> bool {
    let media_type = headers.value("Content-Type");
    let media_type = media_type.and_then(|value| value.split(|byte| *byte == b';').next());
    media_type.is_some_and(|name| name.trim_ascii().ends_with(b"json"))
}

fn as_content(own: &Attributes) -> Result<Content, Refused> {
    let body = serde_json::json!({ "m2m:cin": own }).to_string();
    Ok(Content::new(MediaType::Json, body).map_err(refpoint_e2e::Error::from)?)
}
