//! Resumption: CPU of each side and bytes on the wire, beside TLS's.
//!
//! What a responder does for one: it reads the Resume, answers, opens the record that confirms,
//! redeems the handle, issues the next one (in the form in which a store gets it) and answers that
//! record. Stores and system calls are apart: randomness comes from a generator in this process, as
//! rustls's does. What it takes when every draw asks the system is a row of its own; what a store
//! and sockets take is in the sections `store` and `storm`.

use core::{net::Ipv4Addr, net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use rand_core::CryptoRng;
use refpoint_association::{CloseReason, Config, Endpoint, Local, Modes, Now, Policy, Suite};
use refpoint_keys::{Profile, ReferencePoint};

use crate::{
    handshake::{ROUNDS, own},
    hosts::{Device, GATEWAY, Sent},
    measure::{Contestant, Measured, Sides, Stopwatch, compare},
    pair::{Pair, after, rng, seeded},
    peer::tls::{Flavour, TICKETS, Tls},
    row::{Row, Target},
};

const LIGHT: &str = "light";
const LIGHT_ASKING: &str = "light, randomness by system calls";
const FRESH: &str = "fresh";
const FULL: &str = "full";
const RESUMED: &str = "rustls TLS 1.3 mutual, resumed (ticket, X25519)";
const SERVER: &str = "//sp.example.com/id-mn";

/// Devices that resume in one batch: as many as rustls's client has tickets.
const DEVICES: usize = TICKETS;

pub(crate) fn run() -> anyhow::Result<()> {
    let tls = Tls::new(Flavour::Resumed)?;
    let mut light = Fleet::new(Profile::Psk, Modes::BOTH)?;
    let mut asking = Fleet::new(Profile::Psk, Modes::BOTH)?;
    let mut fresh = Fleet::new(Profile::Psk, Modes::FRESH)?;
    let pair = Pair::new(Profile::Psk, Suite::ChaChaPoly)?;
    let (mut of_light, mut of_fresh) = (seeded(), seeded());
    let measured = compare(
        ROUNDS,
        vec![
            Contestant::new(LIGHT, || light.batch(&mut of_light)),
            Contestant::new(LIGHT_ASKING, || asking.batch(&mut rng())),
            Contestant::new(FRESH, || fresh.batch(&mut of_fresh)),
            Contestant::new(FULL, || own(&pair, true)),
            Contestant::new(RESUMED, || tls.batch(DEVICES)),
        ],
    );
    let of = |name| {
        let found = measured.iter().find(|one| one.name == name);
        found.context("all are measured")
    };
    let (of_tls, full) = (of(RESUMED)?, of(FULL)?);
    let asking_system = of(LIGHT_ASKING)?.sides[1] / 1e3;
    Row::new(
        format!("resumption {LIGHT_ASKING}, responder, confirmed"),
        asking_system,
        "µs",
    )
    .beside(RESUMED, of_tls.sides[1] / 1e3)
    .print();
    for (name, most) in [(LIGHT, 1.0 / 15.0), (FRESH, 0.45)] {
        let own: &Measured = of(name)?;
        for (side, end) in [(1, "responder"), (0, "initiator")] {
            let micros = own.sides[side] / 1e3;
            let name = format!("resumption {name}, {end}, confirmed");
            let row = |target| Row::new(&name, micros, "µs").reaching(target);
            let ratio = (side == 1).then_some(Target::Ratio(most));
            row(ratio).beside(RESUMED, of_tls.sides[side] / 1e3).print();
            let absolute = (side == 1 && most < 0.1).then_some(Target::AtMost(10.0));
            row(absolute)
                .beside(
                    "our own full handshake, psk, on a stream",
                    full.sides[side] / 1e3,
                )
                .print();
        }
    }
    let of_tls = tls.bytes()? as f64;
    for (name, fleet, most) in [(LIGHT, &mut light, 96.0), (FRESH, &mut fresh, 150.0)] {
        let name = format!("Resume and Resumed {name}, a device's index of 1 byte");
        Row::new(name, fleet.bytes()? as f64, "B")
            .beside(RESUMED, of_tls)
            .reaching(Some(Target::AtMost(most)))
            .print();
    }
    Ok(())
}

/// Devices that have an association with one gateway, end it and resume it, again and again.
pub(crate) struct Fleet {
    pub(crate) gateway: Endpoint,
    /// Who the gateway is.
    pub(crate) local: Local,
    pub(crate) devices: Vec<Device>,
    /// Since the beginning; each batch is some seconds later.
    elapsed: Duration,
}

impl Fleet {
    pub(crate) fn new(profile: Profile, modes: Modes) -> anyhow::Result<Self> {
        let age = Duration::from_secs(7 * 24 * 3600);
        let policy = Policy::default().with_resumption(modes, age);
        let config = Config::default().with_handshakes_per_second(1_000_000);
        let (mut gateway, mut local) = (None, None);
        let mut devices = Vec::new();
        for number in 0..DEVICES as u32 {
            let (name, key_id) = (format!("{SERVER}/C{number}"), number.to_be_bytes());
            let ends = (&*name, SERVER);
            let kind = (ReferencePoint::X, profile, Suite::ChaChaPoly);
            let pair = Pair::between(ends, kind.0, kind.1, kind.2, key_id)?.with_policy(&policy)?;
            let end = pair.gateway;
            let gateway = match &mut gateway {
                None => {
                    local = Some(end.local.clone());
                    let (config, rng) = (config.clone(), &mut rng());
                    gateway.insert(Endpoint::new(config, end.local, end.credentials, rng))
                }
                Some(gateway) => {
                    for (_, credential) in end.credentials.iter() {
                        gateway.insert_credential((**credential).clone())?;
                    }
                    gateway
                }
            };
            let address = SocketAddr::new(Ipv4Addr::from(0x0a00_0000 | number).into(), 7000);
            let mut device = Device::new(pair.device, address);
            let (id, ..) = device.associate(after(Duration::ZERO), gateway)?;
            let mut close = Sent::default();
            let now = after(Duration::ZERO);
            device
                .endpoint
                .close(now, id, CloseReason::Done, &mut close)?;
            deliver(gateway, now, &device, close);
            devices.push(device);
        }
        Ok(Self {
            gateway: gateway.context("there are devices")?,
            local: local.context("there are devices")?,
            devices,
            elapsed: Duration::ZERO,
        })
    }

    /// Some seconds later: what was half-open or answered then is forgotten.
    pub(crate) fn later(&mut self) -> Now {
        self.elapsed += Duration::from_secs(20);
        let now = after(self.elapsed);
        let nothing = &mut Sent::default();
        self.gateway.handle_timeout(now, &mut rng(), nothing);
        for device in &mut self.devices {
            device.endpoint.handle_timeout(now, &mut rng(), nothing);
        }
        now
    }

    fn batch(&mut self, rng: &mut dyn CryptoRng) -> Sides {
        self.resume(rng).expect("both ends agree")
    }

    fn resume(&mut self, rng: &mut dyn CryptoRng) -> anyhow::Result<Sides> {
        let now = self.later();
        let before = self.gateway.statistics();
        let mut watch = Stopwatch::default();
        let (mut forth, mut back) = (self.nothing(), self.nothing());
        watch.first(|| {
            let mut all = self.devices.iter_mut().zip(&mut forth);
            all.try_for_each(|(device, out)| device.connect_with(now, rng, out))
        })?;
        // The Resume and its answer, the confirming record and its answer.
        for _ in 0..2 {
            watch.second(|| {
                for (device, (sent, out)) in
                    self.devices.iter().zip(forth.iter_mut().zip(&mut back))
                {
                    for mut packet in sent.packets.drain(..) {
                        self.gateway
                            .receive(now, rng, device.address(), &mut packet, out);
                    }
                }
            });
            watch.first(|| {
                for (device, (sent, out)) in
                    self.devices.iter_mut().zip(back.iter_mut().zip(&mut forth))
                {
                    for mut packet in sent.packets.drain(..) {
                        device.endpoint.receive(now, rng, GATEWAY, &mut packet, out);
                    }
                }
            });
        }
        let after = self.gateway.statistics();
        let resumed = after.resumed - before.resumed;
        ensure!(resumed == DEVICES as u64, "{resumed} have resumed");
        self.close(now, forth, &back)?;
        Ok(watch.mean(DEVICES))
    }

    /// What each device has sent, and got: nothing yet.
    pub(crate) fn nothing(&self) -> Vec<Sent> {
        self.devices.iter().map(|_| Sent::default()).collect()
    }

    /// Ends what was made: each device has sent this, and got that.
    pub(crate) fn close(
        &mut self,
        now: Now,
        forth: Vec<Sent>,
        back: &[Sent],
    ) -> anyhow::Result<()> {
        for (device, (mut sent, back)) in self.devices.iter_mut().zip(forth.into_iter().zip(back)) {
            ensure!(back.established.is_some(), "one has not confirmed");
            ensure!(sent.packets.is_empty(), "one has more to say");
            let id = sent.established.context("one has no association")?;
            device
                .endpoint
                .close(now, id, CloseReason::Done, &mut sent)?;
            deliver(&mut self.gateway, now, device, sent);
        }
        ensure!(self.gateway.is_empty(), "an association has stayed");
        Ok(())
    }

    /// The bytes of a Resume and its answer.
    fn bytes(&mut self) -> anyhow::Result<usize> {
        let now = self.later();
        let device = self.devices.first_mut().context("there are devices")?;
        let (_, _, sizes) = device.associate(now, &mut self.gateway)?;
        Ok(sizes[0] + sizes[1])
    }
}

fn deliver(gateway: &mut Endpoint, now: Now, device: &Device, sent: Sent) {
    for mut packet in sent.packets {
        let out = &mut Sent::default();
        gateway.receive(now, &mut rng(), device.address(), &mut packet, out);
    }
}
