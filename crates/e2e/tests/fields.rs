//! What nodes in between are told, and that nothing else gets out: the table of the crate's documentation.

#[path = "support/support.rs"]
mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use refpoint_association::{Backend, Suite};
use refpoint_e2e::{
    Delivery, Error, Group, Inner, InnerForm, MEDIA_TYPE, Outer, Padding, Sealed, Target,
};
use refpoint_primitive::{
    Content, Header, Headers, HttpRequest, MediaType, Operation, ReleaseVersion, Request,
    RequestId, RequestMessage, RequestParts, ResponseMessage, ResponseType, Timestamp,
};
use support::{DAY, Party, keyed_pair, target, utc};

/// What is written into each inner field, and looked for outside.
const MARKER: &str = "MARKERinsideMARKER";
/// The same for fields that take times only.
const MARKED_TIME: &str = "20871231T235958";

/// An inner request that has every field that an Update may have; `field` is the one that is marked.
fn inner_update(field: &str) -> Request {
    let text = |name: &str| String::from(if name == field { MARKER } else { "plain" });
    let time = |name: &'static str| {
        let value = if name == field {
            MARKED_TIME
        } else {
            "20870101T000000"
        };
        Some(Timestamp::new(value, "time").expect("a time"))
    };
    let id = RequestId::new(&text("rqi")).expect("an id");
    let mut parts = RequestParts::new(Operation::Update, text("to"), id);
    parts.from = Some(text("fr"));
    let media_type = MediaType::Other(format!("application/{}", text("media type")));
    parts.content = Some(Content::new(media_type, text("pc")).expect("content"));
    parts.role_ids = vec![text("rids")];
    parts.originating_timestamp = time("ot");
    parts.request_expiration = time("rqet");
    parts.result_expiration = time("rset");
    parts.operation_execution_time = time("oet");
    parts.response_type = Some(ResponseType::NonBlockingAsynch(vec![text("nu")]));
    parts.result_persistence = Some(text("rp"));
    parts.group_request_id = Some(text("gid"));
    parts.filter_criteria = vec![(text("fc name"), text("fc value"))];
    parts.tokens = vec![text("tkns")];
    parts.token_ids = vec![text("tids")];
    parts.local_token_ids = vec![text("ltids")];
    parts.group_request_target_members = vec![text("grtm")];
    parts.authorization_signatures = vec![text("aus")];
    parts.vendor_information = Some(text("vsi"));
    parts.release_version =
        Some(ReleaseVersion::new(if field == "rvi" { "MARKER" } else { "3" }).expect("a release"));
    Request::new(parts).expect("what an Update may have")
}

const FIELDS: [&str; 21] = [
    "to",
    "fr",
    "rqi",
    "media type",
    "pc",
    "rids",
    "ot",
    "rqet",
    "rset",
    "oet",
    "nu",
    "rp",
    "gid",
    "fc name",
    "fc value",
    "tkns",
    "tids",
    "ltids",
    "grtm",
    "aus",
    "vsi",
];

fn inner(request: RequestMessage) -> Inner {
    Inner {
        target: target(),
        request_id: request.checked().request_id.clone(),
        expires: utc(7 * DAY),
        form: InnerForm::Request(request),
    }
}

fn outer() -> Outer {
    Outer {
        to: "//sp.example.com/id-in/cse-in/mailbox".into(),
        from: "CSensor1".into(),
        request_id: RequestId::new("outer-1").expect("an id"),
        expiration: Some(Timestamp::new("20270115T080000", "rqet").expect("a time")),
        release_version: ReleaseVersion::new("3").expect("a release"),
    }
}

/// What a node in between gets: the outer request as both of our forms carry it.
fn carried(sealed: &Sealed) -> Vec<Request> {
    let base64 = STANDARD.encode(sealed.clone().encode());
    vec![
        outer().notify(sealed.clone()).expect("it fits"),
        outer().content_instance(&base64).expect("it fits"),
    ]
}

fn bytes(request: &Request) -> Vec<u8> {
    RequestMessage::Primitive(request.clone())
        .into_proto()
        .encode_to_vec()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// As it is, and as base64 writes it at each of the three places it can begin at.
fn holds(haystack: &[u8], marker: &str) -> bool {
    let shifted = (0..3).map(|shift| {
        let text = STANDARD.encode([&[0; 2][..shift], marker.as_bytes()].concat());
        // The first and the last characters depend on the neighbours.
        text.as_bytes()[4..text.len() - 4].to_vec()
    });
    contains(haystack, marker.as_bytes())
        || shifted.into_iter().any(|text| contains(haystack, &text))
}

/// One inner primitive in each form that seals.
fn seal_all(sensor: &mut Party, display: &Party, inner: &Inner) -> Vec<Sealed> {
    let recipient = display.recipient(utc(0));
    let content = inner.clone().encode();
    let key = support::application_key(support::SENSOR, support::METER);
    let delivery = |key| Delivery {
        recipient: &recipient,
        key,
        target: Box::leak(Box::new(target())),
        expires: utc(7 * DAY),
    };
    let group = [delivery(None)];
    let suite = (Backend::default(), Suite::AesGcm);
    let group = Group::seal(
        &sensor.sealer,
        utc(0),
        &mut sensor.rng,
        suite,
        &group,
        &content,
    );
    let mut object = |key| {
        let sealed = sensor
            .sealer
            .seal(utc(0), &mut sensor.rng, &delivery(key), &content);
        Sealed::Object(sealed.expect("it fits"))
    };
    vec![
        object(None),
        object(Some(&key)),
        Sealed::Group(group.expect("it fits")),
    ]
}

#[test]
fn no_inner_field_leaks_into_what_a_node_sees() {
    let (mut sensor, display, _) = keyed_pair();
    for field in FIELDS {
        let inner = inner(RequestMessage::Primitive(inner_update(field)));
        let time = ["ot", "rqet", "rset", "oet"].contains(&field);
        let marker = if time { MARKED_TIME } else { MARKER };
        // The control: without sealing, the marker is there to be found, in both forms.
        let open = Sealed::Packet(inner.clone().encode().to_vec());
        for request in carried(&open) {
            assert!(
                holds(&bytes(&request), marker),
                "the marker is not where {field} is"
            );
        }
        for sealed in seal_all(&mut sensor, &display, &inner) {
            for request in carried(&sealed) {
                assert!(!holds(&bytes(&request), marker), "{field} leaks");
            }
        }
    }
}

#[test]
fn the_http_form_and_responses_do_not_leak_either() {
    let (mut sensor, display, _) = keyed_pair();
    let headers = [
        ("X-M2M-Origin", MARKER),
        ("X-M2M-RI", MARKER),
        ("X-Own", MARKER),
    ];
    let headers = headers.map(|(name, value)| Header::new(name, value).expect("a header"));
    let headers = Headers::new(headers.to_vec()).expect("headers");
    let request = HttpRequest::new("POST", format!("/{MARKER}?{MARKER}"), headers, MARKER);
    let request = RequestMessage::Http(request.expect("a request"));
    let refusal = ResponseMessage::refusal(refpoint_primitive::Failure::Impersonation, &request);
    let response = Inner {
        form: InnerForm::Response(refusal),
        ..inner(request.clone())
    };
    for inner in [inner(request), response] {
        for sealed in seal_all(&mut sensor, &display, &inner) {
            for outer in carried(&sealed) {
                assert!(!holds(&bytes(&outer), MARKER));
            }
        }
        assert!(holds(&inner.encode(), MARKER));
    }
}

/// Numbers and flags cannot be searched for: but whatever is inside, what is outside stays the same.
#[test]
fn two_requests_of_one_size_look_alike_from_outside() {
    let (mut sensor, display, _) = keyed_pair();
    sensor.sealer = sensor.sealer.with_padding(Padding::Padme);
    let id = || RequestId::new("r").expect("an id");
    let mut retrieve = RequestParts::new(Operation::Retrieve, "here".into(), id());
    retrieve.result_content = Some(refpoint_primitive::ResultContent::new(4));
    let delete = RequestParts::new(Operation::Delete, "other".into(), id());
    let look = |sensor: &mut Party, parts: RequestParts| {
        let request = RequestMessage::Primitive(
            Request::new(RequestParts {
                from: Some("C".into()),
                ..parts
            })
            .expect("valid"),
        );
        let sealed = seal_all(sensor, &display, &inner(request));
        sealed
            .iter()
            .flat_map(carried)
            .map(|request| {
                let mut parts = request.parts().clone();
                let content = parts.content.take().expect("it has one");
                let size = content.data().len();
                (parts, content.media_type().clone(), size)
            })
            .collect::<Vec<_>>()
    };
    let looks = look(&mut sensor, retrieve);
    assert_eq!(looks, look(&mut sensor, delete));
    for (parts, media_type, _) in looks {
        assert_eq!(parts.to, outer().to);
        let honest = [MediaType::Json, MediaType::Other(MEDIA_TYPE.into())];
        assert!(honest.contains(&media_type));
        let mut rest =
            RequestParts::new(parts.operation, parts.to.clone(), parts.request_id.clone());
        rest.from = parts.from.clone();
        rest.request_expiration = parts.request_expiration.clone();
        rest.release_version = parts.release_version.clone();
        rest.resource_type = parts.resource_type;
        assert_eq!(parts, rest, "route, size, expiry and nothing else");
    }
}

#[test]
fn what_comes_out_is_what_went_in_for_its_target_and_time_only() {
    let (mut sensor, mut display, _) = keyed_pair();
    display.knows(&sensor);
    let inner = inner(RequestMessage::Primitive(inner_update("pc")));
    for sealed in seal_all(&mut sensor, &display, &inner).drain(..2) {
        let Sealed::Object(object) = sealed else {
            panic!("the first two are objects")
        };
        let content = display.reads(utc(1), &object).expect("genuine");
        let read = Inner::decode(&content).expect("an inner primitive");
        assert_eq!(read, inner);
        assert_eq!(read.check(&target(), Some(utc(1))), Ok(()));
        let other = Target::new("elsewhere").expect("a target");
        assert_eq!(read.check(&other, Some(utc(1))), Err(Error::WrongTarget));
        assert_eq!(
            read.check(&target(), Some(utc(7 * DAY))),
            Err(Error::Expired)
        );
        assert_eq!(read.check(&target(), None), Err(Error::NoClock));
    }
    assert!(outer().content_instance("no base64\"").is_err());
}
