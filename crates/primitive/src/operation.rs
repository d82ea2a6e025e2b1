//! What a request asks for, and how it wants to be answered.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, proto};

/// What a request asks for (TS-0004, m2m:operation; short name `op`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Make a child of the target.
    Create = 1,
    /// Read the target.
    Retrieve = 2,
    /// Change the target.
    Update = 3,
    /// Remove the target.
    Delete = 4,
    /// Tell the target of an event.
    Notify = 5,
}

impl Operation {
    /// Every operation, in the order of the codes.
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Retrieve,
        Self::Update,
        Self::Delete,
        Self::Notify,
    ];

    /// The code of TS-0004.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_proto(code: i32) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|operation| i32::from(operation.code()) == code)
            .ok_or(Error::invalid("op", "write 1 to 5"))
    }
}

/// A resource's type (TS-0004, m2m:resourceType; short name `ty`). Open: releases add types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(u32);

impl ResourceType {
    /// An application entity.
    pub const AE: Self = Self(2);
    /// A container.
    pub const CONTAINER: Self = Self(3);
    /// An instance of content.
    pub const CONTENT_INSTANCE: Self = Self(4);
    /// A service node's registration at another.
    pub const REMOTE_CSE: Self = Self(16);
    /// A subscription.
    pub const SUBSCRIPTION: Self = Self(23);

    /// The type of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Which result content is wanted (TS-0004, m2m:resultContent; short name `rcn`). Open; 0 asks for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultContent(i32);

impl ResultContent {
    /// No content.
    pub const NOTHING: Self = Self(0);
    /// The attributes.
    pub const ATTRIBUTES: Self = Self(1);

    /// The kind of this number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

/// How urgent a request is (TS-0004, m2m:eventCat; short name `ec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventCategory(u32);

impl EventCategory {
    /// At once.
    pub const IMMEDIATE: Self = Self(2);
    /// When it fits.
    pub const BEST_EFFORT: Self = Self(3);
    /// Only the latest counts.
    pub const LATEST: Self = Self(4);

    /// The category of this number: 2 to 4, or 100 to 999 for those that providers define.
    ///
    /// # Errors
    /// [`Error`] that names `ec` for other numbers.
    pub const fn new(number: u32) -> Result<Self, Error> {
        match number {
            2..=4 | 100..=999 => Ok(Self(number)),
            _ => Err(Error::invalid("ec", "write 2 to 4 or 100 to 999")),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// How the originator wants to be answered (TS-0004, m2m:responseTypeInfo; short name `rt`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResponseType {
    /// Acknowledge now, keep the result to be fetched.
    NonBlockingSynch,
    /// Acknowledge now, send the result to these addresses, or to the originator's own when there are none.
    NonBlockingAsynch(Vec<String>),
    /// Answer with the result.
    Blocking,
    /// The receiver chooses.
    FlexBlocking,
    /// No answer.
    NoResponse,
}

impl ResponseType {
    pub(crate) fn from_proto(info: proto::ResponseTypeInfo) -> Result<Self, Error> {
        use proto::ResponseType as Kind;
        let kind = Kind::try_from(info.kind).unwrap_or(Kind::Unspecified);
        if kind != Kind::NonBlockingRequestAsynch && !info.notification_uris.is_empty() {
            return Err(Error::Unexpected("rt.nu"));
        }
        Ok(match kind {
            Kind::NonBlockingRequestSynch => Self::NonBlockingSynch,
            Kind::NonBlockingRequestAsynch => Self::NonBlockingAsynch(info.notification_uris),
            Kind::BlockingRequest => Self::Blocking,
            Kind::FlexBlocking => Self::FlexBlocking,
            Kind::NoResponse => Self::NoResponse,
            Kind::Unspecified => return Err(Error::invalid("rt.rtv", "write 1 to 5")),
        })
    }

    pub(crate) fn into_proto(self) -> proto::ResponseTypeInfo {
        use proto::ResponseType as Kind;
        let (kind, notification_uris) = match self {
            Self::NonBlockingSynch => (Kind::NonBlockingRequestSynch, Vec::new()),
            Self::NonBlockingAsynch(uris) => (Kind::NonBlockingRequestAsynch, uris),
            Self::Blocking => (Kind::BlockingRequest, Vec::new()),
            Self::FlexBlocking => (Kind::FlexBlocking, Vec::new()),
            Self::NoResponse => (Kind::NoResponse, Vec::new()),
        };
        proto::ResponseTypeInfo {
            kind: kind.into(),
            notification_uris,
        }
    }
}
