//! Response primitives, field by field.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::operation::EventCategory;
use crate::{Content, Error, ReleaseVersion, RequestId, ResultCode, Timestamp, proto};

/// Whether content is whole (TS-0004, m2m:contentStatus; short name `cnst`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentStatus {
    /// A part.
    Partial,
    /// All.
    Full,
}

/// What a response says: TS-0004, table 7.2.1-2, whose short names the fields carry. A [`Response`] is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseParts {
    /// `rsc`: the result code.
    pub result_code: ResultCode,
    /// `rqi`: the identifier of the request that this answers.
    pub request_id: RequestId,
    /// `pc`: content.
    pub content: Option<Content>,
    /// `to`: who is answered.
    pub to: Option<String>,
    /// `fr`: who answers.
    pub from: Option<String>,
    /// `ot`: when the response was made.
    pub originating_timestamp: Option<Timestamp>,
    /// `rset`: when the result expires.
    pub result_expiration: Option<Timestamp>,
    /// `ec`: how urgent it is.
    pub event_category: Option<EventCategory>,
    /// `cnst`: whether the content is whole.
    pub content_status: Option<ContentStatus>,
    /// `cnot`: where a partial content goes on, greater than 0.
    pub content_offset: Option<u32>,
    /// `ati`: local token ids and the ids of the tokens they now stand for.
    pub assigned_tokens: Vec<(String, String)>,
    /// `tqf`: what to ask a token authority for.
    pub token_request_information: Option<Content>,
    /// `asri`: whether authorization signatures are asked for.
    pub authorization_signature_request: Option<bool>,
    /// `rvi`: the release whose rules the response follows; absent for release 1.
    pub release_version: Option<ReleaseVersion>,
    /// `vsi`: vendor information.
    pub vendor_information: Option<String>,
}

impl ResponseParts {
    /// The parts every response has; everything else is absent.
    #[must_use]
    pub const fn new(result_code: ResultCode, request_id: RequestId) -> Self {
        Self {
            result_code,
            request_id,
            content: None,
            to: None,
            from: None,
            originating_timestamp: None,
            result_expiration: None,
            event_category: None,
            content_status: None,
            content_offset: None,
            assigned_tokens: Vec::new(),
            token_request_information: None,
            authorization_signature_request: None,
            release_version: None,
            vendor_information: None,
        }
    }
}

/// A response primitive whose fields go together as TS-0004 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(Box<ResponseParts>);

impl Response {
    /// The most elements of a list.
    pub const MOST_ELEMENTS: usize = 1024;

    /// Makes a response of its parts.
    ///
    /// # Errors
    /// [`Error`] that names the field that is not valid or too long.
    pub fn new(parts: ResponseParts) -> Result<Self, Error> {
        if parts.result_code.number() == 0 {
            return Err(Error::Missing("rsc"));
        }
        if parts.content_offset == Some(0) {
            return Err(Error::invalid("cnot", "write a number above 0"));
        }
        Error::within(parts.assigned_tokens.len(), Self::MOST_ELEMENTS, "ati")?;
        Ok(Self(Box::new(parts)))
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &ResponseParts {
        &self.0
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> ResponseParts {
        *self.0
    }

    pub(crate) fn from_proto(response: proto::Response) -> Result<Self, Error> {
        use proto::ContentStatus as Status;
        let time =
            |text: Option<String>, field| text.map(|text| Timestamp::new(&text, field)).transpose();
        Self::new(ResponseParts {
            result_code: ResultCode::new(response.result_code),
            request_id: RequestId::new(&response.request_id)?,
            content: response.content.map(Content::from_proto).transpose()?,
            to: response.to,
            from: response.from,
            originating_timestamp: time(response.originating_timestamp, "ot")?,
            result_expiration: time(response.result_expiration, "rset")?,
            event_category: response
                .event_category
                .map(EventCategory::new)
                .transpose()?,
            content_status: match Status::try_from(response.content_status) {
                Ok(Status::Unspecified) => None,
                Ok(Status::Partial) => Some(ContentStatus::Partial),
                Ok(Status::Full) => Some(ContentStatus::Full),
                Err(_) => return Err(Error::invalid("cnst", "write 1 or 2")),
            },
            content_offset: response.content_offset,
            assigned_tokens: response
                .assigned_tokens
                .into_iter()
                .map(|token| (token.local_token_id, token.token_id))
                .collect(),
            token_request_information: response
                .token_request_information
                .map(Content::from_proto)
                .transpose()?,
            authorization_signature_request: response.authorization_signature_request,
            release_version: response
                .release_version
                .map(|text| ReleaseVersion::new(&text))
                .transpose()?,
            vendor_information: response.vendor_information,
        })
    }

    pub(crate) fn into_proto(self) -> proto::Response {
        use proto::ContentStatus as Status;
        let parts = *self.0;
        let time = |time: Option<Timestamp>| time.map(|time| time.as_str().into());
        let content_status = match parts.content_status {
            None => Status::Unspecified,
            Some(ContentStatus::Partial) => Status::Partial,
            Some(ContentStatus::Full) => Status::Full,
        };
        proto::Response {
            result_code: parts.result_code.number(),
            request_id: parts.request_id.as_str().into(),
            content: parts.content.map(Content::into_proto),
            to: parts.to,
            from: parts.from,
            originating_timestamp: time(parts.originating_timestamp),
            result_expiration: time(parts.result_expiration),
            event_category: parts.event_category.map(EventCategory::number),
            content_status: content_status.into(),
            content_offset: parts.content_offset,
            assigned_tokens: parts
                .assigned_tokens
                .into_iter()
                .map(|(local_token_id, token_id)| proto::AssignedToken {
                    local_token_id,
                    token_id,
                })
                .collect(),
            token_request_information: parts.token_request_information.map(Content::into_proto),
            authorization_signature_request: parts.authorization_signature_request,
            release_version: parts.release_version.map(|version| version.as_str().into()),
            vendor_information: parts.vendor_information,
        }
    }
}
