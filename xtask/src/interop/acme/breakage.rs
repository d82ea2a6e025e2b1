//! Deliberate faults, to see every check fail once.
//!
//! `REFPOINT_INTEROP_BREAK=NAME cargo xtask interop acme` runs with one of them and has to end non-zero;
//! `REFPOINT_INTEROP_BREAK=each` runs with one after the other and prints which of them makes each check fail. A check
//! that none of them fails would prove nothing, so that is a failure too.

use std::env;

use anyhow::Context as _;

/// A fault that the harness brings about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakage {
    /// Letters are exchanged between the two HTTP sockets of every line.
    Alter,
    /// Gateway and core do not reach each other.
    CutCore,
    /// The AE does not reach its CSE.
    CutDevice,
    /// Nothing reaches the AEs.
    CutNotifications,
    /// The strangers reach nobody.
    CutStrangers,
    /// The port of the gateway's CSE is taken.
    BusyPort,
    /// The attackers claim to be nobody in particular.
    HarmlessAttacks,
    /// The captures listen where nothing happens.
    DeafCapture,
    /// The associations are replaced by plain relays.
    PlainLinks,
}

/// What the environment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The test itself.
    Whole,
    /// The test with one fault.
    Broken(Breakage),
    /// The test with every fault, one after the other.
    Each,
}

/// What a relay does to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    None,
    /// Every connection is closed at once.
    Cut,
    /// Letters are exchanged, but so that messages stay well formed.
    Alter,
}

impl Breakage {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Alter,
        Self::CutCore,
        Self::CutDevice,
        Self::CutNotifications,
        Self::CutStrangers,
        Self::BusyPort,
        Self::HarmlessAttacks,
        Self::DeafCapture,
        Self::PlainLinks,
    ];

    /// The name in the environment.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alter => "alter",
            Self::CutCore => "cut-core",
            Self::CutDevice => "cut-device",
            Self::CutNotifications => "cut-notifications",
            Self::CutStrangers => "cut-strangers",
            Self::BusyPort => "busy-port",
            Self::HarmlessAttacks => "harmless-attacks",
            Self::DeafCapture => "deaf-capture",
            Self::PlainLinks => "plain-links",
        }
    }
}

impl Wish {
    /// Reads `REFPOINT_INTEROP_BREAK`.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        let Ok(name) = env::var("REFPOINT_INTEROP_BREAK") else {
            return Ok(Self::Whole);
        };
        if name == "each" {
            return Ok(Self::Each);
        }
        let names = Breakage::ALL.map(Breakage::name).join(", ");
        let breakage = Breakage::ALL
            .into_iter()
            .find(|breakage| breakage.name() == name);
        let breakage = breakage
            .with_context(|| format!("REFPOINT_INTEROP_BREAK must be `each` or one of: {names}"))?;
        Ok(Self::Broken(breakage))
    }
}

impl Damage {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Cut => 1,
            Self::Alter => 2,
        }
    }

    pub(super) fn of(code: u8) -> Self {
        match code {
            1 => Self::Cut,
            2 => Self::Alter,
            _ => Self::None,
        }
    }

    /// Alters one letter of a header's name, and one character in the middle of a large piece.
    pub(super) fn alter(self, piece: &mut [u8]) {
        if self != Self::Alter {
            return;
        }
        let name = b"X-M2M-RVI";
        if let Some(at) = piece.windows(name.len()).position(|window| window == name) {
            piece[at] = b'x';
        }
        let middle = piece.len() / 2;
        if piece.len() > 4096 && piece[middle].is_ascii_alphanumeric() {
            piece[middle] ^= 1;
        }
    }
}
