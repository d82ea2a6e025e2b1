//! What is derived from the carried HTTP form, and what is refused because two readers could derive different things.

use refpoint_primitive::{
    Error, Header, Headers, HttpRequest, HttpResponse, Operation, RequestMessage, ResourceType,
    ResultCode,
};

type Lines<'a> = &'a [(&'static str, &'static str)];

const USUAL: [(&str, &str); 2] = [("X-M2M-Origin", "CSensor1"), ("X-M2M-RI", "r1")];

fn headers(lines: Lines<'_>) -> Result<Headers, Error> {
    let lines = lines.iter().map(|(name, value)| Header::new(*name, *value));
    Headers::new(lines.collect::<Result<_, _>>()?)
}

fn request(
    method: &'static str,
    target: &'static str,
    lines: Lines<'_>,
) -> Result<HttpRequest, Error> {
    HttpRequest::new(method, target, headers(lines)?, "")
}

fn with(line: (&'static str, &'static str)) -> Result<HttpRequest, Error> {
    let [origin, id] = USUAL;
    request("GET", "/cse-mn", &[origin, id, line])
}

#[test]
fn the_method_and_ty_give_the_operation() {
    for (method, content_type, operation) in [
        ("POST", Some("application/json;ty=4"), Operation::Create),
        (
            "POST",
            Some("application/vnd.onem2m-ntfy+json"),
            Operation::Notify,
        ),
        ("POST", None, Operation::Notify),
        ("GET", None, Operation::Retrieve),
        ("GET", Some("application/json;ty=4"), Operation::Retrieve),
        ("PUT", Some("application/json"), Operation::Update),
        ("DELETE", None, Operation::Delete),
    ] {
        let mut lines = USUAL.to_vec();
        lines.extend(content_type.map(|value| ("Content-Type", value)));
        let request = request(method, "/cse-mn", &lines).expect("it is well formed");
        assert_eq!(request.operation(), operation, "{method} {content_type:?}");
        let is_create = operation == Operation::Create;
        let expected = is_create.then_some(ResourceType::CONTENT_INSTANCE);
        assert_eq!(
            request.resource_type(),
            expected,
            "{method} {content_type:?}"
        );
    }
}

#[test]
fn other_methods_are_refused() {
    for method in ["HEAD", "PATCH", "get", "", "POST\r\nX: y"] {
        assert!(request(method, "/cse-mn", &USUAL).is_err(), "{method}");
    }
}

#[test]
fn the_checked_fields_are_those_of_the_headers() {
    let request = with(("x-m2m-rvi", "4")).expect("it is well formed");
    let message = RequestMessage::Http(request);
    let checked = message.checked();
    assert_eq!(checked.from, Some("CSensor1"));
    assert_eq!(checked.request_id.as_str(), "r1");
    assert_eq!(
        checked.release_version.map(|version| version.as_str()),
        Some("4")
    );
    assert_eq!(checked.to, "cse-mn");
}

#[test]
fn an_empty_origin_is_an_absent_one() {
    let lines = [("X-M2M-Origin", ""), ("X-M2M-RI", "r1")];
    let request = request("GET", "/", &lines).expect("it is well formed");
    assert_eq!(request.from(), None);
}

#[test]
fn a_request_without_an_identifier_is_refused() {
    let refused = request("GET", "/", &[("X-M2M-Origin", "CSensor1")]);
    assert_eq!(refused, Err(Error::Missing("X-M2M-RI")));
}

#[test]
fn a_repeated_header_is_refused_in_any_case() {
    for (name, named) in [
        ("X-M2M-Origin", "X-M2M-Origin"),
        ("x-m2m-origin", "X-M2M-Origin"),
        ("X-M2M-RI", "X-M2M-RI"),
    ] {
        assert_eq!(
            with((name, "CAdmin")),
            Err(Error::Repeated(named)),
            "{name}"
        );
    }
    let [origin, id] = USUAL;
    for name in [
        "Content-Type",
        "X-M2M-RSC",
        "Host",
        "Authorization",
        "X-M2M-Later",
    ] {
        let refused = headers(&[origin, id, (name, "1"), (name, "2")]);
        assert!(matches!(refused, Err(Error::Repeated(_))), "{name}");
    }
}

#[test]
fn a_name_that_a_server_could_take_for_a_checked_one_is_refused() {
    for name in [
        "X_M2M_Origin",
        "X-M2M_Origin",
        "x.m2m.origin",
        "Content_Type",
        "X_M2M_Later",
    ] {
        assert!(with((name, "CAdmin")).is_err(), "{name}");
    }
}

#[test]
fn headers_of_one_connection_are_not_carried() {
    for name in [
        "Connection",
        "transfer-encoding",
        "Transfer_Encoding",
        "TE",
        "Upgrade",
        "Expect",
    ] {
        assert!(with((name, "chunked")).is_err(), "{name}");
    }
    assert!(Headers::is_hop_by_hop(b"KEEP-ALIVE"));
    assert!(!Headers::is_hop_by_hop(b"X-M2M-Origin"));
}

#[test]
fn ordinary_headers_repeat_and_keep_their_order() {
    let lines = [
        ("Accept", "application/json"),
        ("accept", "application/cbor"),
        ("X-Other", "ä"),
    ];
    let headers = headers(&lines).expect("they are well formed");
    let names: Vec<_> = headers.iter().map(|header| header.name().clone()).collect();
    assert_eq!(names, ["Accept", "accept", "X-Other"]);
}

#[test]
fn a_value_cannot_become_another_line() {
    for value in [
        "a\r\nX-M2M-Origin: CAdmin",
        "a\nb",
        "a\0b",
        " a",
        "a\t",
        "a\x7f",
    ] {
        assert!(
            Header::new("X-Other", value.to_owned()).is_err(),
            "{value:?}"
        );
    }
    for name in ["", "X Y", "X:", "X\r\nY", "ü"] {
        assert!(Header::new(name.to_owned(), "v").is_err(), "{name:?}");
    }
}

#[test]
fn a_stated_length_is_the_true_one() {
    let [origin, id] = USUAL;
    let stated = |length| headers(&[origin, id, ("Content-Length", length)]).expect("well formed");
    assert!(HttpRequest::new("PUT", "/a", stated("2"), "{}").is_ok());
    assert!(HttpRequest::new("PUT", "/a", stated("3"), "{}").is_err());
}

#[test]
fn too_many_and_too_long_headers_are_refused() {
    let header = |value: String| Header::new("Accept", value).expect("it is well formed");
    let many = vec![header("a".into()); Headers::MOST + 1];
    assert!(matches!(Headers::new(many), Err(Error::TooLong { .. })));
    let long = vec![header("a".repeat(Headers::LONGEST))];
    assert!(matches!(Headers::new(long), Err(Error::TooLong { .. })));
}

#[test]
fn a_response_means_what_its_result_code_says() {
    let lines: Lines<'_> = &[("X-M2M-RSC", "4004"), ("X-M2M-RI", "r1")];
    let response = HttpResponse::new(404, headers(lines).expect("well formed"), "");
    let response = response.expect("it is well formed");
    assert_eq!(response.result_code(), Some(ResultCode::NOT_FOUND));
    assert_eq!(response.request_id().map(|id| id.as_str()), Some("r1"));

    let unauthorised = HttpResponse::new(401, Headers::default(), "");
    assert_eq!(
        unauthorised.map(|response| response.result_code()),
        Ok(None)
    );
}

#[test]
fn a_reason_phrase_that_would_end_its_line_is_refused() {
    let response = HttpResponse::new(200, Headers::default(), "").expect("it is well formed");
    for reason in ["", "CREATED", "tout va bien \u{e9}\t."] {
        let response = response.clone().with_reason(reason).expect("it is text");
        assert_eq!(
            response.reason().map(|bytes| &bytes[..]),
            Some(reason.as_bytes())
        );
    }
    for reason in ["OK\r\nX-M2M-RSC: 2000", "a\nb", "a\0", "\u{7f}"] {
        assert!(response.clone().with_reason(reason).is_err(), "{reason:?}");
    }
    let long = "a".repeat(HttpResponse::LONGEST_REASON + 1);
    assert!(matches!(
        response.with_reason(long),
        Err(Error::TooLong { .. })
    ));
}

#[test]
fn a_response_without_a_final_status_or_with_a_strange_code_is_refused() {
    assert!(HttpResponse::new(101, Headers::default(), "").is_err());
    assert!(HttpResponse::new(600, Headers::default(), "").is_err());
    for code in ["", "0", "-2000", "+2000", "2000, 4106", "99999999999"] {
        let lines = [Header::new("X-M2M-RSC", code).expect("it is well formed")];
        let headers = Headers::new(lines.into()).expect("it is well formed");
        let response = HttpResponse::new(200, headers, "");
        assert!(response.is_err() || code.is_empty(), "{code}");
    }
}
