use alloc::{format, string::String, vec::Vec};

use refpoint_primitive::{
    Content, MediaType, Operation, ReleaseVersion, Request, RequestId, RequestParts, ResourceType,
    Timestamp,
};

use crate::{Error, MEDIA_TYPE, Sealed};

/// All that a node in between is told: where to, from whom, its own identifier, until when.
///
/// None of it is bound to what is sealed, since honest nodes rewrite it: `from` and `to` change
/// their form, release version and timestamps are added. Everything else that TS-0004 lists stays inside
/// (the crate's documentation has the table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// `to`: the resource or AE to which nodes route.
    pub to: String,
    /// `fr`: as whom the sender is known to its node.
    pub from: String,
    /// `rqi`: of the outer request. A new one, which has nothing of the inner one's.
    pub request_id: RequestId,
    /// `rqet`: when nodes may throw it away.
    pub expiration: Option<Timestamp>,
    /// `rvi`: the release whose rules the outer request follows.
    pub release_version: ReleaseVersion,
}

impl Outer {
    /// A Notify whose content is `sealed`, in the manner of oneM2M's `ESPrim`: between our own nodes
    /// (others refuse what they do not know as a notification).
    ///
    /// # Errors
    /// [`Error::Primitive`] that names the field that does not fit.
    pub fn notify(self, sealed: Sealed) -> Result<Request, Error> {
        let media_type = MediaType::Other(MEDIA_TYPE.into());
        let content = Content::new(media_type, sealed.encode())?;
        self.request(Operation::Notify, None, content)
    }

    /// The Create of a contentInstance whose `con` is `base64`, the [encoding](Sealed::encode) of what is
    /// sealed: it crosses unmodified CSEs, is stored, retrieved and notified as any other.
    ///
    /// `cnf` says honestly what it is: [`MEDIA_TYPE`], binary in base64.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not base64, [`Error::Primitive`] that names the field that does not fit.
    pub fn content_instance(self, base64: &str) -> Result<Request, Error> {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        if !base64.bytes().all(is_base64) {
            return Err(Error::Config("base64"));
        }
        let json = format!(r#"{{"m2m:cin":{{"cnf":"{MEDIA_TYPE}:2","con":"{base64}"}}}}"#);
        let content = Content::new(MediaType::Json, Vec::from(json))?;
        let content_instance = ResourceType::new(4);
        self.request(Operation::Create, Some(content_instance), content)
    }

    fn request(
        self,
        operation: Operation,
        resource_type: Option<ResourceType>,
        content: Content,
    ) -> Result<Request, Error> {
        let mut parts = RequestParts::new(operation, self.to, self.request_id);
        parts.from = Some(self.from);
        parts.request_expiration = self.expiration;
        parts.release_version = Some(self.release_version);
        parts.resource_type = resource_type;
        parts.content = Some(content);
        Ok(Request::new(parts)?)
    }
}
