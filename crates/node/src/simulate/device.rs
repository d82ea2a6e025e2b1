/// A device in a storm, as small as it can be: there are millions.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// When it wakes, in nanoseconds; a wake-up at another time is one that it thought better of.
    pub(super) timer: u64,
    /// The slot that it was told, in milliseconds.
    pub(super) slot: u32,
    /// How far away that was when it was told, or how long it paused, in milliseconds.
    pub(super) span: u32,
    /// When the responder made a handshake with it, in milliseconds.
    pub(super) served: u32,
    pub(super) attempts: u16,
    pub(super) repeats: u8,
    pub(super) state: State,
}

/// What a device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Asking, and nothing has come back.
    Asking,
    /// Asking, and it would not listen to a hint.
    Deaf,
    /// Waiting for its slot.
    Waiting,
    /// Asking in its slot.
    Returned,
    /// Associated.
    Back,
}

/// No time at all.
pub(super) const NEVER: u32 = u32::MAX;

impl Device {
    pub(super) const fn new() -> Self {
        Self {
            timer: 0,
            slot: NEVER,
            span: 0,
            served: NEVER,
            attempts: 0,
            repeats: 0,
            state: State::Asking,
        }
    }
}

/// What happens to a device: its number below, and what in the upper bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// Its timer fires.
    Wakes,
    /// Its request arrives.
    Asks,
    /// Its request arrives with a token.
    Returns,
    /// A hint arrives at it.
    IsTold,
    /// An answer arrives at it.
    IsAnswered,
}

const NUMBER_BITS: u32 = 28;

/// The most devices that can be simulated.
pub(super) const MOST: u32 = 1 << NUMBER_BITS;

impl Happening {
    pub(super) const fn to(self, device: u32) -> u32 {
        (self as u32) << NUMBER_BITS | device
    }

    pub(super) const fn read(entry: u32) -> (Self, u32) {
        let happening = match entry >> NUMBER_BITS {
            0 => Self::Wakes,
            1 => Self::Asks,
            2 => Self::Returns,
            3 => Self::IsTold,
            _ => Self::IsAnswered,
        };
        (happening, entry & (MOST - 1))
    }
}
