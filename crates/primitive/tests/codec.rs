//! Messages survive encoding, and no bytes make decoding panic.

use proptest::prelude::*;
use refpoint_primitive::{
    Bytes, Content, ContentStatus, EventCategory, Header, Headers, HttpRequest, HttpResponse,
    Incoming, MediaType, Operation, ReleaseVersion, Request, RequestId, RequestMessage,
    RequestParts, ResourceType, Response, ResponseMessage, ResponseParts, ResponseType, ResultCode,
    ResultContent, Timestamp, proto,
};

fn content() -> impl Strategy<Value = Content> {
    let media_type = prop_oneof![
        Just(MediaType::Json),
        Just(MediaType::Cbor),
        Just(MediaType::Xml),
        "[a-z]{1,8}/[a-z+.-]{1,16}".prop_map(MediaType::Other),
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..64);
    (media_type, data).prop_map(|(media_type, data)| {
        Content::new(media_type, data).expect("media types are well formed")
    })
}

fn request_id() -> impl Strategy<Value = RequestId> {
    "[!-~]{1,40}".prop_map(|text| RequestId::new(&text).expect("it is visible"))
}

fn release() -> impl Strategy<Value = ReleaseVersion> {
    "[0-9][a-z]?".prop_map(|text| ReleaseVersion::new(&text).expect("it is visible"))
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof!["[0-9]{1,9}", Just("20261123T080500,123".to_owned())]
        .prop_map(|text| Timestamp::new(&text, "rqet").expect("it is a time"))
}

fn response_type() -> impl Strategy<Value = ResponseType> {
    prop_oneof![
        Just(ResponseType::NonBlockingSynch),
        proptest::collection::vec("[a-z/:]{1,20}", 0..3).prop_map(ResponseType::NonBlockingAsynch),
        Just(ResponseType::Blocking),
        Just(ResponseType::FlexBlocking),
        Just(ResponseType::NoResponse),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    use proptest::option::of;
    let first = (
        0..5_usize,
        "[!-~]{1,40}",
        of(".{1,40}"),
        request_id(),
        content(),
        any::<u32>(),
    );
    let second = (
        of(time()),
        of(time()),
        of(response_type()),
        of(release()),
        of(".{0,20}"),
    );
    let third = (
        of(any::<i32>()),
        of(2..=4_u32),
        of(any::<bool>()),
        proptest::collection::vec(".{0,9}", 0..4),
    );
    (first, second, third).prop_map(|(first, second, third)| {
        let operation = Operation::ALL[first.0];
        let mut parts = RequestParts::new(operation, first.1, first.3);
        parts.from = first.2;
        parts.resource_type = (operation == Operation::Create).then(|| ResourceType::new(first.5));
        parts.content = (operation != Operation::Delete).then_some(first.4);
        parts.originating_timestamp = second.0;
        parts.request_expiration = second.1;
        parts.response_type = second.2;
        parts.release_version = second.3;
        parts.vendor_information = second.4;
        if operation != Operation::Notify {
            parts.result_content = third.0.map(ResultContent::new);
            parts.authorization_signatures.clone_from(&third.3);
        }
        if operation == Operation::Retrieve {
            parts.semantic_query_indicator = third.2;
            let elements = third.3.iter().map(|value| ("lbl".into(), value.clone()));
            parts.filter_criteria = elements.collect();
        }
        parts.event_category = third
            .1
            .map(|number| EventCategory::new(number).expect("in range"));
        parts.delivery_aggregation = third.2;
        parts.tokens = third.3;
        Request::new(parts).expect("the fields go together")
    })
}

fn response() -> impl Strategy<Value = Response> {
    use proptest::option::of;
    let first = (
        1..9999_i32,
        request_id(),
        of(content()),
        of(".{0,20}"),
        of(release()),
    );
    let second = (0..3_u8, of(1..u32::MAX), of(any::<bool>()), of(content()));
    (first, second).prop_map(|(first, second)| {
        let mut parts = ResponseParts::new(ResultCode::new(first.0), first.1);
        parts.content = first.2;
        parts.to.clone_from(&first.3);
        parts.from = first.3;
        parts.release_version = first.4;
        parts.content_status = match second.0 {
            0 => None,
            1 => Some(ContentStatus::Partial),
            _ => Some(ContentStatus::Full),
        };
        parts.content_offset = second.1;
        parts.authorization_signature_request = second.2;
        parts.token_request_information = second.3;
        parts.assigned_tokens = vec![("lt".into(), "tk".into())];
        Response::new(parts).expect("the fields go together")
    })
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    let header = ("[A-W][a-z]{1,10}", "[!-~]([ -~]{0,20}[!-~])?").prop_filter_map(
        "these belong to one connection or mean something",
        |(name, value)| {
            let header = Header::new(name, value).ok()?;
            Headers::new(vec![header.clone()]).ok().map(|_| header)
        },
    );
    proptest::collection::vec(header, 0..5)
}

fn http_request() -> impl Strategy<Value = HttpRequest> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE")];
    let body = proptest::collection::vec(any::<u8>(), 0..64);
    (
        method,
        "/[a-z~_/]{1,20}(\\?[a-z=&+]{0,20})?",
        headers(),
        "[!-~]{1,20}",
        body,
    )
        .prop_filter_map(
            "two slashes first are ambiguous",
            |(method, target, mut headers, id, body)| {
                headers.push(Header::new("X-M2M-RI", id).expect("it is visible"));
                HttpRequest::new(method, target, Headers::new(headers).ok()?, body).ok()
            },
        )
}

fn http_response() -> impl Strategy<Value = HttpResponse> {
    let body = proptest::collection::vec(any::<u8>(), 0..64);
    let reason = proptest::option::of("[ -~\t]{0,20}");
    (200..600_u16, headers(), body, reason).prop_map(|(status, headers, body, reason)| {
        let headers = Headers::new(headers).expect("they were filtered");
        let response =
            HttpResponse::new(status, headers, body).expect("no checked header is there");
        match reason {
            Some(reason) => response.with_reason(reason).expect("it is text"),
            None => response,
        }
    })
}

proptest! {
    #[test]
    fn requests_come_back_as_they_were(
        message in prop_oneof![
            request().prop_map(RequestMessage::Primitive),
            http_request().prop_map(RequestMessage::Http),
        ]
    ) {
        let digest = message.digest();
        let back = RequestMessage::decode(message.clone().encode()).expect("it was encoded");
        prop_assert_eq!(&back, &message);
        prop_assert_eq!(back.digest(), digest);
    }

    #[test]
    fn responses_come_back_as_they_were(
        message in prop_oneof![
            response().prop_map(ResponseMessage::Primitive),
            http_response().prop_map(ResponseMessage::Http),
        ]
    ) {
        let back = ResponseMessage::decode(message.clone().encode()).expect("it was encoded");
        prop_assert_eq!(back, message);
    }

    #[test]
    fn different_requests_have_different_digests(one in http_request(), other in http_request()) {
        let (one, other) = (RequestMessage::Http(one), RequestMessage::Http(other));
        prop_assert_eq!(one == other, one.digest() == other.digest());
    }

    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        if let Ok(message) = RequestMessage::decode(bytes.clone()) {
            let again = RequestMessage::decode(message.clone().encode());
            prop_assert_eq!(again.as_ref(), Ok(&message));
        }
        if let Ok(message) = ResponseMessage::decode(bytes) {
            let again = ResponseMessage::decode(message.clone().encode());
            prop_assert_eq!(again.as_ref(), Ok(&message));
        }
    }
}

#[test]
fn a_message_without_a_form_is_refused_by_name() {
    let refused = RequestMessage::from_proto(proto::RequestMessage::default());
    assert_eq!(refused, Err(refpoint_primitive::Error::Missing("form")));
}

#[test]
fn an_unreadable_request_is_refused_under_its_own_identifier() {
    let header = |name: &'static str, value: &'static str| proto::HttpHeader {
        name: name.into(),
        value: value.into(),
    };
    let http = proto::HttpRequest {
        method: "GET".into(),
        target: "/".into(),
        headers: vec![
            header("X-M2M-RI", "r7"),
            header("X-M2M-Origin", "CSensor1"),
            header("X-M2M-Origin", "CAdmin"),
        ],
        body: Bytes::new(),
    };
    let form = Some(proto::request_message::Form::Http(http));
    let refused = Incoming::from_proto(Some(proto::RequestMessage { form }), 0);
    let refusal = refused.expect_err("an origin is repeated").refusal;
    assert_eq!(refusal.request_id().map(RequestId::as_str), Some("r7"));
    assert_eq!(refusal.result_code(), Some(ResultCode::BAD_REQUEST));
}
