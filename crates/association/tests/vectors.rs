//! The transcripts of `tests/vectors/`, which an implementation of `proto/README.md` in another
//! language has written, come out of both backends byte for byte when its entropy goes in.

#[path = "vectors/datagrams.rs"]
mod datagrams;
#[path = "vectors/resumption.rs"]
mod resumption;
#[path = "vectors/stream_resumption.rs"]
mod stream_resumption;
#[path = "vectors/streams.rs"]
mod streams;
#[path = "support/support.rs"]
mod support;

use core::{convert::Infallible, time::Duration};

use rand_core::{TryCryptoRng, TryRng};
use refpoint_association::{Backend, Credential, Local, Modes, Policy, Suite};
use refpoint_keys::{Profile, PskContext, ReferencePoint, Version};
use refpoint_wire::LogLimit;
use serde_json::Value;
use support::{INITIATOR, RESPONDER, Setting, id};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hexadecimal")
}

fn code(value: &Value) -> u8 {
    let number = value.as_u64().expect("a number");
    u8::try_from(number).expect("a byte")
}

/// Gives its 32 bytes to who asks for 32, and 0x11 to all else: where a handshake draws its
/// ephemeral key, and where an end point draws indices and jitter.
struct Injected([u8; 32]);

impl Injected {
    fn new(value: &Value) -> Self {
        Self(bytes(value).try_into().expect("32 bytes"))
    }
}

impl TryRng for Injected {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x1111_1111)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x1111_1111_1111_1111)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        match <&mut [u8; 32]>::try_from(&mut *out) {
            Ok(out) => *out = self.0,
            Err(_) => out.fill(0x11),
        }
        Ok(())
    }
}

impl TryCryptoRng for Injected {}

/// How long a chain of resumptions may last.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// The two parties of a file, for one of its cases.
struct Parties {
    setting: Setting,
    initiator: (Local, Credential),
    responder: (Local, Credential),
}

impl Parties {
    /// Neither end resumes.
    fn new(file: &Value, case: &Value, backend: Backend) -> Self {
        Self::resuming(file, case, backend, (Modes::NONE, Modes::NONE))
    }

    /// The initiator resumes by the one, the responder grants the others.
    fn resuming(
        file: &Value,
        case: &Value,
        backend: Backend,
        (redeemed, granted): (Modes, Modes),
    ) -> Self {
        let setting = Setting {
            backend,
            profile: Profile::try_from(code(&case["profile"])).expect("a profile"),
            suite: Suite::try_from(code(&case["suite"])).expect("a suite"),
            point: ReferencePoint::try_from(code(&file["point"])).expect("a point"),
            key: bytes(&file["connection_key"]).try_into().expect("32 bytes"),
            static_keys: (
                bytes(&file["initiator_static"])
                    .try_into()
                    .expect("32 bytes"),
                bytes(&file["responder_static"])
                    .try_into()
                    .expect("32 bytes"),
            ),
            ..Setting::default()
        };
        assert_eq!(bytes(&file["key_id"]), setting.key_id);
        assert_eq!(
            (&file["initiator"], &file["responder"]),
            (&INITIATOR.into(), &RESPONDER.into())
        );
        let lifetime = LogLimit::from_code(code(&file["lifetime"])).value();
        let shorter = Policy::default()
            .with_resumption(redeemed, WEEK)
            .with_lifetime(Duration::from_secs(lifetime));
        let smaller = Policy::default()
            .with_resumption(granted, WEEK)
            .with_epoch_bits(code(&file["epoch_bits"]));
        let (local, credential) = setting.initiator();
        let initiator = (local, credential.with_policy(shorter.expect("valid")));
        let (local, credential) = setting.responder();
        let responder = (local, credential.with_policy(smaller.expect("valid")));
        Self {
            setting,
            initiator,
            responder,
        }
    }

    fn psk(&self) -> Vec<u8> {
        let context = PskContext {
            version: Version::CURRENT,
            profile: self.setting.profile,
            point: self.setting.point,
            initiator: &id(INITIATOR),
            responder: &id(RESPONDER),
        };
        let psk = self.setting.connection_key().association_psk(&context);
        psk.expect("its own context").expose_bytes().to_vec()
    }
}

fn cases(file: &Value) -> &Vec<Value> {
    let cases = file["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 6, "three profiles, two suites");
    cases
}
