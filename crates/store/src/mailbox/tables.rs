//! The tables of a mailbox in redb.

use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};
use refpoint_keys::{EntityId, UtcTime};

use super::account::{Account, Totals};
use super::rules::{Due, Name, Receipt, Removed, Tables};
use super::{Message, MessageId, Position, Waiting};

/// Messages, bytes, receivers.
type TotalsRow = (u64, u64, u64);
/// Last, acknowledged, messages, bytes, remembered.
type AccountRow = (u64, u64, u64, u64, u64);
/// Receiver, sender, id.
type ReceiptKey = (&'static str, &'static str, [u8; MessageId::LEN]);
/// Position, digest.
type ReceiptRow = (u64, [u8; 32]);
/// Receiver, position.
type MessageKey = (&'static str, u64);
/// Expiry, sender, id, bytes.
type MessageRow = (u64, &'static str, [u8; MessageId::LEN], &'static [u8]);
/// Expiry, receiver, position.
type DueKey = (u64, &'static str, u64);
/// Sender, id.
type DueRow = (&'static str, [u8; MessageId::LEN]);

const TOTALS: TableDefinition<(), TotalsRow> = TableDefinition::new("totals");
const ACCOUNTS: TableDefinition<&str, AccountRow> = TableDefinition::new("accounts");
const RECEIPTS: TableDefinition<ReceiptKey, ReceiptRow> = TableDefinition::new("receipts");
const MESSAGES: TableDefinition<MessageKey, MessageRow> = TableDefinition::new("messages");
const DUES: TableDefinition<DueKey, DueRow> = TableDefinition::new("dues");

/// All tables, opened to be written.
pub(super) struct Opened<'t> {
    totals: Table<'t, (), TotalsRow>,
    accounts: Table<'t, &'static str, AccountRow>,
    receipts: Table<'t, ReceiptKey, ReceiptRow>,
    messages: Table<'t, MessageKey, MessageRow>,
    dues: Table<'t, DueKey, DueRow>,
}

impl<'t> Opened<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            totals: transaction.open_table(TOTALS)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            receipts: transaction.open_table(RECEIPTS)?,
            messages: transaction.open_table(MESSAGES)?,
            dues: transaction.open_table(DUES)?,
        })
    }
}

/// The messages that wait for `receiver` after `after`.
pub(super) fn fetch(
    transaction: &ReadTransaction,
    now: UtcTime,
    receiver: &EntityId,
    after: Position,
    most: usize,
    bytes: usize,
) -> Result<Vec<Waiting>, redb::Error> {
    let mut waiting = Vec::new();
    let messages = match transaction.open_table(MESSAGES) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(waiting),
        opened => opened?,
    };
    let Some(first) = after.number().checked_add(1) else {
        return Ok(waiting);
    };
    let receiver = receiver.as_str();
    let mut room = bytes;
    for row in messages.range((receiver, first)..=(receiver, u64::MAX))? {
        if waiting.len() == most {
            break;
        }
        let (key, row) = row?;
        let (expiry, sender, id, bytes) = row.value();
        if expiry <= now.as_secs() {
            continue;
        }
        room = match room.checked_sub(bytes.len()) {
            Some(left) => left,
            None if waiting.is_empty() => 0,
            None => break,
        };
        let sender = EntityId::parse(sender)
            .map_err(|_| redb::Error::Corrupted("a sender that is no entity".to_owned()))?;
        waiting.push(Waiting {
            position: Position::new(key.value().1),
            sender,
            id: MessageId::new(id),
            expiry: UtcTime::from_secs(expiry),
            bytes: bytes.to_vec(),
        });
    }
    Ok(waiting)
}

impl Tables for Opened<'_> {
    type Error = redb::Error;

    fn totals(&mut self) -> Result<Totals, redb::Error> {
        let row = self.totals.get(())?;
        let (messages, bytes, receivers) = row.map_or((0, 0, 0), |row| row.value());
        Ok(Totals {
            messages,
            bytes,
            receivers,
        })
    }

    fn set_totals(&mut self, totals: Totals) -> Result<(), redb::Error> {
        let row = (totals.messages, totals.bytes, totals.receivers);
        self.totals.insert((), row)?;
        Ok(())
    }

    fn account(&mut self, receiver: &str) -> Result<Option<Account>, redb::Error> {
        Ok(self.accounts.get(receiver)?.map(|row| {
            let (last, acknowledged, messages, bytes, remembered) = row.value();
            Account {
                last,
                acknowledged,
                messages,
                bytes,
                remembered,
            }
        }))
    }

    fn set_account(&mut self, receiver: &str, account: Account) -> Result<(), redb::Error> {
        let row = (
            account.last,
            account.acknowledged,
            account.messages,
            account.bytes,
            account.remembered,
        );
        self.accounts.insert(receiver, row)?;
        Ok(())
    }

    fn receipt(&mut self, name: Name<'_>) -> Result<Option<Receipt>, redb::Error> {
        let row = self
            .receipts
            .get((name.receiver, name.sender, *name.id.as_bytes()))?;
        Ok(row.map(|row| {
            let (position, digest) = row.value();
            Receipt { position, digest }
        }))
    }

    fn set_receipt(&mut self, name: Name<'_>, receipt: Receipt) -> Result<(), redb::Error> {
        let key = (name.receiver, name.sender, *name.id.as_bytes());
        self.receipts
            .insert(key, (receipt.position, receipt.digest))?;
        Ok(())
    }

    fn remove_receipt(&mut self, name: Name<'_>) -> Result<(), redb::Error> {
        self.receipts
            .remove((name.receiver, name.sender, *name.id.as_bytes()))?;
        Ok(())
    }

    fn insert(&mut self, position: u64, message: &Message) -> Result<(), redb::Error> {
        let row = (
            message.expiry.as_secs(),
            message.sender.as_str(),
            *message.id.as_bytes(),
            &message.bytes[..],
        );
        self.messages
            .insert((message.receiver.as_str(), position), row)?;
        Ok(())
    }

    fn remove(&mut self, receiver: &str, first: u64, last: u64) -> Result<Removed, redb::Error> {
        let mut removed = Removed::default();
        let range = (receiver, first)..=(receiver, last);
        self.messages.retain_in(range, |_, (_, _, _, bytes)| {
            removed.messages += 1;
            removed.bytes += bytes.len() as u64;
            false
        })?;
        Ok(removed)
    }

    fn set_due(&mut self, due: Due<'_>) -> Result<(), redb::Error> {
        let key = (due.expiry, &*due.receiver, due.position);
        self.dues.insert(key, (&*due.sender, *due.id.as_bytes()))?;
        Ok(())
    }

    fn take_due(&mut self, now: u64) -> Result<Option<Due<'static>>, redb::Error> {
        let due = match self.dues.first()? {
            Some((key, row)) if key.value().0 <= now => {
                let (expiry, receiver, position) = key.value();
                let (sender, id) = row.value();
                Due {
                    expiry,
                    position,
                    receiver: receiver.to_owned().into(),
                    sender: sender.to_owned().into(),
                    id: MessageId::new(id),
                }
            }
            _ => return Ok(None),
        };
        self.dues
            .remove((due.expiry, &*due.receiver, due.position))?;
        Ok(Some(due))
    }
}
