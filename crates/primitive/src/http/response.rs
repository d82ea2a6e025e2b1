//! Responses in their HTTP form.

use prost::bytes::Bytes;

use super::header::Headers;
use crate::{Error, RequestId, ResultCode, proto};

/// A response as HTTP carries it (TS-0009, 6.3 and 6.4).
///
/// The result code is that of `X-M2M-RSC`, not of the status; a server that refuses before any oneM2M software is asked
/// (a 401, say) sends neither it nor `X-M2M-RI`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    status: u16,
    headers: Headers,
    body: Bytes,
    reason: Option<Bytes>,
    result_code: Option<ResultCode>,
    request_id: Option<RequestId>,
}

impl HttpResponse {
    /// The most bytes of a reason phrase.
    pub const LONGEST_REASON: usize = 1024;

    /// Takes a response as it is, without a reason phrase.
    ///
    /// # Errors
    /// [`Error`] that names what cannot be read in one way only.
    pub fn new(status: u16, headers: Headers, body: impl Into<Bytes>) -> Result<Self, Error> {
        if !(200..=599).contains(&status) {
            return Err(Error::invalid("status", "write 200 to 599"));
        }
        let result_code = match headers.text("X-M2M-RSC")? {
            Some(text) => {
                let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|number| is_number && *number > 0);
                Some(number.ok_or(Error::invalid("X-M2M-RSC", "write a result code"))?)
            }
            None => None,
        };
        let request_id = headers.text("X-M2M-RI")?.map(RequestId::new).transpose()?;
        Ok(Self {
            status,
            headers,
            body: body.into(),
            reason: None,
            result_code: result_code.map(ResultCode::new),
            request_id,
        })
    }

    /// With the reason phrase that the server wrote, perhaps an empty one.
    ///
    /// # Errors
    /// [`Error`] that names `reason` when it holds control characters, which could end the status line, or is too long.
    pub fn with_reason(mut self, reason: impl Into<Bytes>) -> Result<Self, Error> {
        let reason = reason.into();
        Error::within(reason.len(), Self::LONGEST_REASON, "reason")?;
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if !reason.iter().all(is_text) {
            return Err(Error::invalid(
                "reason",
                "use text without control characters",
            ));
        }
        self.reason = Some(reason);
        Ok(self)
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
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

    /// The reason phrase; none if no server wrote one.
    #[must_use]
    pub const fn reason(&self) -> Option<&Bytes> {
        self.reason.as_ref()
    }

    /// The result code.
    #[must_use]
    pub const fn result_code(&self) -> Option<ResultCode> {
        self.result_code
    }

    /// The identifier of the request that it answers.
    #[must_use]
    pub const fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    pub(crate) fn from_proto(response: proto::HttpResponse) -> Result<Self, Error> {
        let status = u16::try_from(response.status).unwrap_or(0);
        let headers = Headers::from_proto(response.headers)?;
        let taken = Self::new(status, headers, response.body)?;
        match response.reason {
            Some(reason) => taken.with_reason(reason),
            None => Ok(taken),
        }
    }

    pub(crate) fn into_proto(self) -> proto::HttpResponse {
        proto::HttpResponse {
            status: self.status.into(),
            headers: self.headers.into_proto(),
            body: self.body,
            reason: self.reason,
        }
    }
}
