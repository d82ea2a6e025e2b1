//! End to end through the gateway: what it carries it cannot read, and what it tries comes to nothing.
//!
//! ```text
//!  sensor ═X═ node ── tap ── gateway's CSE ── tap ── node ═Y═ core ── operator
//!     └────────────────── sealed for each other ─────────────────────────┘
//! ```
//!
//! The taps stand inside the gateway, where the associations end: what they see is all that goes in and comes out.

mod end;

use core::time::Duration;
use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use refpoint_association::CredentialId;
use refpoint_e2e::{EntityRecord, Error, PreKey, Recipient, Target};
use refpoint_keys::{ApplicationKey, KeyId, UtcTime, Validity};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::scenario::{PATIENCE, Step};
use super::temporary::random;
use super::world::{OPERATOR, ROGUE, SENSOR, World};
use crate::utc;
use end::{End, Keys, LIFE, after, get, put, put_key, read_letter, seal};

/// The operator's container as the sensor names it, and as the operator does.
const INBOX: [&str; 2] = ["/~/id-in/cse-in/operator/inbox", "/cse-in/operator/inbox"];
/// The sensor's containers at the gateway, as the operator names the first, and as the sensor does.
const ANSWERS: [&str; 2] = ["/~/id-mn/cse-mn/sensor/answers", "/cse-mn/sensor/answers"];
const OUTBOX: &str = "/cse-mn/sensor/outbox";
/// Where the operator publishes its pre-keys.
const KEYS: [&str; 2] = ["/~/id-in/cse-in/operator/keys", "/cse-in/operator/keys"];
/// Another container of the operator's.
const COMMANDS: [&str; 2] = [
    "/~/id-in/cse-in/operator/commands",
    "/cse-in/operator/commands",
];

/// How long the operator is off.
const AWAY: Duration = Duration::from_secs(1);
/// How long the gateway holds something back, and for how long it opens.
const HELD_BACK: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) steps: Vec<Step>,
    /// How often the receivers got the marker.
    pub(super) received: usize,
    pub(super) attacks: Vec<Attack>,
    pub(super) inside: Inside,
}

/// Something that the gateway tried.
#[derive(Debug, Clone)]
pub(super) struct Attack {
    pub(super) what: &'static str,
    /// What the receiver said; none: it was taken in.
    pub(super) refused: Option<String>,
}

/// What the tap inside the gateway saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    /// How often it saw the marker before anything was sealed: the control.
    pub(super) control: u64,
    /// How often it saw the marker of what was sealed.
    pub(super) found: u64,
    /// How many bytes it saw meanwhile.
    pub(super) bytes: u64,
}

/// Plays it in a world with nodes, after its scenario; all content holds `marker`.
pub(super) async fn play(world: &World, marker: &str) -> anyhow::Result<Sealed> {
    let inside = world
        .inside
        .as_ref()
        .context("nobody listens inside the gateway")?;
    let (control, before) = (inside.found(), inside.bytes());
    let mut play = Play::new(world, marker)?;
    let played = async {
        play.prepare().await?;
        play.live().await?;
        let pre_key = play.away().await?;
        play.attack(&pre_key).await
    };
    timeout(4 * PATIENCE, played).await.context("it hangs")??;
    Ok(Sealed {
        steps: play.steps,
        received: play.received,
        attacks: play.attacks,
        inside: Inside {
            control,
            found: inside.found() - control,
            bytes: inside.bytes() - before,
        },
    })
}

struct Play<'a> {
    world: &'a World,
    marker: &'a str,
    sensor: End,
    operator: End,
    /// An entity that both know, and that is on the gateway's side.
    insider: Keys,
    /// The operator, as the sensor's sessions name it.
    peer: CredentialId,
    inbox: Target,
    commands: Target,
    steps: Vec<Step>,
    received: usize,
    attacks: Vec<Attack>,
}

impl<'a> Play<'a> {
    fn new(world: &'a World, marker: &'a str) -> anyhow::Result<Self> {
        let (sensor, operator) = (Keys::make(SENSOR)?, Keys::make(OPERATOR)?);
        let valid = Validity::until(after(24 * LIFE));
        let (secret, id) = (*random()?, KeyId::new(random::<4>()?.as_slice())?);
        let key = ApplicationKey::from_bytes(secret, id, &sensor.entity, &operator.entity, valid)?;
        let records = [sensor.record.clone(), operator.record.clone()];
        let (sensor, peer) = End::new(sensor, &key, &records[1])?;
        let (operator, _) = End::new(operator, &key, &records[0])?;
        let target = |path: &str| Target::new(&format!("//sp.example.com/id-in{path}"));
        Ok(Self {
            world,
            marker,
            sensor,
            operator,
            insider: Keys::make(ROGUE)?,
            peer,
            inbox: target(INBOX[1])?,
            commands: target(COMMANDS[1])?,
            steps: Vec::new(),
            received: 0,
            attacks: Vec::new(),
        })
    }

    /// Makes the containers.
    async fn prepare(&self) -> anyhow::Result<()> {
        let (sensor, operator) = (&self.world.sensor, &self.world.operator);
        for (ae, parent, name) in [
            (operator, "/cse-in/operator", "inbox"),
            (operator, "/cse-in/operator", "keys"),
            (sensor, "/cse-mn/sensor", "answers"),
            (sensor, "/cse-mn/sensor", "outbox"),
        ] {
            let container = json!({ "m2m:cnt": { "rn": name } });
            let made = ae.create(parent, 3, &container).await?;
            ensure!(
                made.code == 2001,
                "{parent}/{name} was answered {}",
                made.code
            );
        }
        Ok(())
    }

    /// Both are there: a session, whose letters are content like any other for the nodes.
    async fn live(&mut self) -> anyhow::Result<()> {
        let (session, initiate) = self.sensor.initiate(self.peer, &self.inbox)?;
        put(&self.world.sensor, INBOX[0], "initiate", &initiate).await?;
        let initiate = get(&self.world.operator, &format!("{}/initiate", INBOX[1])).await?;
        let arrival = self.operator.receive(&self.inbox, &initiate)?;
        let respond = arrival.reply.context("no answer to the Initiate")?;
        let respond = refpoint_e2e::Sealed::Packet(respond).encode();
        put(&self.world.operator, ANSWERS[0], "respond", &respond).await?;
        let respond = get(&self.world.sensor, &format!("{}/respond", ANSWERS[1])).await?;
        let arrival = self.sensor.receive(&self.inbox, &respond)?;
        ensure!(arrival.established, "the session is not established");

        let reading = format!("{} live", self.marker);
        let letter = self.sensor.letter(session, &self.inbox, 1, &reading)?;
        put(&self.world.sensor, INBOX[0], "letter-1", &letter).await?;
        let letter = get(&self.world.operator, &format!("{}/letter-1", INBOX[1])).await?;
        let arrival = self.operator.receive(&self.inbox, &letter)?;
        self.expect(read_letter(&arrival), (1, &reading))?;

        let command = format!("open {}", self.marker);
        let session = self
            .operator
            .session(&self.sensor.keys.entity, &self.inbox)?;
        let letter = self.operator.letter(session, &self.inbox, 1, &command)?;
        put(&self.world.operator, ANSWERS[0], "letter-1", &letter).await?;
        let letter = get(&self.world.sensor, &format!("{}/letter-1", ANSWERS[1])).await?;
        let arrival = self.sensor.receive(&self.inbox, &letter)?;
        self.expect(read_letter(&arrival), (1, &command))?;
        self.step("sensor and operator begin a session through the gateway, and each sends the other a letter");
        Ok(())
    }

    fn expect(&mut self, got: Option<(u64, String)>, expected: (u64, &str)) -> anyhow::Result<()> {
        let got = got.context("a letter without content")?;
        ensure!(
            (got.0, got.1.as_str()) == expected,
            "another letter arrived"
        );
        self.received += 1;
        Ok(())
    }

    /// The operator is off, and has left a pre-key.
    async fn away(&mut self) -> anyhow::Result<Recipient> {
        put_key(
            &self.world.operator,
            KEYS[1],
            "1",
            &self.operator.pre_key()?,
        )
        .await?;
        let kept = self.operator.turn_off();
        let recipient = self.fetch_key("1", &self.operator.keys.record).await??;
        for number in 1..=3 {
            let text = format!("{} sealed {number}", self.marker);
            let object = self.seal(&recipient, after(LIFE), &text)?;
            let name = format!("object-{number}");
            put(&self.world.sensor, INBOX[0], &name, &object).await?;
        }
        sleep(AWAY).await;
        self.operator.turn_on(&kept)?;
        for number in 1..=3 {
            let opened = self.deliver(&format!("object-{number}")).await?;
            let expected = format!("{} sealed {number}", self.marker);
            ensure!(opened.as_ref() == Ok(&expected), "opened as {opened:?}");
            self.received += 1;
        }
        self.step(
            "while the operator is off, the sensor seals 3 readings to its pre-key; it opens them when it is back",
        );
        Ok(recipient)
    }

    /// The gateway, or who is inside of it, tries what it can.
    async fn attack(&mut self, recipient: &Recipient) -> anyhow::Result<()> {
        // Whatever the gateway's CSE sends as its AE passes its node: it may speak for the sensor.
        let gateway = &self.world.inside_gateway;
        let object = get(gateway, &format!("{}/object-1", INBOX[0])).await?;
        put(gateway, INBOX[0], "again", &object).await?;
        let opened = self.deliver("again").await?;
        self.tried("replays a sealed reading", opened);

        let mut object = self.seal(recipient, after(LIFE), self.marker)?;
        put(&self.world.sensor, OUTBOX, "altered", &object).await?;
        *object.last_mut().context("an object")? ^= 1;
        put(gateway, INBOX[0], "altered", &object).await?;
        let opened = self.deliver("altered").await?;
        self.tried("alters one bit of another", opened);

        let object = self.seal(recipient, after(LIFE), self.marker)?;
        put(&self.world.sensor, OUTBOX, "redirected", &object).await?;
        put(gateway, COMMANDS[0], "redirected", &object).await?;
        let path = format!("{}/redirected", COMMANDS[1]);
        let object = get(&self.world.operator, &path).await?;
        let opened = self.operator.open(&self.commands, &object);
        self.tried("redirects one into another container", opened);

        let object = self.seal(recipient, after(SHORT), self.marker)?;
        put(&self.world.sensor, OUTBOX, "held", &object).await?;
        sleep(HELD_BACK).await;
        put(gateway, INBOX[0], "held", &object).await?;
        let opened = self.deliver("held").await?;
        self.tried("holds one back for longer than it is valid", opened);

        self.reorder().await?;
        self.substitute(recipient).await?;

        // What is honest still arrives.
        let object = self.seal(recipient, after(LIFE), self.marker)?;
        put(&self.world.sensor, INBOX[0], "last", &object).await?;
        let opened = self.deliver("last").await?;
        ensure!(opened.as_deref() == Ok(self.marker), "opened as {opened:?}");
        self.received += 1;
        Ok(())
    }

    /// The gateway passes letters on in another order.
    async fn reorder(&mut self) -> anyhow::Result<()> {
        let session = self
            .sensor
            .session(&self.operator.keys.entity, &self.inbox)?;
        let numbers = [2_u32, 3, 4];
        let mut letters = BTreeMap::new();
        for number in numbers {
            let text = format!("{} letter {number}", self.marker);
            let letter = self.sensor.letter(session, &self.inbox, number, &text)?;
            let name = format!("letter-{number}");
            put(&self.world.sensor, OUTBOX, &name, &letter).await?;
            letters.insert(number, letter);
        }
        let (mut next, mut waiting, mut noticed) = (2, BTreeMap::new(), None);
        for number in [4, 2, 3] {
            let name = format!("letter-{number}");
            put(
                &self.world.inside_gateway,
                INBOX[0],
                &name,
                &letters[&number],
            )
            .await?;
            let letter = get(&self.world.operator, &format!("{}/{name}", INBOX[1])).await?;
            let arrival = self.operator.receive(&self.inbox, &letter)?;
            let (number, text) = read_letter(&arrival).context("a letter without content")?;
            if number != next {
                noticed.get_or_insert(format!(
                    "letter {number} has come before letter {next}: it waits for its turn"
                ));
            }
            waiting.insert(number, text);
            while let Some(text) = waiting.remove(&next) {
                let expected = format!("{} letter {next}", self.marker);
                ensure!(text == expected, "letter {next} says something else");
                self.received += 1;
                next += 1;
            }
        }
        ensure!(next == 5, "a letter is missing");
        self.attacks.push(Attack {
            what: "passes on three letters in another order",
            refused: noticed,
        });
        Ok(())
    }

    /// The gateway puts something else in the place of what was asked for.
    async fn substitute(&mut self, recipient: &Recipient) -> anyhow::Result<()> {
        let gateway = &self.world.inside_gateway;
        let (theirs, _) = End::new(
            Keys::make(ROGUE)?,
            &self.any_key()?,
            &self.sensor.keys.record,
        )?;
        put_key(gateway, KEYS[0], "2", &theirs.signed_as(&self.insider)?).await?;
        let verified = self.fetch_key("2", &self.operator.keys.record).await?;
        let verified = verified.map(|_| String::new());
        self.tried(
            "gives the sensor an insider's pre-key for the operator's",
            verified,
        );

        // The insider signs the operator's pre-key as its own: what is sealed for the insider fits the operator's key.
        let passed_off = self.operator.signed_as(&self.insider)?;
        let for_insider = passed_off.verify(&self.insider.record, utc::now())?;
        let object = self.seal(&for_insider, after(LIFE), self.marker)?;
        put(gateway, INBOX[0], "insiders", &object).await?;
        let opened = self.deliver("insiders").await?;
        self.tried(
            "gives the operator what was meant for an insider, who passed the operator's pre-key for its own",
            opened,
        );

        let sender = &self.sensor.keys.entity;
        let (keys, life) = (&self.insider, after(LIFE));
        let object = seal(keys, sender, recipient, &self.inbox, life, "forged")?;
        put(gateway, INBOX[0], "forged", &object).await?;
        let opened = self.deliver("forged").await?;
        self.tried("puts content of its own in the sensor's name", opened);
        Ok(())
    }

    /// A key of no meaning: the insider has sessions with nobody.
    fn any_key(&self) -> anyhow::Result<ApplicationKey> {
        let valid = Validity::until(after(LIFE));
        let (secret, id) = (*random()?, KeyId::new(&[0])?);
        let (insider, sensor) = (&self.insider.entity, &self.sensor.keys.entity);
        Ok(ApplicationKey::from_bytes(
            secret, id, insider, sensor, valid,
        )?)
    }

    fn seal(&self, recipient: &Recipient, expires: UtcTime, text: &str) -> Result<Vec<u8>, Error> {
        let keys = &self.sensor.keys;
        seal(keys, &keys.entity, recipient, &self.inbox, expires, text)
    }

    /// The operator reads something from its inbox.
    async fn deliver(&mut self, name: &str) -> anyhow::Result<Result<String, Error>> {
        let sealed = get(&self.world.operator, &format!("{}/{name}", INBOX[1])).await?;
        Ok(self.operator.open(&self.inbox, &sealed))
    }

    /// The sensor fetches a pre-key through the gateway, and checks whose it is.
    async fn fetch_key(
        &self,
        name: &str,
        owner: &EntityRecord,
    ) -> anyhow::Result<Result<Recipient, Error>> {
        let bytes = get(&self.world.sensor, &format!("{}/{name}", KEYS[0])).await?;
        let pre_key = PreKey::decode(&bytes);
        Ok(pre_key.and_then(|pre_key| pre_key.verify(owner, utc::now())))
    }

    fn tried(&mut self, what: &'static str, came_of_it: Result<String, Error>) {
        let refused = came_of_it.err().map(|error| error.to_string());
        self.attacks.push(Attack { what, refused });
    }

    fn step(&mut self, what: &str) {
        self.steps.push(Step {
            links: "X Y",
            what: what.to_owned(),
        });
    }
}
