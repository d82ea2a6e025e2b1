//! A thousand requests with bodies of random sizes and contents, up to 1 MiB.

use std::env;
use std::thread;

use anyhow::Context as _;

use super::line::Tally;
use super::originator::{Originator, Request};
use super::report::Report;
use super::story::LARGEST;
use super::wiring::Wiring;

/// How many requests are sent, by how many senders at the same time, and after how many each compares.
const REQUESTS: usize = 1000;
const SENDERS: usize = 4;
const ROUND: usize = 25;
/// So many of them have the largest body.
const FULL: usize = 8;

/// A request, who sends it, and the result code that it must have.
struct Task {
    sender: Originator,
    request: Request,
    code: u16,
}

/// Sends the requests and compares what passed; `marker` is in every content.
pub(super) fn send(wiring: &mut Wiring, marker: &str, report: &mut Report) {
    let mut tally = Tally::default();
    report.check("1 000 requests are answered", || {
        let seed = seed()?;
        let sizes = answered(wiring, marker, seed, &mut tally)
            .with_context(|| format!("REFPOINT_SEED={seed}"))?;
        Ok(format!(
            "{REQUESTS} requests, bodies of {} to {} bytes, REFPOINT_SEED={seed}",
            sizes.0, sizes.1
        ))
    });
    report.check("1 000 requests and responses equal at both sockets", || {
        wiring.lines.compare_all(&mut tally)?;
        tally.outcome(REQUESTS, 4, 80)
    });
}

/// The seed of all sizes and contents: from the environment, or new.
fn seed() -> anyhow::Result<u64> {
    match env::var("REFPOINT_SEED") {
        Ok(seed) => seed.parse().context("REFPOINT_SEED is not a number"),
        Err(_) => Ok(Random::new().next()),
    }
}

fn answered(
    wiring: &mut Wiring,
    marker: &str,
    seed: u64,
    tally: &mut Tally,
) -> anyhow::Result<(usize, usize)> {
    wiring.lines.compare_all(tally)?;
    *tally = Tally::default();
    prepare(wiring)?;
    let (mut least, mut most) = (usize::MAX, 0);
    let mut random = Random(seed);
    for round in 0..REQUESTS / (SENDERS * ROUND) {
        wiring.check()?;
        let mut batches = Vec::new();
        for sender in 0..SENDERS {
            let mut batch = Vec::new();
            for turn in 0..ROUND {
                let number = (round * SENDERS + sender) * ROUND + turn;
                let task = task(wiring, sender, number, marker, &mut random);
                if task.request.body_length() > 0 {
                    least = least.min(task.request.body_length());
                    most = most.max(task.request.body_length());
                }
                batch.push(task);
            }
            batches.push(batch);
        }
        thread::scope(|scope| {
            let senders: Vec<_> = batches
                .iter()
                .map(|batch| scope.spawn(|| run(batch)))
                .collect();
            senders.into_iter().try_for_each(|sender| {
                sender
                    .join()
                    .unwrap_or_else(|_| anyhow::bail!("a sender panicked"))
            })
        })?;
        wiring.lines.compare(tally)?;
    }
    Ok((least, most))
}

fn run(batch: &[Task]) -> anyhow::Result<()> {
    batch
        .iter()
        .try_for_each(|task| task.sender.expect(&task.request, task.code).map(drop))
}

/// A container for each sender at either CSE, with something in it.
fn prepare(wiring: &Wiring) -> anyhow::Result<()> {
    for sender in 0..SENDERS {
        let container = |acp| {
            format!(
                r#"{{"m2m:cnt":{{"rn":"bulk{sender}","mni":3,"lbl":["a","b c"],"acpi":["{acp}"]}}}}"#
            )
        };
        let first = r#"{"m2m:cin":{"con":"first"}}"#;
        let Wiring { sensor, app, .. } = wiring;
        sensor.expect(
            &Request::create("/cse-mn/sensor", 3, container("cse-mn/sensor/readers")),
            2001,
        )?;
        sensor.expect(
            &Request::create(&format!("/cse-mn/sensor/bulk{sender}"), 4, first),
            2001,
        )?;
        app.expect(
            &Request::create("/cse-in/app", 3, container("cse-in/app/writers")),
            2001,
        )?;
        app.expect(
            &Request::create(&format!("/cse-in/app/bulk{sender}"), 4, first),
            2001,
        )?;
    }
    Ok(())
}

fn task(wiring: &Wiring, sender: usize, number: usize, marker: &str, random: &mut Random) -> Task {
    let Wiring { sensor, app, .. } = *wiring;
    let here = format!("/cse-mn/sensor/bulk{sender}");
    let core = format!("/~/id-in/cse-in/app/bulk{sender}");
    let through_core = format!("/~/id-mn{here}");
    let task = |sender, request, code| Task {
        sender,
        request,
        code,
    };
    if number.is_multiple_of(REQUESTS / FULL) {
        return task(
            sensor,
            Request::create(&here, 4, json(LARGEST, marker, random)),
            2001,
        );
    }
    let size = random.size();
    match random.below(100) {
        0..35 => task(
            sensor,
            Request::create(&here, 4, json(size, marker, random)),
            2001,
        ),
        35..50 => {
            let request = Request::create(&here, 4, cbor(size, marker, random));
            task(
                sensor,
                request
                    .with("Content-Type", "application/cbor;ty=4")
                    .with("Accept", "application/cbor"),
                2001,
            )
        }
        50..60 => task(
            sensor,
            Request::create(&core, 4, json(size, marker, random)),
            2001,
        ),
        60..65 => task(
            app,
            Request::create(&through_core, 4, json(size, marker, random)),
            2001,
        ),
        65..75 => task(sensor, Request::retrieve(&format!("{here}/la")), 2000),
        75..82 => task(app, Request::retrieve(&format!("{through_core}/la")), 2000),
        82..88 => task(sensor, Request::retrieve(&format!("{core}/la")), 2000),
        kind => {
            let (request, code) = odd(kind - 88, &here, json(size, marker, random));
            task(sensor, request, code)
        }
    }
}

/// Forms that software between two sockets likes to change.
fn odd(kind: u64, here: &str, body: Vec<u8>) -> (Request, u16) {
    match kind {
        0 => (
            Request::retrieve("/cse-mn/sensor?fu=1&lbl=a&lbl=b%20c&ty=3&lbl=a"),
            2000,
        ),
        1 => (
            Request::retrieve(&format!("/_/acme.example.com/id-mn{here}?rcn=1")),
            2000,
        ),
        2 => (
            Request::retrieve(&format!("/~/id-mn{here}?atrl=rn+lbl")),
            2000,
        ),
        3 => (
            Request::retrieve("/cse-mn/sensor/nothing%20h%65re/%7e?lbl=%2f&lbl=%2F&lbl=+&lbl="),
            4004,
        ),
        4 => (Request::delete("/~/id-mn/cse-mn/sensor/none"), 4004),
        5 => (
            Request::update(here, r#"{ "m2m:cnt" : { "lbl":["a","b c"] } }"#),
            2004,
        ),
        6 => (Request::create(here, 4, body).in_chunks(), 2001),
        7 => (
            Request::create(here, 4, body)
                .with("Content-Type", "application/vnd.onem2m-res+json; ty=4"),
            2001,
        ),
        8 => (
            Request::retrieve(here)
                .with("X-Twice", "1")
                .with("x-between", "b")
                .with("X-TWICE", "2"),
            2000,
        ),
        9 => (
            Request::retrieve(here)
                .with("X-Empty", "")
                .with("X-Latin", "\u{e9}t\u{e9} \"q\\\" ,;"),
            2000,
        ),
        10 => (
            Request::retrieve(here)
                .with("Keep-Alive", "max=5")
                .with("X-Hop", "1")
                .with("Connection", "X-Hop"),
            2000,
        ),
        _ => (
            Request::retrieve(here)
                .with("If-None-Match", "\"0\"")
                .with("X-M2M-VSI", "v")
                .with("X-M2M-OT", "20991231T235959"),
            2000,
        ),
    }
}

/// JSON of exactly `size` bytes: white space, escapes, multi-byte characters.
///
/// No quotation marks or backslashes are in the text, here and in [`cbor`]: ACME takes time quadratic in their number
/// (its `removeCommentsFromJSON`), which at 1 MiB is minutes in which it answers nobody.
fn json(size: usize, marker: &str, random: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 12] = [
        "a",
        "Z",
        "0",
        " ",
        "{",
        "}",
        "://",
        "\\n",
        "\\u00e9",
        "\u{e9}",
        "\u{20ac}",
        "\u{1f512}",
    ];
    let (front, back) = (
        format!("{{ \"m2m:cin\":{{\"con\" :\"{marker} "),
        "\"}\r\n }",
    );
    let mut body = front.into_bytes();
    while body.len() + back.len() < size {
        let mut piece = PIECES[usize::try_from(random.below(12)).unwrap_or_default()];
        if body.len() + piece.len() + back.len() > size {
            piece = "x";
        }
        body.extend_from_slice(piece.as_bytes());
    }
    body.extend_from_slice(back.as_bytes());
    body
}

/// CBOR of exactly `size` bytes, with every other byte that text may have.
fn cbor(size: usize, marker: &str, random: &mut Random) -> Vec<u8> {
    const FRONT: &[u8] = b"\xa1\x67m2m:cin\xa1\x63con\x7a";
    let mut text = format!("{marker} ").into_bytes();
    let length = size.saturating_sub(FRONT.len() + 4).max(text.len());
    while text.len() < length {
        let byte = random.next().to_le_bytes()[0];
        if byte >= 0x80 && text.len() + 2 <= length {
            text.extend_from_slice(&[0xc2 | (byte >> 6 & 1), 0x80 | (byte & 0x3f)]);
        } else if !matches!(byte & 0x7f, b'"' | b'\\') {
            text.push(byte & 0x7f);
        }
    }
    let mut body = FRONT.to_vec();
    body.extend_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
    body.extend_from_slice(&text);
    body
}

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Seeded by the operating system, through the only door that std has.
    pub(super) fn new() -> Self {
        use core::hash::BuildHasher as _;
        use std::hash::RandomState;
        Self(RandomState::new().hash_one(0))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A size up to [`LARGEST`]: every power of two is as likely as the next.
    fn size(&mut self) -> usize {
        let scale = 1_u64 << (7 + self.below(14));
        usize::try_from(scale / 2 + self.below(scale / 2) + 1)
            .unwrap_or(LARGEST)
            .min(LARGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_size_that_was_drawn() {
        let mut random = Random(1);
        for _ in 0..300 {
            let size = random.size();
            assert!((65..=LARGEST).contains(&size), "{size}");
            let body = json(size, "marker", &mut random);
            assert_eq!(body.len(), size);
            serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
            let body = cbor(size, "marker", &mut random);
            assert_eq!(body.len(), size);
            assert!(core::str::from_utf8(&body[22..]).is_ok());
        }
    }
}
