//! The HTTP form, as an attacker would write it for two readers.

use refpoint_primitive::{
    Header, Headers, HttpRequest, HttpResponse, Operation, RequestMessage, ResponseMessage,
};

use crate::Input;

/// What is derived from an HTTP form is what every reader finds there, and its bytes stay.
///
/// A byte that chooses request or response; lines: method and target (or the status in a byte),
/// then headers up to an empty line; then the body.
pub fn primitive_http(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        let (method, target) = (raw_line(&mut input), raw_line(&mut input));
        let Some((headers, lines)) = headers(&mut input) else {
            return;
        };
        let body = input.rest();
        let made = HttpRequest::new(method.to_vec(), target.to_vec(), headers, body.to_vec());
        let Ok(request) = made else { return };
        assert_eq!(&request.method()[..], method);
        assert_eq!(&request.target()[..], target);
        assert_eq!(&request.body()[..], body);
        check_request(&request, &lines);
        let message = RequestMessage::Http(request);
        assert_eq!(
            RequestMessage::decode(message.clone().encode()),
            Ok(message)
        );
    } else {
        let status = 100 + 2 * u16::from(input.byte());
        let Some((headers, lines)) = headers(&mut input) else {
            return;
        };
        let Ok(response) = HttpResponse::new(status, headers, input.rest().to_vec()) else {
            return;
        };
        let code = only(&lines, "x-m2m-rsc").map(str::to_owned);
        assert_eq!(
            response.result_code().map(|code| code.number().to_string()),
            code.map(trimmed)
        );
        assert_eq!(
            response.request_id().map(|id| id.as_str()),
            only(&lines, "x-m2m-ri")
        );
        let message = ResponseMessage::Http(response);
        assert_eq!(
            ResponseMessage::decode(message.clone().encode()),
            Ok(message)
        );
    }
}

type Line<'a> = (&'a [u8], &'a [u8]);

fn raw_line<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let mut rest = *input;
    let all = rest.rest();
    let end = all
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(all.len());
    let line = input.bytes(end);
    input.bytes(1);
    line
}

/// The header lines, as they are taken and as they were written.
fn headers<'a>(input: &mut Input<'a>) -> Option<(Headers, Vec<Line<'a>>)> {
    let (mut taken, mut written) = (Vec::new(), Vec::new());
    loop {
        let line = raw_line(input);
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let header = Header::new(name.to_vec(), value.to_vec()).ok()?;
        assert!(
            !name.is_empty()
                && !name
                    .iter()
                    .any(|byte| byte.is_ascii_control() || *byte == b' ')
        );
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        taken.push(header);
        written.push((name, value));
    }
    let headers = Headers::new(taken).ok()?;
    let kept = headers
        .iter()
        .map(|header| (&header.name()[..], &header.value()[..]));
    assert!(
        kept.eq(written.iter().copied()),
        "names, values and order stay"
    );
    Some((headers, written))
}

/// What a naive reader finds, who folds case, and takes an underscore for a hyphen as CGI does.
///
/// Twice is a finding: another reader could take the other one.
fn only<'a>(lines: &[Line<'a>], name: &str) -> Option<&'a str> {
    let fold = |name: &[u8]| {
        name.to_ascii_lowercase()
            .iter()
            .map(|&byte| if byte == b'_' { b'-' } else { byte })
            .collect::<Vec<_>>()
    };
    let mut found = lines.iter().filter(|line| fold(line.0) == name.as_bytes());
    let value = found.next()?.1;
    assert!(found.next().is_none(), "{name} twice");
    let text = core::str::from_utf8(value).expect("it was taken as text");
    (!text.is_empty()).then_some(text)
}

fn trimmed(number: String) -> String {
    number
        .parse()
        .map_or(number, |number: i32| number.to_string())
}

fn check_request(request: &HttpRequest, lines: &[Line<'_>]) {
    assert_eq!(request.from(), only(lines, "x-m2m-origin"));
    assert_eq!(Some(request.request_id().as_str()), only(lines, "x-m2m-ri"));
    if let Some(length) = only(lines, "content-length") {
        assert_eq!(length.parse(), Ok(request.body().len()));
    }
    assert_eq!(only(lines, "transfer-encoding"), None);
    let operation = match (&request.method()[..], request.resource_type()) {
        (b"POST", Some(_)) => Operation::Create,
        (b"POST", None) => Operation::Notify,
        (b"GET", _) => Operation::Retrieve,
        (b"PUT", _) => Operation::Update,
        (method, _) => {
            assert_eq!(method, b"DELETE");
            Operation::Delete
        }
    };
    assert_eq!(request.operation(), operation);
    if request.resource_type().is_some() {
        let content_type = only(lines, "content-type").expect("a type comes from somewhere");
        assert_eq!(
            content_type
                .to_ascii_lowercase()
                .matches("ty")
                .count()
                .min(1),
            1
        );
    }

    let target = &request.target()[..];
    assert!(target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic));
    // The three forms never run into one another.
    let path = target
        .split(|&byte| byte == b'?')
        .next()
        .unwrap_or_default();
    let plain = !path.contains(&b'%');
    if plain {
        let path = core::str::from_utf8(path).expect("it is ASCII");
        let expected = match (path.strip_prefix("/~/"), path.strip_prefix("/_/")) {
            (Some(relative), _) => format!("/{relative}"),
            (_, Some(absolute)) => format!("//{absolute}"),
            _ => path[1..].to_owned(),
        };
        assert_eq!(request.to(), expected);
    }
    assert!(!request.to().contains(char::is_control));
}
