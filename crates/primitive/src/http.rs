//! The carried HTTP form: primitives as TS-0009 puts them on the wire, byte for byte.
//!
//! A node beside a CSE hands over what the CSE wrote, so that the CSE at the other end reads exactly that. What a layer
//! must check is *derived* from these bytes as a CSE would derive it; there is no second copy that could say something
//! else. Where two readers could derive different things (a repeated header, a header name that some servers take for
//! another, a second `ty`), the message is refused.

mod header;
mod media_type;
mod request;
mod response;
mod target;

pub use header::{Header, Headers};
pub use request::HttpRequest;
pub use response::HttpResponse;
