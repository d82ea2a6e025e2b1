//! What a peer with genuine keys tries around a refresh (rules L1, L2, R7). Such peers are written
//! here, since the public interface does not let one misbehave.

use alloc::{sync::Arc, vec, vec::Vec};
use core::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_wire::{Control, RecordKind, SessionLabel};

use super::{
    Life, Opened, StreamInitiator, StreamResponder, StreamSession, handshake::context,
    refresh::Refresh, running::Running,
};
use crate::{
    Backend, Credential, CredentialId, Credentials, Error, Local, Now,
    negotiation::{Offer, Wanted},
};

const DEVICE: &str = "//sp.example.com/id-mn/Cdevice";
const OTHER: &str = "//sp.example.com/id-mn/Cother";
const GATEWAY: &str = "//sp.example.com/id-mn";

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

fn now() -> Now {
    Now::new(Duration::from_secs(1), UtcTime::from_secs(1_800_000_000))
}

/// The key of a device and the gateway, as one of the two holds it.
fn credential(of: &str, device: &str, point: ReferencePoint, secret: u8) -> Credential {
    let validity = Validity::until(UtcTime::from_secs(1_900_000_000));
    let key_id = KeyId::new(&[secret]).expect("a valid key id");
    let (a, b) = (id(device), id(GATEWAY));
    let key = ConnectionKey::from_bytes([secret; 32], key_id, point, &a, &b, validity);
    let key = Arc::new(key.expect("two entities"));
    Credential::new(&id(of), key, &[Profile::Psk]).expect("one of the two")
}

struct End {
    session: StreamSession,
    local: Local,
    credentials: Credentials,
    rng: ChaCha20Rng,
}

impl End {
    fn running(&mut self) -> &mut Running {
        match &mut self.session.0 {
            Life::Running(running) => running,
            Life::Failed(failed) => panic!("{:?}", failed.error),
        }
    }

    /// A frame with this control message, whatever the rules say.
    fn says(&mut self, control: &Control) -> Vec<u8> {
        self.seals(RecordKind::Control, false, &control.encode())
    }

    fn seals(&mut self, kind: RecordKind, confirm: bool, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let sealed = self.running().seal(now(), kind, confirm, data, &mut out);
        sealed.expect("may seal");
        out
    }

    fn hears(&mut self, frame: &[u8]) -> Result<Opened<'static>, Error> {
        let (mut frame, mut out) = (frame.to_vec(), Vec::new());
        match self.session.receive(now(), &mut frame, &mut out)? {
            Opened::Data(_) => panic!("nobody sends data"),
            Opened::Control => Ok(Opened::Control),
            Opened::Refresh => Ok(Opened::Refresh),
            Opened::Refreshed => Ok(Opened::Refreshed),
            Opened::Granted => Ok(Opened::Granted),
            Opened::Closed(reason) => Ok(Opened::Closed(reason)),
        }
    }

    fn refreshes(&mut self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let Self {
            session,
            local,
            credentials,
            rng,
        } = self;
        session.refresh(now(), rng, local, credentials, &mut out)?;
        Ok(out)
    }

    /// An Initiate by a credential of one's choice, bound to this association or not.
    fn initiate(
        &mut self,
        local: &Local,
        credential: Credential,
        label: &[u8],
        bound: bool,
    ) -> Vec<u8> {
        let mut binding = [0; 32];
        let exported = self
            .session
            .export(b"refpoint/1 refresh", b"", &mut binding);
        exported.expect("alive");
        let wanted = Wanted {
            credential: Arc::new(credential),
            id: self.session.peer().credential_id(),
            session: SessionLabel::new(label).expect("short"),
        };
        let context = context(local, Backend::default(), bound.then_some(&binding));
        let offer = Offer::new(&context, wanted, None, None, now(), &mut self.rng);
        offer.expect("may initiate").packet
    }
}

fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(prefix) = rest.first_chunk::<2>() {
        let (frame, more) = rest.split_at(2 + usize::from(u16::from_be_bytes(*prefix)));
        frames.push(frame.to_vec());
        rest = more;
    }
    frames
}

/// A device and a gateway, confirmed. The gateway knows another device, and this one at another
/// point, too.
fn associated() -> (End, End) {
    let mut table = Credentials::new();
    let own: CredentialId = table
        .insert(credential(DEVICE, DEVICE, ReferencePoint::Y, 1))
        .expect("the first");
    let mut known = Credentials::new();
    for (device, point, secret) in [
        (DEVICE, ReferencePoint::Y, 1),
        (OTHER, ReferencePoint::Y, 2),
        (DEVICE, ReferencePoint::X, 3),
    ] {
        let entry = credential(GATEWAY, device, point, secret);
        known.insert(entry).expect("each has one owner");
    }
    let locals = [Local::new(id(DEVICE)), Local::new(id(GATEWAY))];
    let mut rngs = [1, 2].map(ChaCha20Rng::seed_from_u64);
    let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let backend = Backend::default();
    let initiator = StreamInitiator::new(
        now(),
        &mut rngs[0],
        &locals[0],
        backend,
        (own, table.find(own).expect("there").clone()),
        SessionLabel::default(),
        &mut forth,
    );
    let responder = StreamResponder::receive(
        now(),
        &mut rngs[1],
        &locals[1],
        backend,
        &known,
        &forth[2..],
        &mut back,
    );
    let initiator = initiator.and_then(|end| end.receive(now(), &back[2..], &mut confirm));
    let [local, peer] = locals;
    let [rng, other] = rngs;
    let mut device = End {
        session: initiator.expect("opens"),
        local,
        credentials: table,
        rng,
    };
    let mut gateway = End {
        session: responder.expect("opens"),
        local: peer,
        credentials: known,
        rng: other,
    };
    let mut answer = Vec::new();
    let confirmed = gateway.session.receive(now(), &mut confirm, &mut answer);
    confirmed.expect("confirms");
    device.hears(&answer).expect("opens");
    (device, gateway)
}

fn switched() -> Control {
    Control {
        switched: true,
        ..Control::default()
    }
}

/// Brings a refresh to where the gateway has answered, and gives the answer.
fn answered(device: &mut End, gateway: &mut End) -> Vec<u8> {
    let asked = device.refreshes().expect("may refresh");
    assert_eq!(gateway.hears(&asked), Ok(Opened::Refresh));
    gateway.refreshes().expect("answers")
}

#[test]
fn a_switch_that_nothing_has_led_to_ends_the_stream() {
    let (mut device, mut gateway) = associated();
    let frame = device.says(&switched());
    assert_eq!(gateway.hears(&frame), Err(Error::Unexpected));
    assert_eq!(gateway.session.end(), Err(Error::Unexpected));
    let (mut device, mut gateway) = associated();
    let frame = gateway.says(&switched());
    assert_eq!(device.hears(&frame), Err(Error::Unexpected));
    // Before its confirmation, the responder's comes too early: the initiator has not switched.
    let (mut device, mut gateway) = associated();
    let refreshed = answered(&mut device, &mut gateway);
    assert_eq!(device.hears(&refreshed), Ok(Opened::Refresh));
    let frame = gateway.says(&switched());
    assert_eq!(device.hears(&frame), Err(Error::Unexpected));
}

#[test]
fn a_switch_stands_alone() {
    let along: [fn(&mut Control); 4] = [
        |control| control.refresh = Some(vec![8]),
        |control| control.refreshed = Some(vec![16]),
        |control| control.renew_now = true,
        |control| control.remaining = Some(Duration::from_secs(5)),
    ];
    for add in along {
        let (mut device, mut gateway) = associated();
        let refreshed = answered(&mut device, &mut gateway);
        device.hears(&refreshed).expect("opens");
        let mut control = switched();
        add(&mut control);
        let frame = device.says(&control);
        assert_eq!(gateway.hears(&frame), Err(Error::Unexpected), "{control:?}");
    }
}

#[test]
fn roles_do_not_swap() {
    // A responder that refreshes, an initiator that answers: both end the stream.
    let (mut device, mut gateway) = associated();
    let local = gateway.local.clone();
    let entry = credential(GATEWAY, DEVICE, ReferencePoint::Y, 1);
    let initiate = gateway.initiate(&local, entry, b"", true);
    let frame = gateway.says(&Control {
        refresh: Some(initiate),
        ..Control::default()
    });
    assert_eq!(device.hears(&frame), Err(Error::Unexpected));
    let (mut device, mut gateway) = associated();
    let frame = device.says(&Control {
        refreshed: Some(vec![16; 60]),
        ..Control::default()
    });
    assert_eq!(gateway.hears(&frame), Err(Error::Unexpected));
    // Nor does a responder refresh when it is asked to.
    let (mut device, mut gateway) = associated();
    let frame = device.says(&Control {
        renew_now: true,
        ..Control::default()
    });
    assert_eq!(gateway.hears(&frame), Ok(Opened::Control));
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_stream() {
    let (mut device, mut gateway) = associated();
    let refreshed = answered(&mut device, &mut gateway);
    device.hears(&refreshed).expect("opens");
    let frame = gateway.says(&Control {
        refreshed: Some(vec![16; 60]),
        ..Control::default()
    });
    device.refreshes().expect("switches");
    assert_eq!(device.hears(&frame), Err(Error::Unexpected));
}

#[test]
fn an_initiate_for_another_association_entity_point_or_session_is_refused_and_changes_nothing() {
    let refused = |initiate: &dyn Fn(&mut End) -> Vec<u8>, error: Error| {
        let (mut device, mut gateway) = associated();
        let initiate = initiate(&mut device);
        let frame = device.says(&Control {
            refresh: Some(initiate),
            ..Control::default()
        });
        assert_eq!(gateway.hears(&frame), Ok(Opened::Refresh));
        assert_eq!(gateway.refreshes(), Err(error));
        // The old association goes on, and may still be refreshed.
        let refreshed = answered(&mut device, &mut gateway);
        device.hears(&refreshed).expect("opens");
        for frame in frames(&device.refreshes().expect("switches")) {
            gateway.hears(&frame).expect("opens");
        }
        assert_eq!(gateway.session.refreshes(), 1);
    };
    let own = || credential(DEVICE, DEVICE, ReferencePoint::Y, 1);
    let bound_to_nothing =
        |device: &mut End| device.initiate(&Local::new(id(DEVICE)), own(), b"", false);
    refused(&bound_to_nothing, Error::Authentication);
    let of_another = |device: &mut End| {
        let stolen = credential(OTHER, OTHER, ReferencePoint::Y, 2);
        device.initiate(&Local::new(id(OTHER)), stolen, b"", true)
    };
    refused(&of_another, Error::Authentication);
    let at_another_point = |device: &mut End| {
        let other = credential(DEVICE, DEVICE, ReferencePoint::X, 3);
        device.initiate(&Local::new(id(DEVICE)), other, b"", true)
    };
    refused(&at_another_point, Error::Authentication);
    let in_another_session =
        |device: &mut End| device.initiate(&Local::new(id(DEVICE)), own(), b"label", true);
    refused(&in_another_session, Error::Authentication);
    let (mut device, mut gateway) = associated();
    let frame = device.says(&Control {
        refresh: Some(vec![8, 1, 0x29]),
        ..Control::default()
    });
    assert_eq!(gateway.hears(&frame), Ok(Opened::Refresh));
    assert!(matches!(gateway.refreshes(), Err(Error::Wire(_))));
    let too_long = |_: &mut End| vec![8; 1025];
    let size = Error::TooLarge {
        size: 1025,
        limit: 1024,
    };
    refused(&too_long, size);
}

#[test]
fn a_first_record_that_does_not_confirm_ends_the_stream() {
    // Without the flag; or with it, but of the user's.
    for (kind, confirm) in [
        (RecordKind::Control, false),
        (RecordKind::Data, true),
        (RecordKind::Data, false),
    ] {
        let (mut device, mut gateway) = associated();
        let refreshed = answered(&mut device, &mut gateway);
        device.hears(&refreshed).expect("opens");
        let genuine = frames(&device.refreshes().expect("switches"));
        // What the device seals next is the second record; the first is left out by sealing anew
        // from the same state in a twin.
        assert_eq!(gateway.hears(&genuine[0]), Ok(Opened::Control));
        let running = device.running();
        let Refresh::Switched(..) = &running.refresh else {
            panic!("it has switched");
        };
        let second = device.seals(kind, confirm, b"");
        assert!(gateway.hears(&second).is_err(), "{kind:?} {confirm}");
        assert!(gateway.session.export(b"l", b"", &mut [0; 8]).is_err());
    }
}
