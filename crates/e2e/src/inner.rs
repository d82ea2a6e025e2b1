use alloc::borrow::ToOwned as _;

use alloc::vec::Vec;
use prost::Message as _;
use refpoint_keys::UtcTime;
use refpoint_primitive::{Content, RequestId, RequestMessage, ResponseMessage};
use zeroize::Zeroizing;

use crate::{Error, Target, generated as proto};

/// What is sealed: a primitive or content, and what must hold for it to be taken.
///
/// Everything that no node in between needs is in here, and nowhere else; what they need is in
/// [`Outer`](crate::Outer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    /// What it is for.
    pub target: Target,
    /// Its identifier, unique for its sender.
    pub request_id: RequestId,
    /// The first second in which it is no longer taken.
    pub expires: UtcTime,
    /// What it is.
    pub form: InnerForm,
}

/// What an [`Inner`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InnerForm {
    /// A request, whole.
    Request(RequestMessage),
    /// The response to one, whole.
    Response(ResponseMessage),
    /// Content alone: what a resource holds.
    Content(Content),
}

impl Inner {
    /// Its protobuf bytes, which are wiped when they are dropped.
    #[must_use]
    pub fn encode(self) -> Zeroizing<Vec<u8>> {
        use proto::inner::Form;
        let inner = proto::Inner {
            target: self.target.as_str().to_owned(),
            request_id: self.request_id.as_str().to_owned(),
            expires: self.expires.as_secs(),
            form: Some(match self.form {
                InnerForm::Request(request) => Form::Request(request.into_proto()),
                InnerForm::Response(response) => Form::Response(response.into_proto()),
                InnerForm::Content(content) => Form::Content(content.into_proto()),
            }),
        };
        Zeroizing::new(inner.encode_to_vec())
    }

    /// Reads what was opened.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Primitive`] that names the field.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        use proto::inner::Form;
        const WHAT: Error = Error::Malformed("inner primitive");
        let inner = proto::Inner::decode(bytes).map_err(|_| WHAT)?;
        Ok(Self {
            target: Target::new(&inner.target).map_err(|_| WHAT)?,
            request_id: RequestId::new(&inner.request_id)?,
            expires: UtcTime::from_secs(inner.expires),
            form: match inner.form.ok_or(WHAT)? {
                Form::Request(request) => InnerForm::Request(RequestMessage::from_proto(request)?),
                Form::Response(response) => {
                    InnerForm::Response(ResponseMessage::from_proto(response)?)
                }
                Form::Content(content) => InnerForm::Content(Content::from_proto(content)?),
            },
        })
    }

    /// Whether it is for `target` and not yet expired; without a clock nobody can tell.
    ///
    /// # Errors
    /// [`Error::WrongTarget`], [`Error::Expired`], [`Error::NoClock`].
    pub fn check(&self, target: &Target, now: Option<UtcTime>) -> Result<(), Error> {
        if self.target != *target {
            return Err(Error::WrongTarget);
        }
        match now {
            None => Err(Error::NoClock),
            Some(now) if self.expires <= now => Err(Error::Expired),
            Some(_) => Ok(()),
        }
    }
}
