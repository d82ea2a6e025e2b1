//! An attacker on the path of a stream that is refreshed: whatever it does to the frames around the
//! seam, what is delivered is a beginning of what was sent, and an end is only the peer's.

#[path = "support/support.rs"]
mod support;
#[path = "support/talk.rs"]
mod talk;

use refpoint_association::Error;
use refpoint_keys::{Profile, ReferencePoint};
use support::Setting;
use talk::{INITIATOR, RESPONDER, Talk};

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];

fn of_profile(profile: Profile) -> Setting {
    Setting {
        profile,
        ..Setting::default()
    }
}

/// What an exchange came to.
struct Outcome {
    /// Every frame, with the end that sent it.
    frames: Vec<(usize, Vec<u8>)>,
    failed: Option<Error>,
    delivered: usize,
    ended: bool,
}

/// Two refreshes with data before, amid and after them, and a close by either end. `tamper` gives
/// what arrives in place of the nth frame. The first error ends it, as it does a connection;
/// [`Talk`] checks that what is delivered is what was sent next.
fn run(
    setting: &Setting,
    seed: u64,
    tamper: impl Fn(usize, usize, &[u8]) -> Vec<Vec<u8>>,
) -> Outcome {
    let mut talk = Talk::between(setting, setting, seed);
    let mut frames = Vec::new();
    let mut failed = None;
    for round in 0..3_u8 {
        for end in [INITIATOR, RESPONDER] {
            talk.send(end, &[round, 0]);
        }
        if round < 2 {
            talk.begin_refresh();
        }
        for end in [INITIATOR, RESPONDER] {
            talk.send(end, &[round, 1]);
        }
        if round == 2 {
            for end in &mut talk.ends {
                end.close(talk.now);
            }
        }
        failed = failed.or(pass(&mut talk, &mut frames, &tamper).err());
        if failed.is_some() {
            break;
        }
    }
    Outcome {
        frames,
        failed,
        delivered: talk.ends.iter().map(|end| end.delivered.len()).sum(),
        ended: talk.ends.iter().all(|end| end.session.end().is_ok()),
    }
}

fn pass(
    talk: &mut Talk,
    frames: &mut Vec<(usize, Vec<u8>)>,
    tamper: &impl Fn(usize, usize, &[u8]) -> Vec<Vec<u8>>,
) -> Result<(), Error> {
    loop {
        let mut quiet = true;
        for from in [INITIATOR, RESPONDER] {
            let Some(frame) = talk.ends[from].frames.pop_front() else {
                continue;
            };
            quiet = false;
            let arriving = tamper(frames.len(), from, &frame);
            frames.push((from, frame.clone()));
            for copy in arriving {
                if let Err(error) = talk.deliver_frame(from, copy) {
                    // After the end of one direction nothing can do harm there.
                    let after_end = talk.ends[from].closed.is_some();
                    assert!(after_end || talk.deliver_frame(from, frame).is_err());
                    return if after_end { Ok(()) } else { Err(error) };
                }
            }
        }
        if quiet {
            return Ok(());
        }
    }
}

fn untouched(_: usize, _: usize, frame: &[u8]) -> Vec<Vec<u8>> {
    vec![frame.to_vec()]
}

fn assert_noticed(outcome: &Outcome, what: &str) {
    assert!(
        outcome.failed.is_some() || !outcome.ended,
        "{what}: nobody noticed"
    );
}

#[test]
fn an_exchange_that_nobody_attacks_is_whole() {
    for profile in PROFILES {
        let outcome = run(&of_profile(profile), 1, untouched);
        assert_eq!(outcome.failed, None);
        assert_eq!(outcome.delivered, 12);
        assert!(outcome.ended);
        // Twelve of data, twice six of a refresh, two closes.
        assert_eq!(outcome.frames.len(), 26);
    }
}

#[test]
fn a_flipped_cut_or_lengthened_frame_is_noticed() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let genuine = run(&setting, 1, untouched).frames;
        for (nth, (_, frame)) in genuine.iter().enumerate() {
            let flips = (0..frame.len()).map(|at| {
                let mut copy = frame.clone();
                copy[at] ^= 1 << (at % 8);
                copy
            });
            let cuts = (0..frame.len()).step_by(7).map(|at| frame[..at].to_vec());
            let longer = [frame, &[0][..]].concat();
            for copy in flips.chain(cuts).chain([longer]) {
                let outcome = run(&setting, 1, |at, _, frame| {
                    vec![if at == nth {
                        copy.clone()
                    } else {
                        frame.to_vec()
                    }]
                });
                assert!(outcome.failed.is_some(), "{profile:?} {nth}");
                assert!(!outcome.ended, "{profile:?} {nth}: an end that nobody made");
            }
        }
    }
}

#[test]
fn dropped_repeated_and_swapped_frames_are_noticed() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let genuine = run(&setting, 1, untouched).frames;
        for nth in 0..genuine.len() {
            let from = genuine[nth].0;
            let what = |how: &str| format!("{profile:?} {nth} {how}");
            let dropped = run(&setting, 1, |at, _, frame| match at == nth {
                true => Vec::new(),
                false => vec![frame.to_vec()],
            });
            assert_noticed(&dropped, &what("dropped"));
            let next = (nth + 1..genuine.len()).find(|next| genuine[*next].0 == from);
            // A copy of the last one comes after the end.
            let Some(next) = next else { continue };
            let twice = run(&setting, 1, |at, _, frame| {
                vec![frame.to_vec(); if at == nth { 2 } else { 1 }]
            });
            assert!(twice.failed.is_some(), "{}", what("twice"));
            let swapped = run(&setting, 1, |at, _, frame| {
                if at == nth {
                    vec![genuine[next].1.clone(), frame.to_vec()]
                } else {
                    vec![frame.to_vec()]
                }
            });
            assert!(swapped.failed.is_some(), "{}", what("swapped"));
        }
    }
}

#[test]
fn frames_of_the_first_refresh_do_not_serve_the_second_nor_those_of_another_stream_this_one() {
    for profile in PROFILES {
        let setting = of_profile(profile);
        let genuine = run(&setting, 1, untouched).frames;
        let mut sources = vec![genuine.clone(), run(&setting, 77, untouched).frames];
        let other = Setting {
            point: ReferencePoint::Y,
            ..setting.clone()
        };
        sources.push(run(&other, 1, untouched).frames);
        for (which, source) in sources.iter().enumerate() {
            for nth in 0..genuine.len() {
                for (other, (from, frame)) in source.iter().enumerate() {
                    // Reflected ones among them.
                    let same = which == 0 && other == nth;
                    let nearby = other.abs_diff(nth) <= 14 && (other + nth) % 3 == 0;
                    if same || !(nearby || other == nth) {
                        continue;
                    }
                    let outcome = run(&setting, 1, |at, _, genuine| {
                        vec![if at == nth {
                            frame.clone()
                        } else {
                            genuine.to_vec()
                        }]
                    });
                    assert!(
                        outcome.failed.is_some(),
                        "{profile:?}: frame {other} of {from} in place of {nth}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_seam_cannot_be_cut_out() {
    // Whoever takes away an old association's last records, with the mark among them, is noticed:
    // what follows does not open by the old keys.
    let setting = Setting::default();
    let genuine = run(&setting, 1, untouched).frames;
    for first in 0..genuine.len() {
        for count in 1..6 {
            for from in [INITIATOR, RESPONDER] {
                let cut = |nth: usize, sender: usize| {
                    sender == from && (first..first + count).contains(&nth)
                };
                let none = (0..genuine.len()).all(|nth| !cut(nth, genuine[nth].0));
                let outcome = run(&setting, 1, |at, sender, frame| match cut(at, sender) {
                    true => Vec::new(),
                    false => vec![frame.to_vec()],
                });
                if !none {
                    assert_noticed(&outcome, &format!("{count} of {from} from {first}"));
                }
            }
        }
    }
}
