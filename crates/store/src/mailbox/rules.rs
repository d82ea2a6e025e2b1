//! What a mailbox does, whatever its tables are.

use refpoint_keys::UtcTime;

use super::account::{Account, Quota, Totals};
use super::{MailboxError, Message, MessageId, Position};

/// The tables of a mailbox, within one transaction.
pub(super) trait Tables {
    type Error;

    fn totals(&mut self) -> Result<Totals, Self::Error>;
    fn set_totals(&mut self, totals: Totals) -> Result<(), Self::Error>;

    fn account(&mut self, receiver: &str) -> Result<Option<Account>, Self::Error>;
    fn set_account(&mut self, receiver: &str, account: Account) -> Result<(), Self::Error>;

    fn receipt(&mut self, name: Name<'_>) -> Result<Option<Receipt>, Self::Error>;
    fn set_receipt(&mut self, name: Name<'_>, receipt: Receipt) -> Result<(), Self::Error>;
    fn remove_receipt(&mut self, name: Name<'_>) -> Result<(), Self::Error>;

    fn insert(&mut self, position: u64, message: &Message) -> Result<(), Self::Error>;
    /// Removes the messages at these positions.
    fn remove(&mut self, receiver: &str, first: u64, last: u64) -> Result<Removed, Self::Error>;

    fn set_due(&mut self, due: Due<'_>) -> Result<(), Self::Error>;
    /// Removes and returns the due that comes first, if it is not later than `now`.
    fn take_due(&mut self, now: u64) -> Result<Option<Due<'static>>, Self::Error>;
}

/// A message by its sender's name for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) receiver: &'a str,
    pub(super) sender: &'a str,
    pub(super) id: MessageId,
}

/// What is remembered of a message that was put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    pub(super) position: u64,
    pub(super) digest: [u8; 32],
}

/// When a message expires and its receipt with it.
#[derive(Clone, Debug)]
pub(super) struct Due<'a> {
    pub(super) expiry: u64,
    pub(super) position: u64,
    pub(super) receiver: std::borrow::Cow<'a, str>,
    pub(super) sender: std::borrow::Cow<'a, str>,
    pub(super) id: MessageId,
}

/// Messages removed, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Removed {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// The outer error is the tables', the inner one is told to the caller and changes nothing.
type Outcome<T, E> = Result<Result<T, MailboxError>, E>;

/// Puts a message. What has expired was removed before.
pub(super) fn put<T: Tables>(
    tables: &mut T,
    quota: &Quota,
    now: UtcTime,
    message: &Message,
) -> Outcome<Position, T::Error> {
    if let Err(refused) = acceptable(quota, now, message) {
        return Ok(Err(refused));
    }
    let receiver = message.receiver.as_str();
    let name = Name {
        receiver,
        sender: message.sender.as_str(),
        id: message.id,
    };
    let digest = message.digest();
    if let Some(receipt) = tables.receipt(name)? {
        return Ok(match receipt.digest == digest {
            true => Ok(Position::new(receipt.position)),
            false => Err(MailboxError::Conflict),
        });
    }
    let size = message.bytes.len() as u64;
    let (known, mut totals) = (tables.account(receiver)?, tables.totals()?);
    let mut account = known.unwrap_or_default();
    if !quota.has_room(&account, size) {
        return Ok(Err(MailboxError::ReceiverFull));
    }
    if !quota.has_room_in_all(&totals, size, known.is_none()) {
        return Ok(Err(MailboxError::Full));
    }
    let Some(position) = account.last.checked_add(1) else {
        return Ok(Err(MailboxError::ReceiverFull));
    };
    account.last = position;
    account.messages += 1;
    account.bytes += size;
    account.remembered += 1;
    totals.messages += 1;
    totals.bytes += size;
    totals.receivers += u64::from(known.is_none());
    tables.set_account(receiver, account)?;
    tables.set_totals(totals)?;
    tables.set_receipt(name, Receipt { position, digest })?;
    tables.set_due(Due {
        expiry: message.expiry.as_secs(),
        position,
        receiver: receiver.into(),
        sender: name.sender.into(),
        id: name.id,
    })?;
    tables.insert(position, message)?;
    Ok(Ok(Position::new(position)))
}

fn acceptable(quota: &Quota, now: UtcTime, message: &Message) -> Result<(), MailboxError> {
    if message.bytes.len() > quota.message {
        return Err(MailboxError::TooLong {
            size: message.bytes.len(),
            most: quota.message,
        });
    }
    let left = message.expiry.saturating_since(now);
    if left.is_zero() {
        return Err(MailboxError::Expired);
    }
    if left > quota.longest {
        return Err(MailboxError::TooLate(quota.longest.as_secs()));
    }
    Ok(())
}

/// Removes what the receiver has; the receipts stay until they are due.
pub(super) fn acknowledge<T: Tables>(
    tables: &mut T,
    receiver: &str,
    up_to: Position,
) -> Outcome<(), T::Error> {
    let account = tables.account(receiver)?.unwrap_or_default();
    if up_to.number() > account.last {
        return Ok(Err(MailboxError::Unknown));
    }
    if up_to.number() > account.acknowledged {
        let removed = tables.remove(receiver, account.acknowledged + 1, up_to.number())?;
        let account = Account {
            acknowledged: up_to.number(),
            ..account
        };
        settle(tables, receiver, account, removed)?;
    }
    Ok(Ok(()))
}

/// Removes what has expired; how many messages were not acknowledged.
pub(super) fn expire<T: Tables>(tables: &mut T, now: UtcTime) -> Result<u64, T::Error> {
    let mut unfetched = 0;
    while let Some(due) = tables.take_due(now.as_secs())? {
        let receiver = &*due.receiver;
        tables.remove_receipt(Name {
            receiver,
            sender: &due.sender,
            id: due.id,
        })?;
        let removed = tables.remove(receiver, due.position, due.position)?;
        unfetched += removed.messages;
        let mut account = tables.account(receiver)?.unwrap_or_default();
        account.remembered = account.remembered.saturating_sub(1);
        settle(tables, receiver, account, removed)?;
    }
    Ok(unfetched)
}

/// Takes removed messages off the accounts.
fn settle<T: Tables>(
    tables: &mut T,
    receiver: &str,
    account: Account,
    removed: Removed,
) -> Result<(), T::Error> {
    let totals = tables.totals()?;
    tables.set_totals(Totals {
        messages: totals.messages.saturating_sub(removed.messages),
        bytes: totals.bytes.saturating_sub(removed.bytes),
        ..totals
    })?;
    tables.set_account(
        receiver,
        Account {
            messages: account.messages.saturating_sub(removed.messages),
            bytes: account.bytes.saturating_sub(removed.bytes),
            ..account
        },
    )
}
