//! What primitives carry.

use alloc::string::String;

use prost::bytes::Bytes;

use crate::{Error, proto};

/// How content is serialised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// JSON.
    Json,
    /// CBOR.
    Cbor,
    /// XML.
    Xml,
    /// Something else, as `type/subtype`, without the parameter `ty`.
    Other(String),
}

impl MediaType {
    /// The media type by which HTTP names it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Cbor => "application/cbor",
            Self::Xml => "application/xml",
            Self::Other(name) => name,
        }
    }
}

/// Content (short name `pc`), byte for byte as its sender serialised it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Content {
    media_type: MediaType,
    data: Bytes,
}

impl Content {
    const LONGEST_MEDIA_TYPE: usize = 255;

    /// Content of these bytes.
    ///
    /// # Errors
    /// [`Error`] that names `pc` when a [`MediaType::Other`] is no media type.
    pub fn new(media_type: MediaType, data: impl Into<Bytes>) -> Result<Self, Error> {
        if let MediaType::Other(name) = &media_type {
            Error::within(name.len(), Self::LONGEST_MEDIA_TYPE, "pc")?;
            let is_one = name.contains('/') && name.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_one {
                return Err(Error::invalid("pc", "name a media type"));
            }
        }
        let data = data.into();
        Ok(Self { media_type, data })
    }

    /// How it is serialised.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The bytes.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] that names `pc` when its media type is none.
    pub fn from_proto(content: proto::Content) -> Result<Self, Error> {
        use proto::Serialization;
        let media_type = match Serialization::try_from(content.serialization) {
            Ok(Serialization::Json) if content.media_type.is_empty() => MediaType::Json,
            Ok(Serialization::Cbor) if content.media_type.is_empty() => MediaType::Cbor,
            Ok(Serialization::Xml) if content.media_type.is_empty() => MediaType::Xml,
            _ => MediaType::Other(content.media_type),
        };
        Self::new(media_type, content.data)
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::Content {
        use proto::Serialization;
        let (serialization, media_type) = match self.media_type {
            MediaType::Json => (Serialization::Json, String::new()),
            MediaType::Cbor => (Serialization::Cbor, String::new()),
            MediaType::Xml => (Serialization::Xml, String::new()),
            MediaType::Other(name) => (Serialization::Unspecified, name),
        };
        proto::Content {
            serialization: serialization.into(),
            media_type,
            data: self.data,
        }
    }
}
