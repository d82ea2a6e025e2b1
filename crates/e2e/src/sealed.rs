use alloc::vec::Vec;

use prost::Message as _;

use crate::{Error, Group, generated as proto};

/// The media type of what end points put where content goes.
pub const MEDIA_TYPE: &str = "application/vnd.refpoint.sealed";

/// What end points put where content goes (`refpoint.e2e.v1.Sealed`): nobody in between reads more of
/// it than what it is, its size, key ids and expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// An object for one receiver.
    Object(Vec<u8>),
    /// An object for several.
    Group(Group),
    /// A packet of a session.
    Packet(Vec<u8>),
}

impl Sealed {
    /// Its protobuf bytes; where only text goes, write them in base64 (RFC 4648, section 4).
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        use proto::sealed::Form;
        let form = Some(match self {
            Self::Object(object) => Form::Object(object),
            Self::Group(group) => Form::Group(group.into_proto()),
            Self::Packet(packet) => Form::Packet(packet),
        });
        proto::Sealed { form }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        use proto::sealed::Form;
        let sealed =
            proto::Sealed::decode(bytes).map_err(|_| Error::Malformed("sealed content"))?;
        Ok(
            match sealed.form.ok_or(Error::Malformed("sealed content"))? {
                Form::Object(object) => Self::Object(object),
                Form::Group(group) => Self::Group(Group::from_proto(group)?),
                Form::Packet(packet) => Self::Packet(packet),
            },
        )
    }
}
