use alloc::vec::Vec;
use core::time::Duration;

use crate::{Error, Index, Limits, LogLimit, RespondPayload, generated as proto, packet::Reader};

/// When to renew an association, counted from the receipt of the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning, in whole seconds below 2^24.
    pub from: Duration,
    /// Its length, in whole seconds below 2^16.
    pub length: Duration,
}

const MAX_FROM: u64 = (1 << 24) - 1;
const MAX_LENGTH: u64 = (1 << 16) - 1;

impl Window {
    /// A window, rounded down to seconds and clamped to what the wire can say.
    #[must_use]
    pub fn new(from: Duration, length: Duration) -> Self {
        Self {
            from: Duration::from_secs(from.as_secs().min(MAX_FROM)),
            length: Duration::from_secs(length.as_secs().min(MAX_LENGTH)),
        }
    }

    fn seconds(self) -> (u32, u16) {
        (self.from.as_secs() as u32, self.length.as_secs() as u16)
    }
}

/// By which modes a handle may be redeemed (rule S1: failure never turns `fresh` into `light`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Without a DH.
    pub light: bool,
    /// With one.
    pub fresh: bool,
}

impl Modes {
    /// None at all: no handle.
    pub const NONE: Self = Self {
        light: false,
        fresh: false,
    };
    /// With a DH only.
    pub const FRESH: Self = Self {
        light: false,
        fresh: true,
    };
    /// Both.
    pub const BOTH: Self = Self {
        light: true,
        fresh: true,
    };

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            light: self.light && other.light,
            fresh: self.fresh && other.fresh,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.light && !self.fresh
    }

    /// Whether `mode` is one of them.
    #[must_use]
    pub const fn allow(self, mode: crate::Mode) -> bool {
        match mode {
            crate::Mode::Light => self.light,
            crate::Mode::Fresh => self.fresh,
        }
    }

    /// Two bits: 1 light, 2 fresh.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.light as u8 | (self.fresh as u8) << 1
    }

    /// Of two bits; others are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            light: bits & 1 != 0,
            fresh: bits & 2 != 0,
        }
    }
}

/// A handle that a responder gives: the initiator derives the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleGrant {
    /// The responder's tag over the handle's id.
    pub tag: [u8; 4],
    /// By which modes it may be redeemed; not none.
    pub modes: Modes,
    /// For how many seconds.
    pub lifetime: LogLimit,
}

/// What a responder hands out for the time after this association: a handle, and when to renew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The handle; none when the responder keeps none, and in a grant that moves the window.
    pub handle: Option<HandleGrant>,
    /// The renewal window.
    pub window: Option<Window>,
}

impl Grant {
    pub(crate) fn to_proto(self) -> proto::Grant {
        let (from, length) = self.window.map_or((0, 0), Window::seconds);
        let handle = self.handle;
        proto::Grant {
            tag: handle.map_or_else(Vec::new, |handle| handle.tag.to_vec()),
            modes: handle.map_or(0, |handle| handle.modes.bits().into()),
            handle_lifetime: handle.map_or(0, |handle| handle.lifetime.code().into()),
            window: self.window.map(|_| proto::Window {
                from_seconds: from,
                length_seconds: length.into(),
            }),
        }
    }

    pub(crate) fn from_proto(grant: &proto::Grant) -> Result<Self, Error> {
        let handle = if grant.tag.is_empty() {
            None
        } else {
            let tag = <[u8; 4]>::try_from(&grant.tag[..]).map_err(|_| Error::Range("tag"))?;
            handle(tag, grant.modes as u8, grant.handle_lifetime)?
        };
        let window = grant.window.map(|window| {
            Window::new(
                Duration::from_secs(window.from_seconds.into()),
                Duration::from_secs(window.length_seconds.into()),
            )
        });
        Ok(Self { handle, window })
    }
}

fn handle(tag: [u8; 4], modes: u8, lifetime: u32) -> Result<Option<HandleGrant>, Error> {
    let modes = Modes::from_bits(modes);
    let lifetime = u8::try_from(lifetime).map_err(|_| Error::Range("handle_lifetime"))?;
    Ok((!modes.is_empty()).then_some(HandleGrant {
        tag,
        modes,
        lifetime: LogLimit::from_code(lifetime),
    }))
}

/// What is sealed into a Resumed of mode `light`: a Respond's payload and a grant in a fixed layout.
///
/// ```text
/// flags(1) | index length(1) | index(0-4) | lifetime, bytes, messages, failed opens, epoch bits(5)
///          | remaining seconds(4) | window from(3) | window length(2) | handle lifetime(1) | tag(4)
/// flags: 1 light, 2 fresh, 4 no clock, 8 window
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightGrant {
    /// The responder's index and limits.
    pub payload: RespondPayload,
    /// The next handle and the renewal window.
    pub grant: Grant,
}

const NO_CLOCK: u8 = 4;
const HAS_WINDOW: u8 = 8;

impl LightGrant {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        let handle = self.grant.handle;
        let mut flags = handle.map_or(0, |handle| handle.modes.bits());
        if self.payload.no_clock {
            flags |= NO_CLOCK;
        }
        if self.grant.window.is_some() {
            flags |= HAS_WINDOW;
        }
        let index = self.payload.index;
        out.extend_from_slice(&[flags, index.map_or(0, |index| index.wire_len() as u8)]);
        crate::packet::push_index(&mut out, index);
        out.extend_from_slice(&self.payload.limits.codes());
        let remaining = self.payload.remaining.map_or(0, |left| left.as_secs());
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        out.extend_from_slice(&remaining.to_be_bytes());
        let (from, length) = self.grant.window.map_or((0, 0), Window::seconds);
        out.extend_from_slice(&from.to_be_bytes()[1..]);
        out.extend_from_slice(&length.to_be_bytes());
        out.push(handle.map_or(0, |handle| handle.lifetime.code()));
        out.extend_from_slice(&handle.map_or([0; 4], |handle| handle.tag));
        out
    }

    /// Parses it.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let flags = reader.byte("flags")?;
        let index_len = usize::from(reader.byte("index length")?);
        let index = match index_len {
            0 => None,
            1..=4 => Some(Index::from_bytes(reader.take(index_len, "index")?)?),
            _ => return Err(Error::Range("index length")),
        };
        let limits = Limits::from_codes(reader.array("limits")?)?;
        let remaining = u32::from_be_bytes(reader.array("remaining seconds")?);
        let [a, b, c] = reader.array("window")?;
        let from = u32::from_be_bytes([0, a, b, c]);
        let length = u16::from_be_bytes(reader.array("window")?);
        let lifetime = reader.byte("handle lifetime")?;
        let tag = reader.array("tag")?;
        if !reader.0.is_empty() {
            return Err(Error::Range("grant"));
        }
        let window = Window::new(
            Duration::from_secs(from.into()),
            Duration::from_secs(length.into()),
        );
        Ok(Self {
            payload: RespondPayload {
                index,
                limits,
                no_clock: flags & NO_CLOCK != 0,
                remaining: (remaining != 0).then(|| Duration::from_secs(remaining.into())),
            },
            grant: Grant {
                handle: handle(tag, flags, lifetime.into())?,
                window: (flags & HAS_WINDOW != 0).then_some(window),
            },
        })
    }
}
