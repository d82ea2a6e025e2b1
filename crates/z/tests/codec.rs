//! Messages survive encoding, answers fit their requests, and no bytes make decoding panic.

use core::time::Duration;

use proptest::prelude::*;
use prost::Message as _;
use refpoint_keys::{NetworkKeySource, UtcTime};
use refpoint_primitive::{Failure, RequestId, ResultCode};
use refpoint_z::serve::{Asked, Served};
use refpoint_z::{
    Ask, ExternalId, KeyEvent, KeyNotice, KeyRequest, Location, LocationAccuracy, LocationReport,
    LocationRequest, LocationResponse, NetworkKeyName, Position, Reference, Reply, Request,
    Response, TimeWindow, TransferOffer, TransferRequest, TransferResponse, TransferSelection,
    Trigger, TriggerPurpose, TriggerReport, TriggerRequest, TriggerStatus, exchange, proto,
};

fn reference() -> impl Strategy<Value = Reference> {
    "[!-~]{1,64}".prop_map(|text| Reference::new(&text).expect("it is visible"))
}

fn device() -> impl Strategy<Value = ExternalId> {
    "[a-z0-9]{1,20}@[a-z.]{1,20}".prop_map(|text| ExternalId::new(&text).expect("it is visible"))
}

fn seconds(least: u32) -> impl Strategy<Value = Duration> {
    (least..u32::MAX).prop_map(|seconds| Duration::from_secs(seconds.into()))
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let purpose = prop_oneof![
        Just(TriggerPurpose::EstablishConnection),
        Just(TriggerPurpose::Enrolment),
        Just(TriggerPurpose::Registration),
        Just(TriggerPurpose::ExecuteCrud),
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..100);
    (device(), any::<Option<u32>>(), purpose, seconds(1), payload).prop_map(
        |(device, recipient, purpose, validity, payload)| Trigger {
            device,
            recipient,
            purpose,
            validity,
            payload,
        },
    )
}

fn status() -> impl Strategy<Value = TriggerStatus> {
    prop_oneof![
        Just(TriggerStatus::Processing),
        Just(TriggerStatus::Delivered),
        Just(TriggerStatus::Unconfirmed),
        Just(TriggerStatus::Failed),
        Just(TriggerStatus::Expired),
        Just(TriggerStatus::Replaced),
        Just(TriggerStatus::Recalled),
    ]
}

fn report() -> impl Strategy<Value = TriggerReport> {
    (reference(), status()).prop_map(|(reference, status)| TriggerReport { reference, status })
}

fn accuracy() -> impl Strategy<Value = LocationAccuracy> {
    prop_oneof![
        Just(LocationAccuracy::Cell),
        Just(LocationAccuracy::BaseStation),
        Just(LocationAccuracy::TrackingArea),
    ]
}

fn location() -> impl Strategy<Value = Location> {
    let area =
        (any::<u64>(), accuracy(), "[!-~]{1,64}").prop_map(|(at, accuracy, area)| Location {
            observed_at: UtcTime::from_secs(at),
            accuracy,
            area: Some(area),
            position: None,
        });
    let degrees = (
        -900_000_000..=900_000_000_i32,
        -1_800_000_000..=1_800_000_000_i32,
        any::<u32>(),
    );
    let position = degrees.prop_map(|(north, east, radius)| Location {
        observed_at: UtcTime::from_secs(1),
        accuracy: LocationAccuracy::Geographic,
        area: None,
        position: Some(Position::new(north, east, radius).expect("it is on earth")),
    });
    prop_oneof![area, position]
}

fn window() -> impl Strategy<Value = TimeWindow> {
    (0..1_u64 << 40, 1..1_u64 << 20).prop_map(|(start, length)| {
        let end = UtcTime::from_secs(start + length);
        TimeWindow::new(UtcTime::from_secs(start), end).expect("it ends after it starts")
    })
}

fn name() -> impl Strategy<Value = NetworkKeyName> {
    "[!-~]{1,80}".prop_map(|text| NetworkKeyName::new(&text).expect("it is visible"))
}

fn key_request() -> impl Strategy<Value = KeyRequest> {
    let fqdn = "[a-z]{1,10}\\.[a-z]{1,10}";
    let with =
        (name(), fqdn, any::<[u8; 5]>(), any::<bool>()).prop_map(|(name, fqdn, protocol, gba)| {
            let source = if gba {
                NetworkKeySource::Gba
            } else {
                NetworkKeySource::Akma
            };
            KeyRequest::for_protocol(source, name, &fqdn, protocol).expect("it is well formed")
        });
    let without = (name(), fqdn, name()).prop_map(|(name, fqdn, old)| {
        let request = KeyRequest::without_protocol(NetworkKeySource::Best, name, &fqdn);
        request.expect("it is well formed").with_replaced(old)
    });
    prop_oneof![with, without]
}

fn ask() -> impl Strategy<Value = Ask> {
    let series = (
        device(),
        proptest::option::of(accuracy()),
        2..u32::MAX,
        seconds(0),
        seconds(1),
    );
    let series = series.prop_map(|(device, accuracy, reports, interval, duration)| {
        LocationRequest::Repeatedly {
            device,
            accuracy,
            reports,
            interval,
            duration,
        }
    });
    let once = (device(), proptest::option::of(accuracy()))
        .prop_map(|(device, accuracy)| LocationRequest::Once { device, accuracy });
    let areas = proptest::collection::vec("[!-~]{1,64}", 0..3);
    let transfer = (1..u64::MAX, 1..u32::MAX, window(), areas);
    let event = prop_oneof![Just(KeyEvent::Revoked), Just(KeyEvent::Renew)];
    prop_oneof![
        trigger().prop_map(|trigger| Ask::Trigger(TriggerRequest::Create(trigger))),
        (reference(), trigger()).prop_map(|(reference, trigger)| Ask::Trigger(
            TriggerRequest::Replace(reference, trigger)
        )),
        reference().prop_map(|reference| Ask::Trigger(TriggerRequest::Recall(reference))),
        report().prop_map(Ask::TriggerReport),
        prop_oneof![series, once, reference().prop_map(LocationRequest::Stop)]
            .prop_map(Ask::Location),
        (reference(), location(), any::<u32>()).prop_map(|(reference, location, remaining)| {
            Ask::LocationReport(LocationReport {
                reference,
                location,
                remaining,
            })
        }),
        transfer.prop_map(|(bytes_per_node, nodes, window, areas)| {
            Ask::Transfer(TransferRequest {
                bytes_per_node,
                nodes,
                window,
                areas,
            })
        }),
        (reference(), any::<u32>()).prop_map(|(reference, offer)| Ask::TransferSelection(
            TransferSelection { reference, offer }
        )),
        key_request().prop_map(Ask::Key),
        (name(), event).prop_map(|(name, event)| {
            Ask::KeyNotice(KeyNotice {
                source: NetworkKeySource::Gba,
                name,
                event,
            })
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let patience = (1..u32::MAX).prop_map(|patience| Duration::from_millis(patience.into()));
    ("[!-~]{1,40}", ask(), proptest::option::of(patience)).prop_map(|(id, ask, patience)| {
        let id = RequestId::new(&id).expect("it is visible");
        Request::new(id, ask, patience).expect("it is no primitive")
    })
}

proptest! {
    #[test]
    fn requests_come_back_as_they_were(request in request()) {
        let bytes = exchange::request(request.clone()).encode_to_vec();
        let message = proto::ExchangeRequest::decode(&bytes[..]).expect("it was encoded");
        prop_assert_eq!(exchange::read_request(message), Ok(request));
    }

    #[test]
    fn transfers_are_answered_with_offers(
        reference in reference(),
        windows in proptest::collection::vec((window(), any::<u64>()), 0..4),
        group in proptest::option::of("[!-~]{1,64}"),
    ) {
        let offers = (0..).zip(windows).map(|(id, (window, rate))| TransferOffer {
            id,
            window,
            downlink_bps: rate,
            uplink_bps: rate / 2,
            rating_group: group.clone(),
        });
        let offered = TransferResponse { reference, offers: offers.collect() };
        let window = TimeWindow::new(UtcTime::from_secs(0), UtcTime::from_secs(1)).expect("valid");
        let ask = Ask::Transfer(TransferRequest { bytes_per_node: 1, nodes: 1, window, areas: vec![] });
        let request = Request::new(RequestId::new("r1").expect("valid"), ask, None).expect("valid");
        let response = Response::new(&request, Reply::Transfer(offered.clone())).expect("it answers");
        let back = exchange::read_response(exchange::response(response), &request).expect("encoded");
        let Some(Reply::Transfer(back)) = back.into_reply() else { panic!("it is a transfer") };
        prop_assert_eq!(back, offered);
    }

    #[test]
    fn locations_come_back_as_they_were(location in location(), reference in proptest::option::of(reference())) {
        let device = ExternalId::new("a@b").expect("valid");
        let ask = Ask::Location(LocationRequest::Once { device, accuracy: None });
        let request = Request::new(RequestId::new("r1").expect("valid"), ask, None).expect("valid");
        let reply = LocationResponse { reference, location: Some(location) };
        let response = Response::new(&request, Reply::Location(reply.clone())).expect("it answers");
        let back = exchange::read_response(exchange::response(response), &request).expect("encoded");
        let Some(Reply::Location(back)) = back.into_reply() else { panic!("it is a location") };
        prop_assert_eq!(back, reply);
    }

    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = proto::ExchangeRequest::decode(&bytes[..])
            && let Ok(request) = exchange::read_request(message)
        {
            let again = exchange::read_request(exchange::request(request.clone()));
            prop_assert_eq!(again, Ok(request));
        }
        if let Ok(message) = proto::ServeResponse::decode(&bytes[..]) {
            let _ = Asked::from_proto(message);
        }
    }
}

fn recall(id: &str) -> Request {
    let reference = Reference::new("t-1").expect("valid");
    let id = RequestId::new(id).expect("valid");
    let ask = Ask::Trigger(TriggerRequest::Recall(reference));
    Request::new(id, ask, None).expect("valid")
}

#[test]
fn an_answer_fits_its_request_or_is_unusable() {
    let request = recall("r1");
    let status = TriggerStatus::Recalled;
    let reference = Reference::new("t-1").expect("valid");
    let reply = || {
        Reply::Trigger(TriggerReport {
            reference: reference.clone(),
            status,
        })
    };
    let location = LocationResponse {
        reference: None,
        location: None,
    };
    assert!(Response::new(&request, Reply::Location(location)).is_err());
    assert!(
        Response::done(&request).is_err(),
        "a trigger's state is asked for"
    );

    let answer = exchange::response(Response::new(&request, reply()).expect("it answers"));
    assert!(exchange::read_response(answer.clone(), &request).is_ok());
    let unusable = Err(Failure::UnusableAnswer);
    let other = recall("r2");
    assert_eq!(
        exchange::read_response(answer.clone(), &other).map(drop),
        unusable
    );
    let nothing = proto::ExchangeResponse {
        body: None,
        ..answer.clone()
    };
    assert_eq!(
        exchange::read_response(nothing, &request).map(drop),
        unusable
    );
    let no_code = proto::ExchangeResponse {
        result_code: 0,
        ..answer
    };
    assert_eq!(
        exchange::read_response(no_code, &request).map(drop),
        unusable
    );
}

#[test]
fn a_refusal_is_read_with_its_result_code() {
    let request = recall("r1");
    let refusal = request.refusal(Failure::Forbidden);
    let refusal = exchange::read_response(refusal, &request).expect("it is an answer");
    assert_eq!(
        refusal.result_code(),
        ResultCode::ORIGINATOR_HAS_NO_PRIVILEGE
    );
    assert!(refusal.reply().is_none());
}

#[test]
fn an_unreadable_request_comes_with_its_refusal() {
    let message = proto::ExchangeRequest {
        request_id: "r9".into(),
        patience_ms: 0,
        body: None,
    };
    let unreadable = exchange::read_request(message).expect_err("nothing is asked");
    assert_eq!(unreadable.refusal.request_id, "r9");
    assert_eq!(unreadable.refusal.result_code, 4000);
}

#[test]
fn serve_is_read_on_both_sides() {
    assert_eq!(Served::from_proto(Served::ready()), Served::Ready);
    let exchange = refpoint_primitive::ExchangeId::new(4);
    let asked = Asked::request(exchange, exchange::request(recall("r1")));
    assert_eq!(
        Asked::from_proto(asked),
        Ok(Asked::Request(exchange, Ok(recall("r1"))))
    );
    assert!(Asked::from_proto(proto::ServeResponse::default()).is_err());
    let refusal = recall("r1").refusal(Failure::Stopping);
    let answer = Served::from_proto(Served::answer(exchange, refusal.clone()));
    assert_eq!(answer, Served::Answer(exchange, Box::new(refusal)));
}
