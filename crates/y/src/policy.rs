//! Defaults of Y: which profiles, and how long keys live (CM10).

use core::time::Duration;

use refpoint_keys::Profile;

/// The profiles that a credential on Y allows unless it says otherwise.
///
/// Service nodes have static keys and know each other's: `pinned` refuses a stranger before any curve operation, `known`
/// hides which gateway calls. `psk` authenticates by a symmetric key alone, so that whoever reads one end's key store can
/// play the other; it must be allowed by name.
pub const PROFILES: [Profile; 2] = [Profile::Pinned, Profile::Known];

/// An association's hard limit: eight hours.
///
/// Service nodes have processors to spare, and much runs over one association: a refresh every few hours bounds what a
/// stolen memory image can open later. Much less would only make a core with many gateways busy with handshakes.
pub const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);

/// How long keys are used before they are ratcheted: two minutes, without a message.
pub const RATCHET: Duration = Duration::from_secs(120);

/// After how much silence to send an empty record: 25 s.
///
/// It keeps the shortest usual NAT mapping (30 s), and a dead path is noticed before the next request needs it.
pub const KEEPALIVE: Option<Duration> = Some(Duration::from_secs(25));

/// Whether an association may be resumed without a DH (`light`), and not only with one (`fresh`): no.
///
/// Service nodes have the processors for a DH, and much runs over one association: who finds a redeemed secret should not
/// read it.
pub const LIGHT_RESUMPTION: bool = false;

/// How long a request waits for its response: 9 s, below the 10 s after which CSEs give up.
pub const PATIENCE: Duration = Duration::from_secs(9);
