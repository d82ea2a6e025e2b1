//! An attacker on the path of a stream: whatever it does to a frame, what is delivered is a
//! beginning of what was sent, and an end is only the peer's.

#[path = "support/support.rs"]
mod support;

use refpoint_association::{
    CloseReason, Error, Opened, SessionLabel, StreamInitiator, StreamResponder, StreamSession,
};
use refpoint_keys::{Profile, ReferencePoint};
use support::{Setting, now, rng, table};

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];
/// The payloads of an exchange: which end sends, at what second, what. The third frame of each end
/// is in the next epoch.
const TALK: [(usize, u64, &[u8]); 6] = [
    (0, 1, b"one"),
    (1, 1, b"eins"),
    (0, 2, b"two"),
    (1, 200, b"zwei"),
    (0, 200, b"three"),
    (1, 201, b"drei"),
];
/// Initiate, Respond, confirm, answer, the talk, the initiator's close.
const FRAMES: usize = 4 + TALK.len() + 1;

fn of_profile(profile: Profile) -> Setting {
    Setting {
        profile,
        ..Setting::default()
    }
}

/// What an exchange came to.
#[derive(Default)]
struct Outcome {
    frames: Vec<Vec<u8>>,
    /// What the responder and the initiator delivered.
    delivered: [Vec<Vec<u8>>; 2],
    failed: Option<Error>,
    closed: bool,
}

/// Which end sends the nth frame: the initiator is 0.
fn sender(nth: usize) -> usize {
    match nth {
        0 | 2 => 0,
        1 | 3 => 1,
        _ => TALK.get(nth - 4).map_or(0, |(end, ..)| *end),
    }
}

/// Runs an exchange; `tamper` gives the frames that arrive in place of the nth. The first error
/// ends it, as it does a connection.
fn run(setting: &Setting, seed: u64, tamper: impl Fn(usize, &[u8]) -> Vec<Vec<u8>>) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = exchange(setting, seed, tamper, &mut outcome) {
        outcome.failed = Some(error);
    }
    outcome
}

fn exchange(
    setting: &Setting,
    seed: u64,
    tamper: impl Fn(usize, &[u8]) -> Vec<Vec<u8>>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let pass = |frame: Vec<u8>, outcome: &mut Outcome| {
        let arriving = tamper(outcome.frames.len(), &frame);
        outcome.frames.push(frame);
        arriving
    };
    let content = |frame: &[u8]| frame.get(2..).unwrap_or_default().to_vec();
    let (local, credential) = setting.initiator();
    let (credentials, id) = table(credential);
    let entry = (id, credentials.find(id).expect("inserted").clone());
    let (mut out, label) = (Vec::new(), SessionLabel::default());
    let backend = setting.backend;
    let mut rng = [rng(seed), rng(seed + 1)];
    let first = &mut rng[0];
    let initiator = StreamInitiator::new(now(0), first, &local, backend, entry, label, &mut out)?;
    let (local, credential) = setting.responder();
    let (credentials, _) = table(credential);
    let arriving = pass(core::mem::take(&mut out), outcome);
    let initiate = arriving.first().map(|frame| content(frame));
    let mut responder = StreamResponder::receive(
        now(0),
        &mut rng[1],
        &local,
        backend,
        &credentials,
        &initiate.unwrap_or_default(),
        &mut out,
    )?;
    for extra in arriving.iter().skip(1) {
        receive(&mut responder, 0, extra, &mut outcome.delivered[0])?;
    }
    let arriving = pass(core::mem::take(&mut out), outcome);
    let respond = arriving.first().map(|frame| content(frame));
    let mut initiator = initiator.receive(now(0), &respond.unwrap_or_default(), &mut out)?;
    for extra in arriving.iter().skip(1) {
        receive(&mut initiator, 0, extra, &mut outcome.delivered[1])?;
    }
    let mut answer = Vec::new();
    for frame in pass(out, outcome) {
        answer.extend(receive(
            &mut responder,
            0,
            &frame,
            &mut outcome.delivered[0],
        )?);
    }
    for frame in pass(answer, outcome) {
        receive(&mut initiator, 0, &frame, &mut outcome.delivered[1])?;
    }
    let mut ends = [initiator, responder];
    for (from, at, payload) in TALK {
        let mut out = Vec::new();
        ends[from].send(now(at), payload, &mut out)?;
        for frame in pass(out, outcome) {
            let to = 1 - from;
            receive(&mut ends[to], at, &frame, &mut outcome.delivered[from])?;
        }
    }
    let mut out = Vec::new();
    ends[0].close(now(202), CloseReason::Done, &mut out)?;
    for frame in pass(out, outcome) {
        receive(&mut ends[1], 202, &frame, &mut outcome.delivered[0])?;
    }
    outcome.closed = ends[1].end().is_ok();
    Ok(())
}

/// Opens a frame; gives what answers it.
fn receive(
    session: &mut StreamSession,
    at: u64,
    frame: &[u8],
    delivered: &mut Vec<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    let mut answer = Vec::new();
    if let Opened::Data(data) = session.receive(now(at), &mut frame.to_vec(), &mut answer)? {
        assert!(session.is_confirmed(), "before the confirm");
        delivered.push(data.to_vec());
    }
    Ok(answer)
}

/// What is delivered is a beginning of what was sent, and what was not tampered with of it.
fn assert_sound(outcome: &Outcome, tampered: usize, what: &str) {
    for end in [0, 1] {
        let sent = TALK.iter().filter(|(from, ..)| *from == end);
        let sent: Vec<_> = sent.map(|(_, _, payload)| payload.to_vec()).collect();
        let delivered = &outcome.delivered[end];
        assert!(sent.starts_with(delivered), "{what}: foreign data");
    }
    if tampered < FRAMES {
        assert!(outcome.failed.is_some(), "{what}: nobody noticed");
        assert!(!outcome.closed, "{what}: an end that nobody made");
        let before = (4..tampered.max(4))
            .filter(|nth| nth - 4 < TALK.len())
            .count();
        let delivered = outcome.delivered.iter().map(Vec::len).sum::<usize>();
        assert!(delivered <= before, "{what}: delivered after the attack");
    }
}

#[test]
fn an_exchange_that_nobody_attacks_is_whole() {
    for profile in PROFILES {
        let outcome = run(&of_profile(profile), 1, |_, frame| vec![frame.to_vec()]);
        assert_eq!(outcome.failed, None);
        assert!(outcome.closed);
        assert_eq!(outcome.frames.len(), FRAMES);
        assert_eq!(outcome.delivered.iter().map(Vec::len).sum::<usize>(), 6);
        assert_sound(&outcome, FRAMES, "nobody");
    }
}

/// Replaces the nth frame by each of `copies` in turn; all are noticed.
fn replace(profile: Profile, nth: usize, copies: &[Vec<u8>], how: &str) {
    for (number, copy) in copies.iter().enumerate() {
        let outcome = run(&of_profile(profile), 1, |at, frame| {
            vec![if at == nth {
                copy.clone()
            } else {
                frame.to_vec()
            }]
        });
        assert_sound(&outcome, nth, &format!("{profile:?} {nth} {how} {number}"));
    }
}

#[test]
fn a_flipped_cut_or_lengthened_frame_is_noticed_and_nothing_after_it_is_delivered() {
    for profile in PROFILES {
        let genuine = run(&of_profile(profile), 1, |_, frame| vec![frame.to_vec()]);
        for (nth, frame) in genuine.frames.iter().enumerate() {
            // The length of a handshake's frame is the transport's to read.
            let start = if nth < 2 { 2 } else { 0 };
            let flips = (start..frame.len()).map(|at| {
                let mut copy = frame.clone();
                copy[at] ^= 1 << (at % 8);
                copy
            });
            let cuts = (start..frame.len())
                .step_by(3)
                .map(|at| frame[..at].to_vec());
            let longer = [frame, &[0][..]].concat();
            let copies: Vec<_> = flips.chain(cuts).chain([longer]).collect();
            replace(profile, nth, &copies, "damaged");
        }
    }
}

#[test]
fn frames_of_others_are_noticed() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let pass = |_, frame: &[u8]| vec![frame.to_vec()];
        let mut others = vec![run(&setting, 7, pass)];
        for point in [ReferencePoint::Y, ReferencePoint::Z] {
            let other = Setting {
                point,
                ..setting.clone()
            };
            others.push(run(&other, 1, pass));
        }
        let other = Setting {
            initiator: support::STRANGER,
            ..setting.clone()
        };
        others.push(run(&other, 1, pass));
        for (which, other) in others.iter().enumerate() {
            for nth in 0..FRAMES {
                if which == 0 && nth == 0 {
                    // An earlier Initiate is answered; the confirm that follows is for another.
                    let outcome = run(&setting, 1, |at, frame| {
                        vec![if at == 0 {
                            other.frames[0].clone()
                        } else {
                            frame.to_vec()
                        }]
                    });
                    assert_sound(&outcome, 1, "an earlier Initiate");
                    continue;
                }
                replace(profile, nth, &other.frames[nth..=nth], "of another");
            }
        }
    }
}

#[test]
fn repeated_dropped_swapped_and_reflected_frames_are_noticed() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let genuine = run(&setting, 1, |_, frame| vec![frame.to_vec()]).frames;
        for nth in 2..FRAMES {
            let what = |how: &str| format!("{profile:?} {nth} {how}");
            let twice = run(&setting, 1, |at, frame| {
                vec![frame.to_vec(); if at == nth { 2 } else { 1 }]
            });
            // The copy is refused, where it does not come after the end.
            let last = nth + 1 == FRAMES;
            assert!(twice.failed.is_some(), "{}", what("twice"));
            assert_sound(&twice, if last { FRAMES } else { nth + 1 }, &what("twice"));
            let swapped = run(&setting, 1, |at, frame| {
                // The next of the same sender comes first.
                let next = (nth + 1..FRAMES).find(|next| sender(*next) == sender(nth));
                match next {
                    Some(next) if at == nth => vec![genuine[next].clone(), frame.to_vec()],
                    _ => vec![frame.to_vec()],
                }
            });
            let has_next = (nth + 1..FRAMES).any(|next| sender(next) == sender(nth));
            if has_next {
                assert_sound(&swapped, nth, &what("swapped"));
            }
            let dropped = run(&setting, 1, |at, frame| {
                if at == nth {
                    Vec::new()
                } else {
                    vec![frame.to_vec()]
                }
            });
            let sent_after = has_next && nth > 3;
            if sent_after {
                assert!(dropped.failed.is_some(), "{}", what("dropped"));
            }
            assert!(!dropped.closed || sender(nth) == 1, "{}", what("dropped"));
            // Back to its sender, in place of what the other end says next.
            let reply = (nth + 1..FRAMES).find(|next| sender(*next) != sender(nth));
            if let Some(reply) = reply {
                let reflected = run(&setting, 1, |at, frame| {
                    vec![if at == reply {
                        genuine[nth].clone()
                    } else {
                        frame.to_vec()
                    }]
                });
                assert_sound(&reflected, reply, &what("reflected"));
            }
        }
    }
}
