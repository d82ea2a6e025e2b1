//! Whether every message is where it should be.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use refpoint_keys::EntityId;
use refpoint_store::{Mailbox as _, Position};

use crate::live::{Fate, Fleet, INBOX, Message, Options, open_mailbox, utc};

/// Compares what devices know with what the core has kept, now that it is dead; how many it has.
///
/// What was acknowledged is there; what is there was sent, is as it was sent and is there once; and
/// of what is not there its sender was told.
pub(super) fn compare(options: &Options, fleet: &Fleet) -> anyhow::Result<usize> {
    let kept = kept(options)?;
    let mut sent = 0;
    for (message, fate) in fleet.fates() {
        let times = kept.get(&message).copied().unwrap_or_default();
        let right = match fate {
            Fate::Acknowledged => times == 1,
            Fate::Reported => times <= 1,
            Fate::Waiting => false,
        };
        ensure!(
            right,
            "{message:?} is kept {times} times, its sender knows it as {fate:?}"
        );
        sent += usize::from(times > 0);
    }
    ensure!(sent == kept.len(), "the core has what nobody sent");
    Ok(sent)
}

/// Checks that the core has kept `each` messages of every device, which were all acknowledged.
pub(super) fn all_kept(options: &Options, each: u32) -> anyhow::Result<()> {
    let kept = kept(options)?;
    let sent = (0..options.devices).flat_map(|device| {
        let message = move |number| Message { device, number };
        (0..each).map(message)
    });
    for message in sent {
        let times = kept.get(&message).copied().unwrap_or_default();
        ensure!(times == 1, "{message:?} is kept {times} times");
    }
    Ok(())
}

/// How often each message is in the mailbox.
fn kept(options: &Options) -> anyhow::Result<HashMap<Message, u32>> {
    let mailbox = open_mailbox(options)?;
    let inbox = EntityId::parse(INBOX)?;
    let (mut kept, mut after) = (HashMap::new(), Position::START);
    loop {
        let page = mailbox.fetch(utc(), &inbox, after, 4096, usize::MAX)?;
        let Some(last) = page.last() else {
            return Ok(kept);
        };
        after = last.position;
        for waiting in page {
            let message = Message::from_mailbox(&waiting.sender, &waiting.bytes);
            let message = message.context("the core has kept what no device sent so")?;
            *kept.entry(message).or_default() += 1;
        }
    }
}
