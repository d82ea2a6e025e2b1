//! An arbitrary transcript never authenticates.

use std::sync::OnceLock;

use refpoint_association::{SessionLabel, StreamInitiator, StreamResponder};
use refpoint_sim::Entropy;

use super::party::{BACKEND, CHOICES, now, parties};
use crate::Input;

/// Whatever a stranger says, or repeats of what others said, no end takes it for its peer.
///
/// A byte each for profile and suite, for the end under attack, and for profile and suite of the
/// genuine handshake that the stranger has overheard; then what it says, see `speech`.
pub fn association_handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let (device, gateway) = parties(input.byte());
    let against_responder = input.byte().is_multiple_of(2);
    let overheard = overhear(input.byte());
    let mut rng = Entropy::new(1, "under attack");
    let mut out = Vec::new();

    if against_responder {
        let initiate = speech(&mut input, overheard);
        let session = StreamResponder::receive(
            now(0),
            &mut rng,
            &gateway.local,
            BACKEND,
            &gateway.credentials,
            &initiate,
            &mut out,
        );
        assert!(out.len() <= initiate.len() + 64, "an answer that amplifies");
        // A repeated Initiate is answered. It confirms nothing, and nothing is sent before (H6).
        let Ok(mut session) = session else { return };
        assert!(!session.is_confirmed());
        assert!(session.send(now(0), b"early", &mut out).is_err());
        out.clear();
        let mut confirm = speech(&mut input, overheard);
        assert!(session.receive(now(0), &mut confirm, &mut out).is_err());
        assert!(!session.is_confirmed() && out.is_empty());
    } else {
        let initiator = StreamInitiator::new(
            now(0),
            &mut rng,
            &device.local,
            BACKEND,
            device.credential,
            SessionLabel::default(),
            &mut out,
        );
        let initiator = initiator.expect("its credential allows it");
        out.clear();
        let respond = speech(&mut input, overheard);
        assert!(initiator.receive(now(0), &respond, &mut out).is_err());
        assert!(out.is_empty());
    }
}

/// What a genuine handshake put on the wire: Initiate, Respond, confirm.
type Transcript = [Vec<u8>; 3];

/// A genuine handshake with other ephemerals; the same every time, so made once.
fn overhear(choice: u8) -> &'static Transcript {
    static MADE: [OnceLock<Transcript>; CHOICES] = [const { OnceLock::new() }; CHOICES];
    let choice = usize::from(choice) % CHOICES;
    MADE[choice].get_or_init(|| make_transcript(choice as u8))
}

fn make_transcript(choice: u8) -> Transcript {
    let (device, gateway) = parties(choice);
    let [mut forth, mut back, mut confirm] = [const { Vec::new() }; 3];
    let initiator = StreamInitiator::new(
        now(0),
        &mut Entropy::new(2, "device"),
        &device.local,
        BACKEND,
        device.credential,
        SessionLabel::default(),
        &mut forth,
    );
    let initiate = forth.split_off(2);
    StreamResponder::receive(
        now(0),
        &mut Entropy::new(2, "gateway"),
        &gateway.local,
        BACKEND,
        &gateway.credentials,
        &initiate,
        &mut back,
    )
    .expect("the Initiate is genuine");
    let respond = back.split_off(2);
    initiator
        .and_then(|initiator| initiator.receive(now(0), &respond, &mut confirm))
        .expect("the Respond is genuine");
    [initiate, respond, confirm]
}

/// A byte that chooses a packet overheard, or else two bytes of length and bytes of one's own;
/// then how many changes: a place in two bytes, and a difference (zero cuts the packet there).
fn speech(input: &mut Input<'_>, overheard: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = if let Some(packet) = overheard.get(usize::from(input.byte() % 4)) {
        packet.clone()
    } else {
        let length = u16::from_be_bytes(input.array());
        input.bytes(length.into()).to_vec()
    };
    for _ in 0..input.byte() % 8 {
        let at = usize::from(u16::from_be_bytes(input.array())) % packet.len().max(1);
        match (input.byte(), packet.get_mut(at)) {
            (0, _) | (_, None) => packet.truncate(at),
            (difference, Some(byte)) => *byte ^= difference,
        }
    }
    packet
}
