//! Measures what the store costs on this machine and disk; `cargo xtask bench store` runs it.
//!
//! ```text
//! cargo run --release -p refpoint-store --example measure -- 1000000 [directory]
//! ```
//!
//! A row is a line of JSON. Rates are by the wall clock, because most of the time is the disk's; what is
//! done at start is given in CPU time, too. The handles are those of a day, issued one after the other,
//! that expire a day later; they are redeemed in random order.

use core::error::Error;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Instant;

use refpoint_keys::{EntityId, UtcTime};
use refpoint_store::{
    Batching, Change, Entry, HandleId, Mailbox, MailboxOptions, Message, MessageId, Position,
    Quota, Redb, RedbMailbox, RedbOptions, Store, WriteBehind,
};
use zeroize::Zeroizing;

const NOW: UtcTime = UtcTime::from_secs(1_800_000_000);
const BATCH: u64 = 4096;
const DAY: u64 = 24 * 3600;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let handles = match arguments.next() {
        Some(number) => number.to_str().ok_or("a number of handles")?.parse()?,
        None => 100_000,
    };
    let beside = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(beside)?;
    measure_handles(directory.path(), handles)?;
    measure_mailbox(directory.path())
}

fn measure_handles(directory: &Path, handles: u64) -> Outcome {
    let open = || Redb::open(directory, NOW, &RedbOptions::default());
    let mut store = open()?;
    let start = Instant::now();
    for first in (0..handles).step_by(BATCH as usize) {
        let numbers = first..(first + BATCH).min(handles);
        let batch = numbers.map(|number| issued(number, handles));
        store.commit(&batch.collect::<Vec<_>>())?;
    }
    let length = std::fs::metadata(directory.join("handles.redb"))?.len();
    rate(
        &format!("issue {handles} handles, {BATCH} a batch"),
        handles,
        start.elapsed(),
    );
    row(
        "database file, per handle",
        length as f64 / handles as f64,
        "B",
    );

    let start = Instant::now();
    let redeemed = (40 * BATCH / 2).min(handles);
    for first in (0..redeemed).step_by(BATCH as usize / 2) {
        let numbers = first..(first + BATCH / 2).min(redeemed);
        let batch = numbers.flat_map(|number| redemption(number, handles));
        store.commit(&batch.collect::<Vec<_>>())?;
    }
    rate(
        &format!("durable redemptions (claim and reissue), {BATCH} changes a batch"),
        redeemed,
        start.elapsed(),
    );

    let start = Instant::now();
    for number in 0..200 {
        store.commit(&[claimed(handles + number)])?;
    }
    rate("durable claims, one a batch", 200, start.elapsed());
    drop(store);

    let clock = Clock::start();
    let mut store = open()?;
    clock.stop(&format!("open with {handles} handles: check every page"));
    let clock = Clock::start();
    let replayed = store.replay(NOW, &mut |_, _| ())?;
    clock.stop(&format!("find and replay {} handles", replayed.entries));

    let behind = WriteBehind::start(store, Batching::default().with_capacity(1 << 20))?;
    let start = Instant::now();
    let submitted = 200_000;
    for number in 0..submitted {
        behind.submit(issued(number + 2 * handles, handles))?;
    }
    let handed_over = start.elapsed();
    behind.flush()?;
    rate(
        "submit to a write-behind (the caller's time)",
        submitted,
        handed_over,
    );
    rate("the same until flushed", submitted, start.elapsed());
    behind.stop()?;

    let mut store = open()?;
    store.replay(NOW, &mut |_, _| ())?;
    let clock = Clock::start();
    store.expire(UtcTime::from_secs(NOW.as_secs() + DAY / 2))?;
    clock.stop("expire half of the buckets");
    Ok(())
}

fn id(number: u64) -> HandleId {
    HandleId(mix(number).to_be_bytes())
}

/// Spread like random numbers, and never the same for two numbers (the finalizer of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// 120 bytes; of `day` handles issued in a day, each expires a day after it was issued.
fn issued(number: u64, day: u64) -> Change {
    let bytes = Zeroizing::new(vec![number as u8; 120]);
    let expiry = UtcTime::from_secs(NOW.as_secs() + 1 + number * DAY / day);
    Change::Issued {
        id: id(number),
        entry: Entry::new(expiry, bytes).expect("it is short"),
    }
}

fn claimed(number: u64) -> Change {
    Change::Gone(id(number))
}

/// Some handle is redeemed, and its holder gets another.
fn redemption(number: u64, day: u64) -> [Change; 2] {
    // A step that shares no factor with any number of handles up to it: each is redeemed once.
    let redeemed = u128::from(number) * 4_294_967_291 % u128::from(day);
    [claimed(redeemed as u64), issued(day + number, day)]
}

fn measure_mailbox(directory: &Path) -> Outcome {
    let quota = Quota::default()
        .with_receiver(u64::MAX, u64::MAX)
        .with_remembered(u64::MAX);
    let options = MailboxOptions::default().with_quota(quota);
    let mailbox = RedbMailbox::open(directory, &options)?;
    let receiver = EntityId::parse("//sp.example.com/id-mn/C1")?;
    let sender = EntityId::parse("//sp.example.com/id-in/C2")?;
    let message = |number: u128| Message {
        receiver: receiver.clone(),
        sender: sender.clone(),
        id: MessageId::new(number.to_be_bytes()),
        expiry: UtcTime::from_secs(NOW.as_secs() + 3600),
        bytes: vec![7; 256],
    };

    let start = Instant::now();
    for number in 0..200 {
        mailbox.put(NOW, message(number))?;
    }
    rate(
        "mailbox: durable puts of 256 B, one after the other",
        200,
        start.elapsed(),
    );

    let (many, (done, outcomes)) = (20_000, channel());
    let start = Instant::now();
    for number in 0..many {
        let done = done.clone();
        let tell = Box::new(move |outcome| drop(done.send(outcome)));
        mailbox.put_then(NOW, message(1_000_000 + number), tell);
    }
    for _ in 0..many {
        outcomes.recv()??;
    }
    rate(
        "mailbox: durable puts of 256 B, up to 1024 at once",
        many as u64,
        start.elapsed(),
    );

    let start = Instant::now();
    let mut after = Position::START;
    let mut fetched = 0;
    loop {
        let waiting = mailbox.fetch(NOW, &receiver, after, 500, usize::MAX)?;
        let Some(last) = waiting.last() else { break };
        after = last.position;
        fetched += waiting.len() as u64;
        mailbox.acknowledge(&receiver, after)?;
    }
    rate(
        "mailbox: fetch and acknowledge, 500 at once",
        fetched,
        start.elapsed(),
    );
    Ok(())
}

/// Wall-clock time and CPU time of the process.
struct Clock(Instant, Duration);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), Self::cpu())
    }

    fn cpu() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    fn stop(self, name: &str) {
        row(name, self.0.elapsed().as_secs_f64(), "s");
        row(
            &format!("{name}, CPU"),
            (Self::cpu() - self.1).as_secs_f64(),
            "s",
        );
    }
}

fn rate(name: &str, operations: u64, time: Duration) {
    row(name, operations as f64 / time.as_secs_f64(), "/s");
}

fn row(name: &str, value: f64, unit: &str) {
    println!(r#"{{"name":"store: {name}","value":{value},"unit":"{unit}"}}"#);
}
