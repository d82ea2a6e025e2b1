//! Messages as associations carry them.

use refpoint_primitive::{Bytes, Incoming, RequestMessage, ResponseMessage, proto};

use crate::Input;

/// A message that decodes means the same after the way back; one that does not is refused well.
///
/// A byte that chooses request or response, then protobuf bytes.
pub fn primitive_message(data: &[u8]) {
    let mut input = Input::new(data);
    let is_request = input.byte().is_multiple_of(2);
    let bytes = Bytes::copy_from_slice(input.rest());
    if is_request {
        check_request(bytes);
    } else if let Ok(message) = ResponseMessage::decode(bytes) {
        let encoded = message.clone().encode();
        let again = ResponseMessage::decode(encoded.clone());
        assert_eq!(again.as_ref(), Ok(&message));
        assert_eq!(message.encode(), encoded);
    }
}

fn check_request(bytes: Bytes) {
    use prost::Message as _;
    let Ok(generated) = proto::RequestMessage::decode(bytes.clone()) else {
        assert!(RequestMessage::decode(bytes).is_err());
        return;
    };
    match Incoming::from_proto(Some(generated), 0) {
        Ok(incoming) => {
            let message = incoming.message().clone();
            let again = RequestMessage::decode(message.clone().encode());
            let again = again.expect("what was read can be read again");
            assert_eq!(again, message);
            assert_eq!(
                again.digest(),
                incoming.digest(),
                "the same request, the same digest"
            );
            assert!(!message.checked().request_id.as_str().is_empty());
        }
        Err(unreadable) => {
            let refusal = *unreadable.refusal;
            let code = refusal.result_code().map(|code| code.number());
            assert_eq!(code, Some(4000), "a bad request, in oneM2M's words");
            assert_eq!(
                ResponseMessage::decode(refusal.clone().encode()),
                Ok(refusal)
            );
        }
    }
}
