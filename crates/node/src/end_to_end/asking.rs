//! What the node itself asks of its AE's CSE: for pre-keys, and to publish them.

use refpoint_primitive::{
    Failure, Header, Headers, HttpRequest, HttpResponse, RequestId, RequestMessage, ResponseMessage,
};

use super::instance::{self, Attributes};
use super::refused::Refused;
use crate::carrier::Carrier;
use crate::entropy;

/// The release whose rules the node's own requests follow.
pub(super) const RELEASE: &str = "3";

/// The path of a request for `to` (TS-0009, 6.2.2).
fn path_of(to: &str) -> String {
    match (to.strip_prefix("//"), to.strip_prefix('/')) {
        (Some(absolute), _) => format!("/_/{absolute}"),
        (None, Some(relative)) => format!("/~/{relative}"),
        (None, None) => format!("/{to}"),
    }
}

/// A request identifier that tells nothing.
pub(super) fn new_id() -> Result<RequestId, Refused> {
    let drawn = u64::from(entropy::draw()) << 32 | u64::from(entropy::draw());
    RequestId::new(&format!("rp-{drawn:016x}")).map_err(|_| Refused::Unreadable("an identifier"))
}

/// A request over HTTP.
pub(super) fn request(
    method: &'static str,
    path: impl Into<refpoint_primitive::Bytes>,
    lines: &[(&'static str, &str)],
    body: impl Into<refpoint_primitive::Bytes>,
) -> Result<HttpRequest, refpoint_primitive::Error> {
    let lines = lines.iter();
    let lines = lines.map(|(name, value)| Header::new(*name, value.as_bytes().to_vec()));
    let headers = Headers::new(lines.collect::<Result<_, _>>()?)?;
    HttpRequest::new(method, path, headers, body)
}

/// Carries a request, and takes nothing but HTTP for an answer.
pub(super) async fn exchange<C: Carrier>(
    carrier: &C,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    match carrier.exchange(RequestMessage::Http(request)).await? {
        ResponseMessage::Http(response) => Ok(response),
        ResponseMessage::Primitive(_) => Err(Failure::UnusableAnswer),
    }
}

/// The contentInstance that `to` leads to.
pub(super) async fn retrieve<C: Carrier>(
    carrier: &C,
    from: &str,
    to: &str,
) -> Result<Attributes, Refused> {
    let id = new_id()?;
    let lines = [
        ("X-M2M-Origin", from),
        ("X-M2M-RI", id.as_str()),
        ("X-M2M-RVI", RELEASE),
        ("Accept", "application/json"),
    ];
    let request = request("GET", path_of(to), &lines, "").map_err(refpoint_e2e::Error::from)?;
    let response = exchange(carrier, request).await.map_err(Refused::Peer)?;
    done(&response)?;
    instance::parse(response.body()).ok_or(Refused::Unreadable("a contentInstance"))
}

/// Creates a contentInstance with this body in the container `to`.
pub(super) async fn create<C: Carrier>(
    carrier: &C,
    from: &str,
    to: &str,
    body: String,
) -> Result<(), Refused> {
    let id = new_id()?;
    let lines = [
        ("X-M2M-Origin", from),
        ("X-M2M-RI", id.as_str()),
        ("X-M2M-RVI", RELEASE),
        ("Content-Type", "application/json;ty=4"),
        ("Accept", "application/json"),
    ];
    let request = request("POST", path_of(to), &lines, body).map_err(refpoint_e2e::Error::from)?;
    let response = exchange(carrier, request).await.map_err(Refused::Peer)?;
    done(&response)
}

fn done(response: &HttpResponse) -> Result<(), Refused> {
    match response.result_code() {
        Some(code) if code.is_success() => Ok(()),
        Some(code) if code == refpoint_primitive::ResultCode::NOT_FOUND => {
            Err(Refused::Peer(Failure::UnknownReference))
        }
        _ => Err(Refused::Peer(Failure::Forbidden)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_to_become_paths_that_mean_them() {
        for to in [
            "cse-mn/sensor/data",
            "/id-mn/cse-mn/sensor",
            "//sp.example/id-mn/cse",
        ] {
            let lines = [("X-M2M-RI", "1")];
            let request = request("GET", path_of(to), &lines, "").expect("well formed");
            assert_eq!(request.to(), to);
        }
    }
}
