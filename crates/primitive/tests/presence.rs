//! Which operation carries which field (TS-0004, table 7.2.1-1).

use refpoint_primitive::{
    Content, Error, EventCategory, MediaType, Operation, Request, RequestId, RequestParts,
    ResourceType, ResultContent,
};

fn parts(operation: Operation) -> RequestParts {
    let id = RequestId::new("r1").expect("it is well formed");
    let mut parts = RequestParts::new(operation, "cse-mn/ae1".into(), id);
    parts.from = Some("CSensor1".into());
    if operation == Operation::Create {
        parts.resource_type = Some(ResourceType::CONTAINER);
    }
    if matches!(
        operation,
        Operation::Create | Operation::Update | Operation::Notify
    ) {
        parts.content = Some(Content::new(MediaType::Json, "{}").expect("json is known"));
    }
    parts
}

#[test]
fn the_least_request_of_each_operation_is_taken() {
    for operation in Operation::ALL {
        assert!(Request::new(parts(operation)).is_ok(), "{operation:?}");
    }
}

#[test]
fn an_absent_field_is_named() {
    for (field, operations, remove) in [
        (
            "ty",
            &[Operation::Create][..],
            (|parts| parts.resource_type = None) as fn(&mut RequestParts),
        ),
        (
            "pc",
            &[Operation::Create, Operation::Update, Operation::Notify],
            |parts| {
                parts.content = None;
            },
        ),
        ("to", &Operation::ALL, |parts| parts.to.clear()),
    ] {
        for operation in operations {
            let mut parts = parts(*operation);
            remove(&mut parts);
            assert_eq!(
                Request::new(parts),
                Err(Error::Missing(field)),
                "{operation:?}"
            );
        }
    }
}

#[test]
fn a_field_that_does_not_belong_is_named() {
    use Operation::{Create, Delete, Notify, Retrieve, Update};
    type Case = (&'static str, &'static [Operation], fn(&mut RequestParts));
    let cases: [Case; 11] = [
        ("ty", &[Create], |parts| {
            parts.resource_type = Some(ResourceType::AE)
        }),
        ("pc", &[Create, Retrieve, Update, Notify], |parts| {
            parts.content = Content::new(MediaType::Cbor, "x").ok();
        }),
        ("rp", &[Create, Retrieve, Update, Delete], |parts| {
            parts.result_persistence = Some("P1D".into());
        }),
        ("rcn", &[Create, Retrieve, Update, Delete], |parts| {
            parts.result_content = Some(ResultContent::NOTHING);
        }),
        ("fc", &[Retrieve, Update, Delete, Notify], |parts| {
            parts.filter_criteria = vec![("fu".into(), "1".into())];
        }),
        ("drt", &[Retrieve], |parts| {
            parts.desired_identifier_result_type = Some(1)
        }),
        ("grtm", &[Create, Retrieve, Update, Delete], |parts| {
            parts.group_request_target_members = vec!["a".into()];
        }),
        ("asi", &[Create, Retrieve, Update, Delete], |parts| {
            parts.authorization_signature_indicator = Some(false);
        }),
        ("aus", &[Create, Retrieve, Update, Delete], |parts| {
            parts.authorization_signatures = vec!["a".into()];
        }),
        ("auri", &[Create, Retrieve, Update, Delete], |parts| {
            parts.authorization_relationship_indicator = Some(false);
        }),
        ("sqi", &[Retrieve], |parts| {
            parts.semantic_query_indicator = Some(false)
        }),
    ];
    for (field, allowed, set) in cases {
        for operation in Operation::ALL {
            let mut parts = parts(operation);
            set(&mut parts);
            let expected = if allowed.contains(&operation) {
                Ok(())
            } else {
                Err(Error::Unexpected(field))
            };
            assert_eq!(
                Request::new(parts).map(drop),
                expected,
                "{field} on {operation:?}"
            );
        }
    }
}

#[test]
fn event_categories_have_two_ranges() {
    for number in [2, 4, 100, 999] {
        assert!(EventCategory::new(number).is_ok(), "{number}");
    }
    for number in [0, 1, 5, 99, 1000] {
        assert!(EventCategory::new(number).is_err(), "{number}");
    }
}

#[test]
fn identifiers_that_could_not_be_echoed_are_refused() {
    for text in ["", " r1", "r1 ", "r\n1", "r\u{e4}", &"r".repeat(256)] {
        assert!(RequestId::new(text).is_err(), "{text:?}");
    }
    assert!(RequestId::new("0002bf63-4c 1").is_ok());
}
