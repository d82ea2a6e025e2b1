//! Request primitives, field by field.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::operation::{EventCategory, Operation, ResourceType, ResponseType, ResultContent};
use crate::{Content, Error, ReleaseVersion, RequestId, Timestamp, proto};

/// What a request says: TS-0004, table 7.2.1-1, whose short names the fields carry. A [`Request`] is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestParts {
    /// `op`: the operation.
    pub operation: Operation,
    /// `to`: the target, 1 to 4096 bytes.
    pub to: String,
    /// `fr`: the originator's id; only the Create of an AE may go without.
    pub from: Option<String>,
    /// `rqi`: the request's identifier.
    pub request_id: RequestId,
    /// `ty`: the type of the resource to make; only on Create, and always there.
    pub resource_type: Option<ResourceType>,
    /// `pc`: content; always on Create, Update and Notify, never on Delete.
    pub content: Option<Content>,
    /// `rids`: role ids.
    pub role_ids: Vec<String>,
    /// `ot`: when the originator made the request.
    pub originating_timestamp: Option<Timestamp>,
    /// `rqet`: when the request expires.
    pub request_expiration: Option<Timestamp>,
    /// `rset`: when the result expires.
    pub result_expiration: Option<Timestamp>,
    /// `oet`: when to execute.
    pub operation_execution_time: Option<Timestamp>,
    /// `rt`: how to answer; absent counts as blocking.
    pub response_type: Option<ResponseType>,
    /// `rp`: how long the result is kept; not on Notify. A duration, a timestamp or milliseconds: kept as text.
    pub result_persistence: Option<String>,
    /// `rcn`: which result content is wanted; not on Notify.
    pub result_content: Option<ResultContent>,
    /// `ec`: how urgent it is.
    pub event_category: Option<EventCategory>,
    /// `da`: whether delivery may be aggregated.
    pub delivery_aggregation: Option<bool>,
    /// `gid`: the group request's identifier.
    pub group_request_id: Option<String>,
    /// `fc`: the filter criteria's elements as names and values, in their order; not on Create.
    pub filter_criteria: Vec<(String, String)>,
    /// `drt`: form of discovery results, 1 structured or 2 unstructured; only on Retrieve.
    pub desired_identifier_result_type: Option<u32>,
    /// `tkns`: access tokens.
    pub tokens: Vec<String>,
    /// `tids`: token ids.
    pub token_ids: Vec<String>,
    /// `ltids`: local token ids.
    pub local_token_ids: Vec<String>,
    /// `tqi`: whether the receiver may ask for tokens.
    pub token_request_indicator: Option<bool>,
    /// `grtm`: the group members that a fan-out shall reach; not on Notify.
    pub group_request_target_members: Vec<String>,
    /// `asi`: whether authorization signatures are offered; not on Notify.
    pub authorization_signature_indicator: Option<bool>,
    /// `aus`: authorization signatures; not on Notify.
    pub authorization_signatures: Vec<String>,
    /// `auri`: whether an authorization relationship is indicated; not on Notify.
    pub authorization_relationship_indicator: Option<bool>,
    /// `sqi`: whether the content is a semantic query; only on Retrieve.
    pub semantic_query_indicator: Option<bool>,
    /// `rvi`: the release whose rules the request follows; absent for release 1.
    pub release_version: Option<ReleaseVersion>,
    /// `vsi`: vendor information.
    pub vendor_information: Option<String>,
}

impl RequestParts {
    /// The parts every request has; everything else is absent.
    #[must_use]
    pub const fn new(operation: Operation, to: String, request_id: RequestId) -> Self {
        Self {
            operation,
            to,
            from: None,
            request_id,
            resource_type: None,
            content: None,
            role_ids: Vec::new(),
            originating_timestamp: None,
            request_expiration: None,
            result_expiration: None,
            operation_execution_time: None,
            response_type: None,
            result_persistence: None,
            result_content: None,
            event_category: None,
            delivery_aggregation: None,
            group_request_id: None,
            filter_criteria: Vec::new(),
            desired_identifier_result_type: None,
            tokens: Vec::new(),
            token_ids: Vec::new(),
            local_token_ids: Vec::new(),
            token_request_indicator: None,
            group_request_target_members: Vec::new(),
            authorization_signature_indicator: None,
            authorization_signatures: Vec::new(),
            authorization_relationship_indicator: None,
            semantic_query_indicator: None,
            release_version: None,
            vendor_information: None,
        }
    }
}

/// A request primitive whose fields go together as TS-0004 says.
///
/// ```
/// use refpoint_primitive::{Operation, Request, RequestId, RequestParts};
///
/// # fn main() -> Result<(), refpoint_primitive::Error> {
/// let id = RequestId::new("r-1")?;
/// let mut parts = RequestParts::new(Operation::Retrieve, "cse-mn/ae1/c1/la".into(), id);
/// parts.from = Some("CSensor1".into());
/// let request = Request::new(parts)?;
/// assert_eq!(request.parts().from.as_deref(), Some("CSensor1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request(Box<RequestParts>);

impl Request {
    /// The longest `to`, in bytes.
    pub const LONGEST_TARGET: usize = 4096;
    /// The most elements of a list.
    pub const MOST_ELEMENTS: usize = 1024;

    /// Makes a request of its parts.
    ///
    /// # Errors
    /// [`Error`] that names the field that its operation needs or does not allow, or that is too long.
    pub fn new(mut parts: RequestParts) -> Result<Self, Error> {
        parts.from = parts.from.filter(|from| !from.is_empty());
        if parts.to.is_empty() {
            return Err(Error::Missing("to"));
        }
        Error::within(parts.to.len(), Self::LONGEST_TARGET, "to")?;
        check_presence(&parts)?;
        for (field, length) in [
            ("rids", parts.role_ids.len()),
            ("fc", parts.filter_criteria.len()),
            ("tkns", parts.tokens.len()),
            ("tids", parts.token_ids.len()),
            ("ltids", parts.local_token_ids.len()),
            ("grtm", parts.group_request_target_members.len()),
            ("aus", parts.authorization_signatures.len()),
        ] {
            Error::within(length, Self::MOST_ELEMENTS, field)?;
        }
        match parts.desired_identifier_result_type {
            None | Some(1 | 2) => Ok(Self(Box::new(parts))),
            Some(_) => Err(Error::invalid("drt", "write 1 or 2")),
        }
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &RequestParts {
        &self.0
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> RequestParts {
        *self.0
    }

    pub(crate) fn from_proto(request: proto::Request) -> Result<Self, Error> {
        let time =
            |text: Option<String>, field| text.map(|text| Timestamp::new(&text, field)).transpose();
        Self::new(RequestParts {
            operation: Operation::from_proto(request.operation)?,
            to: request.to,
            from: request.from,
            request_id: RequestId::new(&request.request_id)?,
            resource_type: request.resource_type.map(ResourceType::new),
            content: request.content.map(Content::from_proto).transpose()?,
            role_ids: request.role_ids,
            originating_timestamp: time(request.originating_timestamp, "ot")?,
            request_expiration: time(request.request_expiration, "rqet")?,
            result_expiration: time(request.result_expiration, "rset")?,
            operation_execution_time: time(request.operation_execution_time, "oet")?,
            response_type: request
                .response_type
                .map(ResponseType::from_proto)
                .transpose()?,
            result_persistence: request.result_persistence,
            result_content: request.result_content.map(ResultContent::new),
            event_category: request.event_category.map(EventCategory::new).transpose()?,
            delivery_aggregation: request.delivery_aggregation,
            group_request_id: request.group_request_id,
            filter_criteria: request
                .filter_criteria
                .into_iter()
                .map(|criterion| (criterion.name, criterion.value))
                .collect(),
            desired_identifier_result_type: request.desired_identifier_result_type,
            tokens: request.tokens,
            token_ids: request.token_ids,
            local_token_ids: request.local_token_ids,
            token_request_indicator: request.token_request_indicator,
            group_request_target_members: request.group_request_target_members,
            authorization_signature_indicator: request.authorization_signature_indicator,
            authorization_signatures: request.authorization_signatures,
            authorization_relationship_indicator: request.authorization_relationship_indicator,
            semantic_query_indicator: request.semantic_query_indicator,
            release_version: request
                .release_version
                .map(|text| ReleaseVersion::new(&text))
                .transpose()?,
            vendor_information: request.vendor_information,
        })
    }

    pub(crate) fn into_proto(self) -> proto::Request {
        let parts = *self.0;
        let time = |time: Option<Timestamp>| time.map(|time| time.as_str().into());
        proto::Request {
            operation: parts.operation.code().into(),
            to: parts.to,
            from: parts.from,
            request_id: parts.request_id.as_str().into(),
            resource_type: parts.resource_type.map(ResourceType::number),
            content: parts.content.map(Content::into_proto),
            role_ids: parts.role_ids,
            originating_timestamp: time(parts.originating_timestamp),
            request_expiration: time(parts.request_expiration),
            result_expiration: time(parts.result_expiration),
            operation_execution_time: time(parts.operation_execution_time),
            response_type: parts.response_type.map(ResponseType::into_proto),
            result_persistence: parts.result_persistence,
            result_content: parts.result_content.map(ResultContent::number),
            event_category: parts.event_category.map(EventCategory::number),
            delivery_aggregation: parts.delivery_aggregation,
            group_request_id: parts.group_request_id,
            filter_criteria: parts
                .filter_criteria
                .into_iter()
                .map(|(name, value)| proto::FilterCriterion { name, value })
                .collect(),
            desired_identifier_result_type: parts.desired_identifier_result_type,
            tokens: parts.tokens,
            token_ids: parts.token_ids,
            local_token_ids: parts.local_token_ids,
            token_request_indicator: parts.token_request_indicator,
            group_request_target_members: parts.group_request_target_members,
            authorization_signature_indicator: parts.authorization_signature_indicator,
            authorization_signatures: parts.authorization_signatures,
            authorization_relationship_indicator: parts.authorization_relationship_indicator,
            semantic_query_indicator: parts.semantic_query_indicator,
            release_version: parts.release_version.map(|version| version.as_str().into()),
            vendor_information: parts.vendor_information,
        }
    }
}

// TS-0004, table 7.2.1-1: which operation carries what.
fn check_presence(parts: &RequestParts) -> Result<(), Error> {
    use Operation::{Create, Delete, Notify, Retrieve, Update};
    let operation = parts.operation;
    let needed = [
        ("ty", parts.resource_type.is_some(), operation == Create),
        (
            "pc",
            parts.content.is_some(),
            matches!(operation, Create | Update | Notify),
        ),
    ];
    for (field, is_there, is_needed) in needed {
        if is_needed && !is_there {
            return Err(Error::Missing(field));
        }
    }
    let not_notify = operation != Notify;
    let retrieve = operation == Retrieve;
    let allowed = [
        ("ty", parts.resource_type.is_some(), operation == Create),
        ("pc", parts.content.is_some(), operation != Delete),
        ("rp", parts.result_persistence.is_some(), not_notify),
        ("rcn", parts.result_content.is_some(), not_notify),
        (
            "fc",
            !parts.filter_criteria.is_empty(),
            matches!(operation, Retrieve | Update | Delete | Notify),
        ),
        (
            "drt",
            parts.desired_identifier_result_type.is_some(),
            retrieve,
        ),
        (
            "grtm",
            !parts.group_request_target_members.is_empty(),
            not_notify,
        ),
        (
            "asi",
            parts.authorization_signature_indicator.is_some(),
            not_notify,
        ),
        (
            "aus",
            !parts.authorization_signatures.is_empty(),
            not_notify,
        ),
        (
            "auri",
            parts.authorization_relationship_indicator.is_some(),
            not_notify,
        ),
        ("sqi", parts.semantic_query_indicator.is_some(), retrieve),
    ];
    for (field, is_there, is_allowed) in allowed {
        if is_there && !is_allowed {
            return Err(Error::Unexpected(field));
        }
    }
    Ok(())
}
