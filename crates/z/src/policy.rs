//! Defaults of Z: which profiles, and how long keys live (CM10).

use core::time::Duration;

use refpoint_keys::Profile;

/// The profiles that a credential on Z allows unless it says otherwise.
///
/// `pinned` and `known`: both ends are servers of organisations that exchange static keys by contract. `psk`, too, since the
/// network may be the one that makes keys (GBA, AKMA), and then a symmetric key is what there is.
pub const PROFILES: [Profile; 3] = [Profile::Pinned, Profile::Known, Profile::Psk];

/// An association's hard limit: two hours, and never beyond the network key it was made with (K3).
///
/// Keys of others travel here: what one stolen memory image opens shall be little.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// How long keys are used before they are ratcheted: a minute, without a message.
pub const RATCHET: Duration = Duration::from_secs(60);

/// After how much silence to send an empty record: 25 s.
///
/// Reports come unasked, so the path must be open; it keeps the shortest usual NAT mapping (30 s).
pub const KEEPALIVE: Option<Duration> = Some(Duration::from_secs(25));

/// Whether an association may be resumed without a DH (`light`), and not only with one (`fresh`): no.
///
/// Keys of others travel here.
pub const LIGHT_RESUMPTION: bool = false;

/// How long a request waits for its response: 9 s, below the 10 s after which CSEs give up.
pub const PATIENCE: Duration = Duration::from_secs(9);

/// How long a network key is used at most, whatever the network says: a day.
///
/// GBA and AKMA keys live as long as the operator likes, often for weeks; a subscription that has ended should not open
/// associations for that long.
pub const LONGEST_NETWORK_KEY: Duration = Duration::from_secs(24 * 60 * 60);
