//! What travels on Z.

use prost::Message as _;
use refpoint_z::{
    exchange, proto,
    serve::{Asked, Served},
};

use crate::Input;

/// A request that is read says the same after the way back; so does its response, which answers
/// that request only, and of which no copy is kept when it holds a key.
///
/// Two bytes of length and an encoded request, then an encoded response.
pub fn z_exchange(data: &[u8]) {
    let mut input = Input::new(data);
    let length = u16::from_be_bytes(input.array());
    let Ok(message) = proto::ExchangeRequest::decode(input.bytes(length.into())) else {
        return;
    };
    let request = match exchange::read_request(message) {
        Ok(request) => request,
        Err(unreadable) => {
            assert_eq!(
                unreadable.refusal.result_code, 4000,
                "a bad request, in oneM2M's words"
            );
            assert!(unreadable.refusal.body.is_none());
            return;
        }
    };
    let again = exchange::read_request(exchange::request(request.clone()));
    let again = again.expect("what was read can be read again");
    assert_eq!((&again, again.digest()), (&request, request.digest()));

    let Ok(message) = proto::ExchangeResponse::decode(input.rest()) else {
        return;
    };
    let Ok(response) = exchange::read_response(message.clone(), &request) else {
        return;
    };
    assert_eq!(
        message.request_id,
        request.id().as_str(),
        "another request's answer"
    );
    let is_key = matches!(message.body, Some(proto::exchange_response::Body::Key(_)));
    let again = exchange::response(response);
    let kept = exchange::answer(&again);
    assert_eq!(
        kept.is_none(),
        is_key,
        "a copy of a key, or none of an answer"
    );
    if let Some(kept) = kept {
        assert_eq!(exchange::read_answer(kept), Ok(again.clone()));
    }
    let third = exchange::read_response(again.clone(), &request).map(exchange::response);
    assert_eq!(third, Ok(again));
}

/// What either end says on `Serve` survives the way back, or names what is wrong.
///
/// A byte that chooses the end, then protobuf bytes.
pub fn z_serve(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        let Ok(message) = proto::ServeRequest::decode(input.rest()) else {
            return;
        };
        let served = Served::from_proto(message);
        let again = match served.clone() {
            Served::Ready => Served::ready(),
            Served::Answer(number, answer) => Served::answer(number, *answer),
        };
        assert_eq!(Served::from_proto(again), served);
    } else {
        let Ok(message) = proto::ServeResponse::decode(input.rest()) else {
            return;
        };
        let asked = Asked::from_proto(message);
        let Ok(Asked::Request(number, Ok(request))) = asked.clone() else {
            return;
        };
        let again = Asked::request(number, exchange::request(request));
        assert_eq!(Asked::from_proto(again), asked);
    }
}
