//! Associations by letters: what is sealed opens once, in whatever order and hours later.

#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::{
    CloseReason, CredentialId, Credentials, Error, Index, LETTER_OVERHEAD, Letter, LetterInitiator,
    LetterLimits, LetterPost, LetterResponder, LetterSession, Local, Now, Policy, SessionLabel,
};
use refpoint_keys::{Profile, ReferencePoint};
use support::{BACKENDS, SUITES, Setting, now, rng, table};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn setting() -> Setting {
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(1 << 20))
        .and_then(|policy| policy.with_ratchet(Some(Duration::from_secs(6 * HOUR))))
        .and_then(|policy| policy.with_epoch_bits(16))
        .expect("valid");
    Setting {
        policy,
        point: ReferencePoint::EndToEnd,
        responder: "//sp.example.com/id-in/CMeter",
        ..Setting::default()
    }
}

fn index(value: u32) -> Index {
    Index::new(value, 4).expect("four bytes")
}

/// Both ends, their tables, and what their letters are about.
struct Ends {
    setting: Setting,
    initiator: (Local, Credentials, CredentialId),
    responder: (Local, Credentials),
}

impl Ends {
    fn new(setting: Setting) -> Self {
        let (local, credential) = setting.initiator();
        let (credentials, id) = table(credential);
        let (other, credential) = setting.responder();
        Self {
            setting,
            initiator: (local, credentials, id),
            responder: (other, table(credential).0),
        }
    }

    fn post<'a>(&self, local: &'a Local, target: &'a str) -> LetterPost<'a> {
        LetterPost {
            local,
            backend: self.setting.backend,
            target: target.as_bytes(),
            limits: LetterLimits::default(),
        }
    }

    fn initiate(&self, target: &str) -> LetterInitiator {
        let (local, credentials, id) = &self.initiator;
        let credential = credentials.find(*id).expect("it is there").clone();
        let post = self.post(local, target);
        let label = SessionLabel::default();
        LetterInitiator::new(
            now(0),
            &mut rng(1),
            &post,
            (*id, credential),
            label,
            index(1),
        )
        .expect("allowed")
    }

    fn respond(&self, target: &str, initiate: &[u8]) -> Result<(LetterSession, Vec<u8>), Error> {
        let (local, credentials) = &self.responder;
        let (post, mut out) = (self.post(local, target), Vec::new());
        let at = now(HOUR);
        let session = LetterResponder::receive(
            at,
            &mut rng(2),
            &post,
            credentials,
            initiate,
            index(2),
            &mut out,
        );
        Ok((session?.ok_or(Error::NoCredential)?, out))
    }

    /// A session both of whose handshake letters were an hour on their way, still unconfirmed.
    fn unconfirmed(&self) -> (LetterSession, LetterSession) {
        let mut initiator = self.initiate("target");
        let (responder, answer) = self.respond("target", initiator.packet()).expect("allowed");
        let post = self.post(&self.initiator.0, "target");
        let session = initiator.receive(now(2 * HOUR), &post, &answer);
        (session.expect("genuine"), responder)
    }

    fn session(&self) -> (LetterSession, LetterSession) {
        let (mut initiator, mut responder) = self.unconfirmed();
        let mut first = seal(&mut initiator, now(2 * HOUR), b"first");
        let opened = responder.open(now(3 * HOUR), &mut first).expect("genuine");
        assert!(opened.asks && opened.confirms);
        let mut answer = Vec::new();
        responder
            .answer(now(3 * HOUR), &mut answer)
            .expect("confirmed");
        let opened = initiator.open(now(4 * HOUR), &mut answer).expect("genuine");
        assert!(opened.confirms && !opened.asks);
        (initiator, responder)
    }
}

fn seal(session: &mut LetterSession, now: Now, content: &[u8]) -> Vec<u8> {
    let mut letter = Vec::new();
    session
        .seal(now, content, false, &mut letter)
        .expect("within all limits");
    assert_eq!(letter.len(), content.len() + LETTER_OVERHEAD);
    letter
}

fn opens(session: &mut LetterSession, now: Now, letter: &[u8], content: &[u8]) {
    let mut letter = letter.to_vec();
    let opened = session.open(now, &mut letter).expect("genuine and new");
    let padded = false;
    assert_eq!(opened.letter, Letter::Data { content, padded });
}

fn refuses(session: &mut LetterSession, now: Now, letter: &[u8]) {
    let mut letter = letter.to_vec();
    let opened = session.open(now, &mut letter).map(|_| ());
    assert_eq!(opened, Err(Error::Authentication));
}

#[test]
fn a_session_is_made_by_letters_in_every_profile_and_costs_26_bytes_a_letter() {
    assert_eq!(LETTER_OVERHEAD, 26);
    for backend in BACKENDS {
        for suite in SUITES {
            for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
                let setting = Setting {
                    backend,
                    suite,
                    profile,
                    ..setting()
                };
                let (mut initiator, mut responder) = Ends::new(setting).session();
                let letter = seal(&mut initiator, now(DAY), b"21.5");
                opens(&mut responder, now(2 * DAY), &letter, b"21.5");
                let letter = seal(&mut responder, now(2 * DAY), b"off");
                opens(&mut initiator, now(3 * DAY), &letter, b"off");
            }
        }
    }
}

#[test]
fn letters_of_many_epochs_open_once_each_in_any_order() {
    let (mut initiator, mut responder) = Ends::new(setting()).session();
    // Six letters in each of twenty epochs, over five days.
    let letters: Vec<_> = (0..120_u64)
        .map(|n| {
            let content = n.to_be_bytes();
            (
                content,
                seal(&mut initiator, now(4 * HOUR + n * HOUR), &content),
            )
        })
        .collect();
    let late = now(5 * DAY + 4 * HOUR);
    let mut order: Vec<_> = (0..letters.len()).collect();
    order.sort_by_key(|n| n * 7919 % 127);
    for n in &order {
        opens(&mut responder, late, &letters[*n].1, &letters[*n].0);
    }
    assert!(responder.kept_epochs() >= 20);
    for n in order {
        refuses(&mut responder, late, &letters[n].1);
    }
}

#[test]
fn keys_of_an_epoch_are_wiped_when_its_retention_is_over() {
    let (mut initiator, mut responder) = Ends::new(setting()).session();
    let held_back = seal(&mut initiator, now(5 * HOUR), b"old");
    let newer = seal(&mut initiator, now(12 * HOUR), b"new");
    opens(&mut responder, now(12 * HOUR), &newer, b"new");
    assert_eq!(responder.kept_epochs(), 2);
    assert_eq!(
        responder.deadline(),
        Duration::from_secs(12 * HOUR + 7 * DAY)
    );
    assert!(!responder.expire(now(12 * HOUR + 7 * DAY)));
    assert_eq!(responder.kept_epochs(), 1);
    refuses(&mut responder, now(12 * HOUR + 7 * DAY), &held_back);
}

#[test]
fn at_most_64_epochs_are_kept_and_as_many_derived_ahead() {
    let (mut initiator, mut responder) = Ends::new(Setting {
        policy: setting()
            .policy
            .with_ratchet(Some(Duration::from_secs(60)))
            .expect("valid"),
        ..setting()
    })
    .session();
    let at = |epoch: u64| now(5 * HOUR + epoch * 60);
    let letters: Vec<_> = (0..130)
        .map(|n| seal(&mut initiator, at(n), b"x"))
        .collect();
    // The responder is in epoch 0; letter n lies in epoch n + 1.
    refuses(&mut responder, at(130), &letters[64]);
    opens(&mut responder, at(130), &letters[63], b"x");
    assert_eq!(responder.kept_epochs(), 64);
    opens(&mut responder, at(130), &letters[0], b"x");
    opens(&mut responder, at(130), &letters[127], b"x");
    refuses(&mut responder, at(130), &letters[62]);
    opens(&mut responder, at(130), &letters[64], b"x");
}

#[test]
fn nothing_is_sent_to_an_unproved_initiator_and_every_letter_asks_until_it_is_answered() {
    let (mut initiator, mut responder) = Ends::new(setting()).unconfirmed();
    let sealed = responder.seal(now(2 * HOUR), b"early", false, &mut Vec::new());
    assert_eq!(sealed, Err(Error::NotConfirmed));
    let lost = seal(&mut initiator, now(2 * HOUR), b"lost");
    let mut next = seal(&mut initiator, now(3 * HOUR), b"next");
    let opened = responder.open(now(4 * HOUR), &mut next).expect("genuine");
    assert!(opened.asks && opened.confirms);
    let answer = seal(&mut responder, now(4 * HOUR), b"an answer is any letter");
    opens(
        &mut initiator,
        now(5 * HOUR),
        &answer,
        b"an answer is any letter",
    );
    let mut quiet = seal(&mut initiator, now(5 * HOUR), b"quiet");
    assert!(
        !responder
            .open(now(6 * HOUR), &mut quiet)
            .expect("genuine")
            .asks
    );
    // What was thought lost asks still; and is answered.
    let mut lost = lost;
    let opened = responder.open(now(6 * HOUR), &mut lost).expect("genuine");
    assert!(opened.asks && !opened.confirms);
}

#[test]
fn an_altered_letter_changes_nothing() {
    let (mut initiator, mut responder) = Ends::new(setting()).session();
    let letter = seal(&mut initiator, now(DAY), b"21.5");
    for bit in 0..letter.len() * 8 {
        let mut altered = letter.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(responder.open(now(DAY), &mut altered).is_err(), "bit {bit}");
    }
    // Nor does one of its own come back.
    refuses_any(&mut initiator, &letter);
    opens(&mut responder, now(DAY), &letter, b"21.5");
}

fn refuses_any(session: &mut LetterSession, letter: &[u8]) {
    assert!(session.open(now(DAY), &mut letter.to_vec()).is_err());
}

#[test]
fn ends_that_mean_different_targets_do_not_meet() {
    let ends = Ends::new(setting());
    let initiator = ends.initiate("one");
    let met = ends.respond("other", initiator.packet()).map(|_| ());
    assert_eq!(met, Err(Error::Authentication));
    assert!(ends.respond("one", initiator.packet()).is_ok());
}

#[test]
fn a_forged_answer_does_not_keep_the_genuine_one_out() {
    let ends = Ends::new(setting());
    let mut initiator = ends.initiate("target");
    let (_, answer) = ends.respond("target", initiator.packet()).expect("allowed");
    let post = ends.post(&ends.initiator.0, "target");
    for byte in 0..answer.len() {
        let mut forged = answer.clone();
        forged[byte] ^= 1;
        assert!(initiator.receive(now(HOUR), &post, &forged).is_err());
    }
    assert!(initiator.receive(now(HOUR), &post, &answer).is_ok());
    assert!(initiator.packet().is_empty());
}

#[test]
fn a_kept_state_opens_what_is_on_its_way_once_and_sends_nothing() {
    let ends = Ends::new(setting());
    let (mut initiator, mut responder) = ends.session();
    let [read, on_its_way] = [b"read", b"sent"].map(|text| seal(&mut initiator, now(DAY), text));
    let later = seal(&mut initiator, now(2 * DAY), b"later");
    opens(&mut responder, now(DAY), &read, b"read");
    let kept = responder.to_bytes(now(DAY), 7).expect("it has a clock");
    drop(responder);

    let restore = |at: Now, acknowledged, credentials: &Credentials| {
        let backend = ends.setting.backend;
        let limits = LetterLimits::default();
        LetterSession::from_bytes(at, &kept, acknowledged, backend, credentials, limits)
    };
    let credentials = &ends.responder.1;
    let mut restored = restore(now(2 * DAY), 7, credentials).expect("fresh");
    refuses(&mut restored, now(2 * DAY), &read);
    opens(&mut restored, now(2 * DAY), &on_its_way, b"sent");
    refuses(&mut restored, now(2 * DAY), &on_its_way);
    opens(&mut restored, now(2 * DAY), &later, b"later");
    assert!(!restored.may_send());
    let sealed = restored.seal(now(2 * DAY), b"x", false, &mut Vec::new());
    assert_eq!(sealed, Err(Error::ReceiveOnly));

    let refused = |at, acknowledged, credentials: &Credentials| {
        restore(at, acknowledged, credentials)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(refused(now(2 * DAY), 8, credentials), Error::Stale);
    assert_eq!(
        refused(now(0), 7, credentials),
        Error::Expired,
        "the clock went back"
    );
    assert_eq!(
        refused(now(13 * DAY), 7, credentials),
        Error::Expired,
        "its life is over"
    );
    let no_clock = Now::without_utc(Duration::from_secs(2 * DAY));
    assert_eq!(refused(no_clock, 7, credentials), Error::Expired);
    assert_eq!(
        refused(now(2 * DAY), 7, &Credentials::new()),
        Error::NoCredential
    );
    for len in 0..kept.len() {
        let backend = ends.setting.backend;
        let limits = LetterLimits::default();
        let cut =
            LetterSession::from_bytes(now(DAY), &kept[..len], 7, backend, credentials, limits);
        assert!(cut.is_err(), "cut to {len}");
    }
}

#[test]
fn a_session_ends_at_its_limit_and_by_a_close() {
    let ends = Ends::new(setting());
    let (mut initiator, mut responder) = ends.session();
    let end = responder.ends_at();
    assert_eq!(end, Duration::from_secs(HOUR + (1 << 20)));
    let late = support::at(end);
    let letter = seal(&mut initiator, now(DAY), b"x");
    assert_eq!(
        responder.open(late, &mut letter.clone()).map(|_| ()),
        Err(Error::Limit("time"))
    );
    assert!(responder.expire(late));

    let mut close = Vec::new();
    initiator
        .close(now(DAY), CloseReason::Done, &mut close)
        .expect("it may");
    let (mut responder, sealed) = (
        responder,
        initiator.seal(now(DAY), b"x", false, &mut Vec::new()),
    );
    assert_eq!(sealed, Err(Error::ReceiveOnly));
    let opened = responder
        .open(now(DAY), &mut close)
        .expect("genuine")
        .letter;
    assert_eq!(opened, Letter::Closed(CloseReason::Done));
    let opened = responder.open(now(DAY), &mut letter.clone()).map(|_| ());
    assert_eq!(opened, Err(Error::NoAssociation));
}

#[test]
fn a_responder_asks_for_a_successor_and_the_initiator_hears_it() {
    let (mut initiator, mut responder) = Ends::new(setting()).session();
    let half = Duration::from_secs(HOUR + (1 << 19));
    assert_eq!(responder.renew_at(), half);
    assert!(initiator.renew_at() > Duration::from_secs(1 << 18));
    let mut ask = Vec::new();
    responder
        .ask_to_renew(now(DAY), &mut ask)
        .expect("confirmed");
    let opened = initiator.open(now(2 * DAY), &mut ask).expect("genuine");
    assert_eq!(opened.letter, Letter::RenewNow);
    assert_eq!(initiator.renew_at(), Duration::from_secs(2 * DAY));
}
