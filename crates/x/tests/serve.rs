//! The messages of `Serve`.

use core::time::Duration;

use refpoint_primitive::{
    Error, ExchangeId, Failure, HttpResponse, Operation, Request, RequestId, RequestMessage,
    RequestParts, Response, ResponseMessage, ResponseParts, ResultCode,
};
use refpoint_x::serve::{Asked, Served};
use refpoint_x::{exchange, proto};

fn id() -> RequestId {
    RequestId::new("r1").expect("well formed")
}

fn request() -> RequestMessage {
    let request = Request::new(RequestParts::new(Operation::Retrieve, "a".into(), id()));
    RequestMessage::Primitive(request.expect("well formed"))
}

fn response() -> ResponseMessage {
    let response = Response::new(ResponseParts::new(ResultCode::OK, id()));
    ResponseMessage::Primitive(response.expect("well formed"))
}

#[test]
fn what_the_initiator_says_comes_back_as_it_was() {
    assert_eq!(Served::from_proto(Served::ready()), Served::Ready);
    let answer = Served::answer(ExchangeId::new(3), response());
    let expected = Served::Answer(ExchangeId::new(3), Ok(response()));
    assert_eq!(Served::from_proto(answer), expected);
}

#[test]
fn an_unreadable_answer_still_names_its_exchange() {
    let answer = proto::ServeRequest {
        exchange_id: 3,
        response: None,
    };
    let expected = Served::Answer(ExchangeId::new(3), Err(Error::Missing("response")));
    assert_eq!(Served::from_proto(answer), expected);
}

#[test]
fn what_the_responder_says_comes_back_as_it_was() {
    let asked = exchange::request(request(), Some(Duration::from_secs(5)));
    let asked = Asked::from_proto(Asked::request(ExchangeId::new(3), asked));
    let Ok(Asked::Request(exchange, Ok(incoming))) = asked else {
        panic!("{asked:?}")
    };
    assert_eq!(exchange, ExchangeId::new(3));
    assert_eq!(incoming.message(), &request());
    assert_eq!(incoming.patience(), Some(Duration::from_secs(5)));
}

#[test]
fn a_request_in_no_exchange_is_refused() {
    let asked = proto::ServeResponse {
        exchange_id: 0,
        request: None,
    };
    assert_eq!(Asked::from_proto(asked), Err(Error::Missing("exchange_id")));
}

#[test]
fn an_unreadable_request_comes_with_its_refusal() {
    let asked = proto::ServeResponse {
        exchange_id: 1,
        request: None,
    };
    let Ok(Asked::Request(_, Err(unreadable))) = Asked::from_proto(asked) else {
        panic!("there is no request");
    };
    assert_eq!(
        unreadable.refusal.result_code(),
        Some(ResultCode::BAD_REQUEST)
    );
}

#[test]
fn an_answer_to_another_request_is_not_usable() {
    let other = RequestId::new("r2").expect("well formed");
    let answer = exchange::response(response());
    assert_eq!(
        exchange::read_response(answer.clone(), &id()),
        Ok(response())
    );
    assert_eq!(
        exchange::read_response(answer, &other),
        Err(Failure::UnusableAnswer)
    );
    let nameless =
        ResponseMessage::Http(HttpResponse::new(401, <_>::default(), "").expect("well formed"));
    let answer = exchange::response(nameless.clone());
    assert_eq!(exchange::read_response(answer, &other), Ok(nameless));
}
