use core::convert::Infallible;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use refpoint_keys::{EntityId, UtcTime};

use super::account::{Account, Quota, Totals};
use super::rules::{self, Due, Name, Receipt, Removed, Tables};
use super::{Done, Mailbox, MailboxError, Message, MessageId, Position, Waiting};

/// A mailbox that ends with the process: for tests, and for who has no disk.
#[derive(Debug, Default)]
pub struct MemoryMailbox {
    quota: Quota,
    tables: Mutex<Maps>,
}

impl MemoryMailbox {
    /// An empty mailbox.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            tables: Mutex::default(),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Maps> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox for MemoryMailbox {
    fn put_then(&self, now: UtcTime, message: Message, done: Done<Position>) {
        let outcome = {
            let mut tables = self.tables();
            let Ok(_) = rules::expire(&mut *tables, now);
            let Ok(outcome) = rules::put(&mut *tables, &self.quota, now, &message);
            outcome
        };
        done(outcome);
    }

    fn acknowledge_then(&self, receiver: EntityId, up_to: Position, done: Done<()>) {
        let Ok(outcome) = rules::acknowledge(&mut *self.tables(), receiver.as_str(), up_to);
        done(outcome);
    }

    fn fetch(
        &self,
        now: UtcTime,
        receiver: &EntityId,
        after: Position,
        most: usize,
        bytes: usize,
    ) -> Result<Vec<Waiting>, MailboxError> {
        let tables = self.tables();
        let messages = tables.messages.get(receiver.as_str());
        let Some(first) = after.number().checked_add(1) else {
            return Ok(Vec::new());
        };
        let mut room = bytes;
        let waiting = messages.into_iter().flat_map(|map| map.range(first..));
        let live = waiting
            .filter(|(_, message)| message.expiry > now)
            .take(most);
        let taken = live.enumerate().map_while(|(index, (position, message))| {
            let left = room.checked_sub(message.bytes.len());
            room = left.or((index == 0).then_some(0))?;
            Some(Waiting {
                position: Position::new(*position),
                sender: message.sender.clone(),
                id: message.id,
                expiry: message.expiry,
                bytes: message.bytes.clone(),
            })
        });
        Ok(taken.collect())
    }

    fn expire(&self, now: UtcTime) -> Result<u64, MailboxError> {
        let Ok(unfetched) = rules::expire(&mut *self.tables(), now);
        Ok(unfetched)
    }
}

#[derive(Debug, Default)]
struct Maps {
    totals: Totals,
    accounts: HashMap<String, Account>,
    receipts: HashMap<(String, String, MessageId), Receipt>,
    messages: HashMap<String, BTreeMap<u64, Message>>,
    /// By expiry, receiver and position.
    dues: BTreeMap<(u64, String, u64), (String, MessageId)>,
}

fn owned(name: Name<'_>) -> (String, String, MessageId) {
    (name.receiver.to_owned(), name.sender.to_owned(), name.id)
}

impl Tables for Maps {
    type Error = Infallible;

    fn totals(&mut self) -> Result<Totals, Infallible> {
        Ok(self.totals)
    }

    fn set_totals(&mut self, totals: Totals) -> Result<(), Infallible> {
        self.totals = totals;
        Ok(())
    }

    fn account(&mut self, receiver: &str) -> Result<Option<Account>, Infallible> {
        Ok(self.accounts.get(receiver).copied())
    }

    fn set_account(&mut self, receiver: &str, account: Account) -> Result<(), Infallible> {
        self.accounts.insert(receiver.to_owned(), account);
        Ok(())
    }

    fn receipt(&mut self, name: Name<'_>) -> Result<Option<Receipt>, Infallible> {
        Ok(self.receipts.get(&owned(name)).copied())
    }

    fn set_receipt(&mut self, name: Name<'_>, receipt: Receipt) -> Result<(), Infallible> {
        self.receipts.insert(owned(name), receipt);
        Ok(())
    }

    fn remove_receipt(&mut self, name: Name<'_>) -> Result<(), Infallible> {
        self.receipts.remove(&owned(name));
        Ok(())
    }

    fn insert(&mut self, position: u64, message: &Message) -> Result<(), Infallible> {
        let receiver = message.receiver.as_str().to_owned();
        let messages = self.messages.entry(receiver).or_default();
        messages.insert(position, message.clone());
        Ok(())
    }

    fn remove(&mut self, receiver: &str, first: u64, last: u64) -> Result<Removed, Infallible> {
        let mut removed = Removed::default();
        if let Some(messages) = self.messages.get_mut(receiver) {
            messages.retain(|position, message| {
                let keep = !(first..=last).contains(position);
                if !keep {
                    removed.messages += 1;
                    removed.bytes += message.bytes.len() as u64;
                }
                keep
            });
            if messages.is_empty() {
                self.messages.remove(receiver);
            }
        }
        Ok(removed)
    }

    fn set_due(&mut self, due: Due<'_>) -> Result<(), Infallible> {
        let key = (due.expiry, due.receiver.into_owned(), due.position);
        self.dues.insert(key, (due.sender.into_owned(), due.id));
        Ok(())
    }

    fn take_due(&mut self, now: u64) -> Result<Option<Due<'static>>, Infallible> {
        let first = self.dues.first_entry().filter(|due| due.key().0 <= now);
        Ok(first.map(|due| {
            let ((expiry, receiver, position), (sender, id)) = due.remove_entry();
            Due {
                expiry,
                position,
                receiver: receiver.into(),
                sender: sender.into(),
                id,
            }
        }))
    }
}
