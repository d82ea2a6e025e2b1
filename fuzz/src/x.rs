//! Targets of `refpoint-x`: datagrams, the messages of `Serve`, and as whom a peer may speak.

use prost::Message as _;
use refpoint_keys::ReferencePoint;
use refpoint_primitive::{Failure, LedgerLimits};
use refpoint_x::{
    Datagram, DatagramBody, Error, Identity, Layer, exchange, proto,
    serve::{Asked, Served},
};

use crate::Input;
use crate::asking::{Ask, id, peer};

/// A datagram that is read can be written, and then says the same.
pub fn x_datagram(data: &[u8]) {
    let Ok(datagram) = Datagram::decode(data.to_vec()) else {
        return;
    };
    let number = datagram.exchange;
    let again = match datagram.body.clone() {
        DatagramBody::Request(Ok(request)) => {
            let patience = request.patience();
            let request = exchange::request(request.into_message(), patience);
            Datagram::request(number, request, usize::MAX)
        }
        DatagramBody::Response(Ok(response)) => {
            Datagram::response(number, exchange::response(response), usize::MAX)
        }
        DatagramBody::Request(Err(unreadable)) => {
            let refusal = exchange::response(*unreadable.refusal);
            let limited = Datagram::response(number, refusal.clone(), 0);
            assert!(matches!(limited, Err(Error::TooLarge { .. })));
            let refusal = Datagram::response(number, refusal, usize::MAX);
            let refusal = refusal
                .and_then(Datagram::decode)
                .map(|refusal| refusal.body);
            assert!(matches!(refusal, Ok(DatagramBody::Response(Ok(_)))));
            return;
        }
        DatagramBody::Response(Err(_)) => return,
        DatagramBody::Pending => Ok(Datagram::pending(number)),
    };
    assert_eq!(again.and_then(Datagram::decode), Ok(datagram));
}

/// What either end says on `Serve` survives the way back, or names what is wrong.
///
/// A byte that chooses the end, then protobuf bytes.
pub fn x_serve(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        let Ok(message) = proto::ServeRequest::decode(input.rest()) else {
            return;
        };
        let served = Served::from_proto(message);
        let again = match served.clone() {
            Served::Ready => Served::ready(),
            Served::Answer(number, Ok(answer)) => Served::answer(number, answer),
            Served::Answer(_, Err(_)) => return,
        };
        assert_eq!(Served::from_proto(again), served);
    } else {
        let Ok(message) = proto::ServeResponse::decode(input.rest()) else {
            return;
        };
        let Ok(Asked::Request(number, Ok(request))) = Asked::from_proto(message) else {
            return;
        };
        let patience = request.patience();
        let message = exchange::request(request.clone().into_message(), patience);
        let again = Asked::from_proto(Asked::request(number, message));
        assert_eq!(again, Ok(Asked::Request(number, Ok(request))));
    }
}

/// An AE speaks as itself and as whom its credential lists, in whatever form it writes itself; as
/// anyone else nobody speaks.
///
/// A byte that chooses what is asked for, then a line that says from whom.
pub fn x_identity(data: &[u8]) {
    let Some(ask) = Ask::read(&mut Input::new(data)) else {
        return;
    };
    let gateway = id("//sp.example.com/id-mn");
    let shared = id("//sp.example.com/SShared");
    let aes = ["CSensor1", "CSensor2"].map(|stem| id(&format!("{}/{stem}", gateway.as_str())));
    let [first, second] = &aes;
    let mut layer = Layer::new(gateway.clone(), LedgerLimits::default());
    let identity = |ae| Identity::application(ae).expect("an AE");
    let with_shared = |ae| identity(ae).with_aes([shared.clone()]).expect("an AE");
    assert_eq!(layer.admit(with_shared(first.clone())), Ok(()));
    assert!(
        layer.admit(with_shared(second.clone())).is_err(),
        "it has one holder"
    );
    assert_eq!(layer.admit(identity(second.clone())), Ok(()));

    let originator = ask.originator(&gateway);
    for ae in &aes {
        let may = layer.verdict(&peer(ae, ReferencePoint::X), &ask.checked());
        let owns = |from| from == ae || (from == &shared && ae == first);
        assert_eq!(
            may.is_ok(),
            ask.is_newcomer() || originator.as_ref().is_some_and(owns)
        );
        if let Some(from) = originator.as_ref().filter(|_| !ask.is_newcomer()) {
            let local = from.service_provider() == gateway.service_provider();
            let forms = [from.as_str()]
                .into_iter()
                .chain(local.then(|| from.to_sp_relative()));
            for form in forms {
                let form = ask.by(form);
                let same = layer.verdict(&peer(ae, ReferencePoint::X), &form.checked());
                assert_eq!(same, may, "the form makes no difference");
            }
        }
        let elsewhere = layer.verdict(&peer(ae, ReferencePoint::Y), &ask.checked());
        assert_eq!(elsewhere, Err(Failure::NoAssociation));
    }

    // The other way round: the gateway passes on what others ask, but never as the device itself.
    let mut device = Layer::new(first.clone(), LedgerLimits::default());
    let registrar = Identity::registrar(gateway.clone()).expect("a CSE");
    assert_eq!(device.admit(registrar), Ok(()));
    let may = device.verdict(&peer(&gateway, ReferencePoint::X), &ask.checked());
    let other = originator.as_ref().is_some_and(|from| from != first);
    assert_eq!(may.is_ok(), other && !ask.is_newcomer());
}
