//! Requests in their HTTP form.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;

use prost::bytes::Bytes;

use super::header::Headers;
use super::{media_type, target};
use crate::{Error, Operation, ReleaseVersion, RequestId, ResourceType, Timestamp, proto};

/// A request as HTTP carries it, and what it says to a CSE (TS-0009, 6.2 and 6.4).
///
/// | derived | from |
/// |---|---|
/// | operation | the method; POST with `ty` is Create, without is Notify |
/// | to | the path |
/// | from | `X-M2M-Origin` |
/// | request id | `X-M2M-RI` |
/// | resource type | `ty` in `Content-Type` |
/// | request expiration | `X-M2M-RET` |
/// | release version | `X-M2M-RVI` |
///
/// ```
/// use refpoint_primitive::{Header, Headers, HttpRequest, Operation, ResourceType};
///
/// # fn main() -> Result<(), refpoint_primitive::Error> {
/// let headers = Headers::new(vec![
///     Header::new("X-M2M-Origin", "CSensor1")?,
///     Header::new("X-M2M-RI", "r1")?,
///     Header::new("Content-Type", "application/json;ty=2")?,
/// ])?;
/// let request = HttpRequest::new("POST", "/~/id-mn/cse-mn", headers, "{}")?;
/// assert_eq!(request.operation(), Operation::Create);
/// assert_eq!(request.resource_type(), Some(ResourceType::AE));
/// assert_eq!((request.from(), request.to()), (Some("CSensor1"), "/id-mn/cse-mn"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    method: Bytes,
    target: Bytes,
    headers: Headers,
    body: Bytes,
    derived: Box<Derived>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Derived {
    operation: Operation,
    to: String,
    from: Option<String>,
    request_id: RequestId,
    resource_type: Option<ResourceType>,
    expiration: Option<Timestamp>,
    release_version: Option<ReleaseVersion>,
}

impl HttpRequest {
    /// Takes a request as it is.
    ///
    /// # Errors
    /// [`Error`] that names what is absent or cannot be read in one way only.
    pub fn new(
        method: impl Into<Bytes>,
        target: impl Into<Bytes>,
        headers: Headers,
        body: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        let (method, target, body) = (method.into(), target.into(), body.into());
        if let Some(length) = headers.text("Content-Length")?
            && length.parse() != Ok(body.len())
        {
            return Err(Error::invalid(
                "Content-Length",
                "write the length of the body",
            ));
        }
        let resource_type = match headers.text("Content-Type")? {
            Some(content_type) if &method[..] == b"POST" => {
                media_type::resource_type(content_type)?
            }
            _ => None,
        };
        let request_id = headers
            .text("X-M2M-RI")?
            .ok_or(Error::Missing("X-M2M-RI"))?;
        let expiration = headers.text("X-M2M-RET")?;
        let derived = Box::new(Derived {
            operation: match (&method[..], resource_type) {
                (b"POST", Some(_)) => Operation::Create,
                (b"POST", None) => Operation::Notify,
                (b"GET", _) => Operation::Retrieve,
                (b"PUT", _) => Operation::Update,
                (b"DELETE", _) => Operation::Delete,
                _ => return Err(Error::invalid("method", "use get, post, put or delete")),
            },
            to: target::to(&target)?,
            from: headers.text("X-M2M-Origin")?.map(ToOwned::to_owned),
            request_id: RequestId::new(request_id)?,
            resource_type,
            expiration: expiration
                .map(|text| Timestamp::new(text, "X-M2M-RET"))
                .transpose()?,
            release_version: headers
                .text("X-M2M-RVI")?
                .map(ReleaseVersion::new)
                .transpose()?,
        });
        Ok(Self {
            method,
            target,
            headers,
            body,
            derived,
        })
    }

    /// The method, as it was written.
    #[must_use]
    pub const fn method(&self) -> &Bytes {
        &self.method
    }

    /// The request target, path and query, as it was written.
    #[must_use]
    pub const fn target(&self) -> &Bytes {
        &self.target
    }

    /// The header lines.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// What it asks for.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.derived.operation
    }

    /// Its target, as the parameter To; empty for the path `/`, which only addresses of notifications have.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.derived.to
    }

    /// Who it says it is from; an empty header counts as absent.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.derived.from.as_deref()
    }

    /// Its identifier.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.derived.request_id
    }

    /// The type of the resource that a Create makes.
    #[must_use]
    pub fn resource_type(&self) -> Option<ResourceType> {
        self.derived.resource_type
    }

    /// When it expires.
    #[must_use]
    pub fn expiration(&self) -> Option<&Timestamp> {
        self.derived.expiration.as_ref()
    }

    /// The release whose rules it follows.
    #[must_use]
    pub fn release_version(&self) -> Option<&ReleaseVersion> {
        self.derived.release_version.as_ref()
    }

    pub(crate) fn from_proto(request: proto::HttpRequest) -> Result<Self, Error> {
        let headers = Headers::from_proto(request.headers)?;
        Self::new(request.method, request.target, headers, request.body)
    }

    pub(crate) fn into_proto(self) -> proto::HttpRequest {
        proto::HttpRequest {
            method: self.method,
            target: self.target,
            headers: self.headers.into_proto(),
            body: self.body,
        }
    }
}
