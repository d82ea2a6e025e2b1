//! Result codes and what HTTP makes of them.

use core::fmt;

/// The result code of a response (TS-0004, 6.6; short name `rsc`, header `X-M2M-RSC`). Open: releases add codes.
///
/// ```
/// use refpoint_primitive::ResultCode;
///
/// assert_eq!(ResultCode::SECURITY_ASSOCIATION_REQUIRED.http_status(), 403);
/// assert!(ResultCode::CREATED.is_success());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(i32);

impl ResultCode {
    /// The request was taken; its result will follow.
    pub const ACCEPTED: Self = Self(1000);
    /// Done.
    pub const OK: Self = Self(2000);
    /// The resource was made.
    pub const CREATED: Self = Self(2001);
    /// The resource was removed.
    pub const DELETED: Self = Self(2002);
    /// The resource was changed.
    pub const UPDATED: Self = Self(2004);
    /// The request cannot be read.
    pub const BAD_REQUEST: Self = Self(4000);
    /// Nothing is there.
    pub const NOT_FOUND: Self = Self(4004);
    /// The target knows no such operation.
    pub const OPERATION_NOT_ALLOWED: Self = Self(4005);
    /// No answer in time.
    pub const REQUEST_TIMEOUT: Self = Self(4008);
    /// The content has a form that is not taken.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(4015);
    /// The content is not taken.
    pub const CONTENTS_UNACCEPTABLE: Self = Self(4102);
    /// The originator may not do this.
    pub const ORIGINATOR_HAS_NO_PRIVILEGE: Self = Self(4103);
    /// The request contradicts another one.
    pub const CONFLICT: Self = Self(4105);
    /// The originator is not the authenticated entity.
    pub const ORIGINATOR_NOT_AUTHENTICATED: Self = Self(4106);
    /// The request came, or would leave, without a security association.
    pub const SECURITY_ASSOCIATION_REQUIRED: Self = Self(4107);
    /// The end-to-end key is not known, or not any more.
    pub const ESPRIM_UNKNOWN_KEY_ID: Self = Self(4112);
    /// What was protected end to end is not what its originator protected.
    pub const ESPRIM_BAD_MAC: Self = Self(4115);
    /// The originator is registered elsewhere.
    pub const ORIGINATOR_HAS_ALREADY_REGISTERED: Self = Self(4117);
    /// The receiver failed.
    pub const INTERNAL_SERVER_ERROR: Self = Self(5000);
    /// The receiver does not do this.
    pub const NOT_IMPLEMENTED: Self = Self(5001);
    /// The next hop cannot be reached.
    pub const TARGET_NOT_REACHABLE: Self = Self(5103);

    /// The code of this number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether it acknowledges (1xxx) or says that the request was done (2xxx).
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.0, 1000..=2999)
    }

    /// The HTTP status that goes with it (TS-0009, table 6.3.2-1). A code that the table does not hold gets the
    /// status of its class.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self.0 {
            2000 | 2002 | 2004 => 200,
            2001 => 201,
            1000..=1002 => 202,
            4000 | 4102 | 4110 | 4120 | 4122 | 4123 | 4143 | 6010 | 6022..=6024 => 400,
            4101 | 4103 | 4106..=4109 | 4111..=4117 | 4126 | 4127 => 403,
            5105 | 5203 | 5205 | 5208 | 5214 | 5215 | 5218 | 5222 => 403,
            4004 | 4118 | 4119 | 4121 | 5103 | 5107 | 6003 | 6005 => 404,
            4005 => 405,
            5207 => 406,
            4104 | 4105 | 4124 | 5106 | 5219 | 5220 | 6028 | 6029 => 409,
            4015 => 415,
            4001 | 4125 | 5001 | 5206 => 501,
            4008 | 6030 | 6031 => 504,
            1003..=1999 => 202,
            2000..=2999 => 200,
            4000..=4999 => 400,
            _ => 500,
        }
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
