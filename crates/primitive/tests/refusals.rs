//! Every failure has a result code and a status, and a refusal says so in the request's own form.

use std::collections::BTreeSet;

use refpoint_primitive::{
    Echo, Failure, Header, Headers, HttpRequest, HttpResponse, Operation, Request, RequestId,
    RequestMessage, RequestParts, ResponseMessage, ResultCode,
};

fn http(lines: &[(&'static str, &'static str)]) -> RequestMessage {
    let lines = lines.iter().map(|(name, value)| Header::new(*name, *value));
    let headers = Headers::new(lines.collect::<Result<_, _>>().expect("well formed"));
    let headers = headers.expect("well formed");
    RequestMessage::Http(HttpRequest::new("GET", "/cse", headers, "").expect("well formed"))
}

#[test]
fn all_failures_are_listed_once() {
    let listed: BTreeSet<_> = Failure::ALL.into_iter().collect();
    assert_eq!(listed.len(), Failure::ALL.len());
    let texts: BTreeSet<_> = Failure::ALL.map(|failure| failure.to_string()).into();
    assert_eq!(texts.len(), Failure::ALL.len());
}

#[test]
fn the_natural_replies_of_a_guard_are_onem2ms() {
    for (failure, code, status) in [
        (Failure::NoAssociation, 4107, 403),
        (Failure::Impersonation, 4106, 403),
        (Failure::UnknownKey, 4112, 403),
        (Failure::NotSealed, 4115, 403),
        (Failure::Timeout, 4008, 504),
        (Failure::PeerUnreachable, 5103, 404),
        (Failure::DuplicateConflict, 4105, 409),
        (Failure::Malformed, 4000, 400),
        (Failure::UnsupportedForm, 4015, 415),
        (Failure::QueueFull, 5000, 500),
    ] {
        assert_eq!(failure.result_code(), ResultCode::new(code), "{failure}");
        assert_eq!(failure.http_status(), status, "{failure}");
    }
}

#[test]
fn no_failure_looks_like_a_success() {
    for failure in Failure::ALL {
        assert!(!failure.result_code().is_success(), "{failure}");
        assert!(failure.http_status() >= 400, "{failure}");
    }
}

#[test]
fn the_table_of_ts_0009_gives_the_status() {
    for (status, codes) in [
        (200, &[2000, 2002, 2004][..]),
        (201, &[2001]),
        (202, &[1000, 1001, 1002]),
        (
            400,
            &[
                4000, 4102, 4110, 4120, 4122, 4123, 4143, 6010, 6022, 6023, 6024,
            ],
        ),
        (
            403,
            &[
                4101, 4103, 5105, 5203, 5205, 4106, 4107, 4108, 4109, 4111, 4112, 4113, 4114,
            ],
        ),
        (
            403,
            &[4115, 4116, 4117, 4126, 4127, 5208, 5214, 5215, 5218, 5222],
        ),
        (404, &[4004, 4118, 4119, 4121, 5103, 5107, 6003, 6005]),
        (405, &[4005]),
        (406, &[5207]),
        (409, &[4104, 4105, 4124, 5106, 5219, 5220, 6028, 6029]),
        (415, &[4015]),
        (
            500,
            &[
                5000, 5204, 5209, 5210, 5211, 5212, 5216, 5217, 5221, 6020, 6021, 6025, 6026,
            ],
        ),
        (501, &[4001, 4125, 5001, 5206]),
        (504, &[4008, 6030, 6031]),
    ] {
        for code in codes {
            assert_eq!(ResultCode::new(*code).http_status(), status, "{code}");
        }
    }
}

#[test]
fn a_code_beyond_the_table_gets_its_class() {
    for (code, status) in [
        (1999, 202),
        (2999, 200),
        (4999, 400),
        (5999, 500),
        (-1, 500),
    ] {
        assert_eq!(ResultCode::new(code).http_status(), status, "{code}");
    }
}

#[test]
fn an_http_refusal_repeats_identifier_and_release() {
    let request = http(&[
        ("X-M2M-RI", "r1"),
        ("X-M2M-RVI", "4"),
        ("X-M2M-Origin", "CAdmin"),
    ]);
    let ResponseMessage::Http(refusal) = ResponseMessage::refusal(Failure::Impersonation, &request)
    else {
        panic!("the form is kept");
    };
    assert_eq!(refusal.status(), 403);
    let value = |name| refusal.headers().value(name).map(|value| &value[..]);
    assert_eq!(value("X-M2M-RSC"), Some(&b"4106"[..]));
    assert_eq!(value("X-M2M-RI"), Some(&b"r1"[..]));
    assert_eq!(value("X-M2M-RVI"), Some(&b"4"[..]));
    assert!(!refusal.body().windows(6).any(|window| window == b"CAdmin"));
}

#[test]
fn a_primitive_refusal_repeats_the_identifier() {
    let id = RequestId::new("r2").expect("well formed");
    let request = Request::new(RequestParts::new(Operation::Delete, "a".into(), id));
    let request = RequestMessage::Primitive(request.expect("well formed"));
    let refusal = ResponseMessage::refusal(Failure::NoAssociation, &request);
    assert!(matches!(refusal, ResponseMessage::Primitive(_)));
    assert!(refusal.answers(&RequestId::new("r2").expect("well formed")));
    assert!(!refusal.answers(&RequestId::new("r1").expect("well formed")));
}

#[test]
fn a_repeated_identifier_is_not_echoed() {
    let lines: [(&[u8], &[u8]); 3] = [
        (b"x-m2m-ri", b"r1"),
        (b"X-M2M-RI", b"r2"),
        (b"X-M2M-RVI", b"3"),
    ];
    let echo = Echo::of_headers(lines.into_iter());
    assert_eq!(echo.request_id, None);
    let refusal = HttpResponse::refusal(Failure::Malformed, &echo);
    assert_eq!(refusal.request_id(), None);
    assert_eq!(
        refusal.headers().value("X-M2M-RVI").map(|value| &value[..]),
        Some(&b"3"[..])
    );
}
