//! The core: one end point behind one socket, in a process of its own that may be killed.

use core::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{self, BufRead as _, Write as _},
    net::UdpSocket,
    path::PathBuf,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::Instant,
};

use anyhow::{Context as _, bail};
use refpoint_association::{
    AssociationId, Config, CredentialId, Credentials, Endpoint, Event, HandleChange, Local, Modes,
    Outbox, Policy,
};
use refpoint_keys::EntityId;
use refpoint_store::{
    Batching, Journal, Mailbox as _, MailboxOptions, Message as Put, Quota, Redb, RedbMailbox,
    RedbOptions,
};
use serde_json::{Value, json};

use super::{INBOX, Inbox, Message, Outgoing, bind, device, entity, now, parties::static_key, utc};

/// The argument that makes this program a core.
pub(crate) const CORE_COMMAND: &str = "core";

/// How devices come back to a core that has restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returning {
    /// By a handle, which the core keeps in its store.
    Light,
    /// By a full handshake; the core keeps no handles.
    Full,
}

impl Returning {
    /// The policy of both ends.
    pub(crate) fn policy(self) -> Policy {
        let modes = match self {
            Self::Light => Modes::BOTH,
            Self::Full => Modes::NONE,
        };
        let policy = Policy::default();
        let age = policy.resumption_age();
        policy.with_resumption(modes, age)
    }

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Full => "full",
        }
    }
}

/// What a core is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where its store and mailbox are.
    pub(crate) directory: PathBuf,
    pub(crate) address: SocketAddrV4,
    pub(crate) devices: u32,
    pub(crate) returning: Returning,
    /// Full handshakes a second, before it gives slots.
    pub(crate) capacity: u32,
}

impl Options {
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            CORE_COMMAND.into(),
            self.directory.to_string_lossy().into_owned(),
            self.address.to_string(),
            self.devices.to_string(),
            self.returning.name().into(),
            self.capacity.to_string(),
        ]
    }

    pub(crate) fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let [directory, address, devices, returning, capacity] = arguments else {
            bail!("a core takes five arguments");
        };
        let all = [Returning::Light, Returning::Full];
        let returning = all.into_iter().find(|one| one.name() == returning);
        Ok(Self {
            directory: directory.into(),
            address: address.parse()?,
            devices: devices.parse()?,
            returning: returning.context("light or full")?,
            capacity: capacity.parse()?,
        })
    }
}

/// Is the core: until it is told to stop, or killed.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::read(arguments)?;
    let start = Instant::now();
    let mut core = Core::start(&options)?;
    let ready = json!({
        "took": start.elapsed().as_secs_f64(),
        "restored": core.endpoint.issued(),
        "port": core.socket.local_addr()?.port(),
    });
    tell(&ready)?;
    core.serve(&commands()?)
}

pub(super) fn tell(what: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}

/// The lines that the process which started this one writes; their end is the end.
pub(super) fn commands() -> io::Result<Receiver<String>> {
    let (sender, receiver) = channel();
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("commands".into()).spawn(read)?;
    Ok(receiver)
}

/// Readings that may wait for the disk; who sends more repeats it (no deep queue).
const MOST_STORING: usize = 1000;
/// Batches of packets between two looks at everything else.
const BATCHES: usize = 32;
/// Packets that are no records: how many get a turn between two looks at the socket, and how many
/// wait at most for theirs. So a flood of initiations takes nothing from those who have an
/// association, as long as it can be read.
const STRANGERS: usize = 256;
const MOST_STRANGERS: usize = 4096;
/// The bit of a record's type byte (`proto/README.md`).
const RECORD: u8 = 0x80;

struct Core {
    endpoint: Endpoint,
    /// Where handles outlive the process, if they do.
    journal: Option<Journal>,
    mailbox: RedbMailbox,
    inbox_of: EntityId,
    socket: UdpSocket,
    inbox: Inbox,
    out: Out,
    /// Packets that are no records, until all records are through.
    strangers: VecDeque<(SocketAddr, Vec<u8>)>,
    owners: HashMap<CredentialId, u32>,
    /// Over what each device is answered.
    current: Vec<Option<AssociationId>>,
    storing: HashSet<Message>,
    stored: (Sender<Stored>, Receiver<Stored>),
    received: u64,
    unread: u64,
    unstored: u64,
}

/// A reading that the mailbox is done with.
struct Stored {
    message: Message,
    exchange: u32,
    durable: bool,
}

impl Core {
    fn start(options: &Options) -> anyhow::Result<Self> {
        let policy = options.returning.policy();
        let mut credentials = Credentials::new();
        let mut owners = HashMap::new();
        for number in 0..options.devices {
            let id = credentials.insert(device(number, true, &policy)?)?;
            owners.insert(id, number);
        }
        let devices = options.devices as usize;
        let config = Config::default()
            .with_associations(4 * devices.max(1024))?
            .with_half_open(16_384)
            .with_handshakes_per_second(options.capacity);
        let local = Local::new(entity(None)?).with_static_key(static_key()?);
        let mut endpoint = Endpoint::new(config, local, credentials, &mut crate::pair::rng());
        let journal = match options.returning {
            Returning::Full => None,
            Returning::Light => {
                let directory = options.directory.join("handles");
                let store = Redb::open(&directory, utc(), &RedbOptions::default())?;
                let (journal, kept) = Journal::open(store, utc(), Batching::default())?;
                endpoint = endpoint.with_responder_keys(&kept.keys);
                for handle in &kept.handles {
                    endpoint.restore_issued(now(), handle)?;
                }
                Some(journal)
            }
        };
        Ok(Self {
            endpoint,
            journal,
            mailbox: open_mailbox(options)?,
            inbox_of: EntityId::parse(INBOX)?,
            socket: bind(options.address)?,
            inbox: Inbox::default(),
            out: Out::default(),
            strangers: VecDeque::new(),
            owners,
            current: vec![None; devices],
            storing: HashSet::new(),
            stored: channel(),
            received: 0,
            unread: 0,
            unstored: 0,
        })
    }

    fn serve(&mut self, commands: &Receiver<String>) -> anyhow::Result<()> {
        loop {
            match commands.try_recv() {
                Ok(command) if command == "report" => tell(&self.report())?,
                Err(TryRecvError::Empty) => {}
                Ok(_) | Err(TryRecvError::Disconnected) => return Ok(()),
            }
            Inbox::wait(&self.socket, self.patience())?;
            for _ in 0..BATCHES {
                if self.receive()? == 0 {
                    break;
                }
                self.out.packets.flush(&self.socket);
            }
            self.receive_strangers();
            self.answer_stored();
            if self
                .endpoint
                .next_timeout()
                .is_some_and(|due| due <= now().monotonic)
            {
                let rng = &mut crate::pair::rng();
                self.endpoint.handle_timeout(now(), rng, &mut self.out);
                self.take_events();
            }
            if let Some(journal) = &mut self.journal {
                journal.tell(utc());
            }
            self.out.packets.flush(&self.socket);
        }
    }

    /// For how long to wait for packets: the disk tells nobody when it is done.
    fn patience(&self) -> Duration {
        if !self.strangers.is_empty() {
            return Duration::ZERO;
        }
        if !self.storing.is_empty() {
            return Duration::from_millis(1);
        }
        let due = self.endpoint.next_timeout();
        let wait = due.map_or(Duration::MAX, |due| due.saturating_sub(now().monotonic));
        wait.min(Duration::from_millis(20))
    }

    fn receive(&mut self) -> io::Result<usize> {
        let received = self.inbox.receive(&self.socket)?;
        self.received += received as u64;
        let (now, rng) = (now(), &mut crate::pair::rng());
        for (from, _, packet) in self.inbox.packets() {
            let from = SocketAddr::V4(from);
            if packet.first().is_some_and(|first| first & RECORD != 0) {
                self.endpoint.receive(now, rng, from, packet, &mut self.out);
            } else if self.strangers.len() < MOST_STRANGERS {
                self.strangers.push_back((from, packet.to_vec()));
            } else {
                self.unread += 1;
            }
        }
        self.take_events();
        Ok(received)
    }

    fn receive_strangers(&mut self) {
        let (now, rng) = (now(), &mut crate::pair::rng());
        let turn = self.strangers.len().min(STRANGERS);
        for (from, mut packet) in self.strangers.drain(..turn) {
            self.endpoint
                .receive(now, rng, from, &mut packet, &mut self.out);
        }
        self.take_events();
    }

    fn take_events(&mut self) {
        for happened in core::mem::take(&mut self.out.events) {
            match happened {
                Happened::Established(id) => {
                    if let Some(device) = self.owner(id) {
                        self.current[device as usize] = Some(id);
                    }
                }
                Happened::Replaced(old, new) => {
                    if let Some(device) = self.owner(new)
                        && self.current[device as usize] == Some(old)
                    {
                        self.current[device as usize] = Some(new);
                    }
                }
                Happened::Received(id, data) => self.keep(id, &data),
                Happened::Handles(change) => {
                    if let Some(journal) = &mut self.journal {
                        journal.write(change);
                    }
                }
            }
        }
    }

    fn owner(&self, id: AssociationId) -> Option<u32> {
        let peer = self.endpoint.peer(id)?;
        self.owners.get(&peer.credential_id()).copied()
    }

    /// Puts a reading into the mailbox, which keeps it once however often it comes.
    fn keep(&mut self, id: AssociationId, data: &[u8]) {
        let Some(device) = self.owner(id) else { return };
        let Some((exchange, message)) = Message::from_request(device, data) else {
            return;
        };
        if self.storing.len() >= MOST_STORING {
            self.unstored += 1;
            return;
        }
        let Ok(sender) = entity(Some(device)) else {
            return;
        };
        if !self.storing.insert(message) {
            return;
        }
        let put = Put {
            receiver: self.inbox_of.clone(),
            sender,
            id: message.id(),
            expiry: EXPIRY,
            bytes: message.content().to_vec(),
        };
        let done = self.stored.0.clone();
        let tell = move |outcome: Result<_, _>| {
            // Nobody listens any more: then nobody answers.
            let _ = done.send(Stored {
                message,
                exchange,
                durable: outcome.is_ok(),
            });
        };
        self.mailbox.put_then(utc(), put, Box::new(tell));
    }

    fn answer_stored(&mut self) {
        while let Ok(stored) = self.stored.1.try_recv() {
            let Message { device, number } = stored.message;
            self.storing.remove(&stored.message);
            if !stored.durable {
                self.unstored += 1;
                continue;
            }
            if let Some(id) = self.current[device as usize] {
                let answer = Message::answer(stored.exchange, number);
                // An association that has ended in between: the device asks again.
                let _ = self.endpoint.send(now(), id, &answer, &mut self.out);
            }
        }
    }

    fn report(&self) -> Value {
        let done = self.endpoint.statistics();
        let refused = self.journal.as_ref().map(|one| one.statistics().refused);
        json!({
            "received": self.received,
            "unread": self.unread,
            "answered": done.answered,
            "resumed": done.resumed,
            "retried": done.retried,
            "refused": done.refused,
            "limited": done.limited,
            "unauthenticated": done.unauthenticated,
            "malformed": done.malformed,
            "unknown": done.unknown,
            "held": self.endpoint.len(),
            "handles": self.endpoint.issued(),
            "unkept_handles": refused.unwrap_or_default(),
            "unstored": self.unstored,
        })
    }
}

/// Beyond any run.
pub(super) const EXPIRY: refpoint_keys::UtcTime = refpoint_keys::UtcTime::from_secs(4_000_000_000);

/// The mailbox, with room for everything that the devices will send.
pub(crate) fn open_mailbox(options: &Options) -> anyhow::Result<RedbMailbox> {
    let (most, bytes) = (u64::from(options.devices) * 64, 1 << 40);
    let longest = Duration::from_secs(200 * 365 * 24 * 3600);
    let quota = Quota::default()
        .with_message(4096, longest)
        .with_receiver(most, bytes)
        .with_remembered(most)
        .with_all(most, bytes);
    let directory = options.directory.join("mailbox");
    let options = MailboxOptions::default().with_quota(quota);
    Ok(RedbMailbox::open(&directory, &options)?)
}

/// What the end point puts out until the core gets to it.
#[derive(Default)]
struct Out {
    packets: Outgoing,
    events: Vec<Happened>,
}

enum Happened {
    Established(AssociationId),
    Replaced(AssociationId, AssociationId),
    Received(AssociationId, Vec<u8>),
    Handles(HandleChange),
}

impl Outbox for Out {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        if let SocketAddr::V4(to) = to {
            self.packets.push(Ipv4Addr::UNSPECIFIED, to, packet);
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push(match event {
            Event::Established { id, .. } => Happened::Established(id),
            Event::Replaced { old, new } => Happened::Replaced(old, new),
            Event::Received { id, data } => Happened::Received(id, data.to_vec()),
            Event::Handles(change) => Happened::Handles(change),
            _ => return,
        });
    }
}
