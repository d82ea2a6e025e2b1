//! Defaults of X: which profiles, and how long keys live (CM10).

use core::time::Duration;

use refpoint_keys::Profile;

/// The profiles that a credential on X allows unless it says otherwise.
///
/// `psk` for devices that hold a service-layer key and little else: one DH a side, two small messages. `pinned` and
/// `known` where both have static keys; `known` also hides the device from who listens. `first-contact` belongs to
/// enrolment, never to traffic.
pub const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];

/// An association's hard limit: a day.
///
/// A refresh costs a device radio time and two curve operations; it is made in the first half of the lifetime, so about
/// twice a day. What a day may hide from who steals the device is bounded by [`RATCHET`] for the past, and by the refresh
/// for the future.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long keys are used before they are ratcheted: ten minutes.
///
/// A ratchet costs no message and two hashes, only on the next record after it is due; a sleeping device ratchets once
/// when it wakes.
pub const RATCHET: Duration = Duration::from_secs(10 * 60);

/// After how much silence to send an empty record: never.
///
/// A device that sleeps must not be woken to keep a NAT open; it speaks first, and what waits for it is held.
pub const KEEPALIVE: Option<Duration> = None;

/// Whether an association may be resumed without a DH (`light`), and not only with one (`fresh`): yes.
///
/// A device that lost its power, and a gateway with thousands of them that was restarted, are back with two small symmetric
/// messages. What it costs in forward secrecy is bounded by the responder's store, and by a full handshake a week.
pub const LIGHT_RESUMPTION: bool = true;

/// How long a request waits for its response: 9 s, below the 10 s after which CSEs give up.
pub const PATIENCE: Duration = Duration::from_secs(9);
