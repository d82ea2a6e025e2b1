//! What a responder's work costs with its system calls, for `refpoint simulate`: it receives, deals
//! with what has come and answers, on a UDP socket of loopback; devices and stores are apart.

use core::net::Ipv4Addr;
use std::{io, net::UdpSocket};

use anyhow::{Context as _, ensure};
use refpoint_association::{Config, Credentials, Endpoint, Modes, Now};
use refpoint_keys::Profile;

use crate::{
    handshake::ROUNDS,
    hosts::{GATEWAY, Sent},
    measure::{Contestant, Sides, Stopwatch, compare},
    pair::rng,
    resumption::Fleet,
    row::Row,
};

/// The dearest profile of which a busy responder sees without a DH who asks.
const FULL: &str = "a full handshake, pinned";
const LIGHT: &str = "a light resumption";
const HINT: &str = "a hint to who asks for a full handshake, pinned";

/// Devices that ask first, until the gateway has made all the handshakes that it may.
const FIRST: usize = 4;

pub(crate) fn run() -> anyhow::Result<()> {
    let mut sockets = [(); 3].map(|()| Sockets::new());
    let [of_full, of_light, of_hint] = &mut sockets;
    let mut full = Fleet::new(Profile::Pinned, Modes::NONE)?;
    let mut light = Fleet::new(Profile::Psk, Modes::BOTH)?;
    let mut busy = Fleet::new(Profile::Pinned, Modes::NONE)?;
    let contestants = vec![
        Contestant::new(FULL, || associate(&mut full, of_full).expect("all agree")),
        Contestant::new(LIGHT, || {
            associate(&mut light, of_light).expect("all agree")
        }),
        Contestant::new(HINT, || put_off(&mut busy, of_hint).expect("all are told")),
    ];
    for measured in compare(ROUNDS, contestants) {
        let name = format!("responder with its system calls, {}", measured.name);
        Row::new(name, measured.sides[0] / 1e3, "µs").print();
    }
    Ok(())
}

/// Every device makes an association and ends it: what the gateway had to do for one.
fn associate(fleet: &mut Fleet, sockets: &mut Sockets) -> anyhow::Result<Sides> {
    let now = fleet.later();
    let mut watch = Stopwatch::default();
    let (mut forth, mut back) = (fleet.nothing(), fleet.nothing());
    for (device, out) in fleet.devices.iter_mut().zip(&mut forth) {
        device.connect(now, out)?;
    }
    // What begins it and its answer, the confirming record and its answer.
    for _ in 0..2 {
        sockets.carry(0, &mut forth)?;
        watch.first(|| sockets.serve(now, fleet, &mut back))?;
        for (device, (out, sent)) in fleet
            .devices
            .iter_mut()
            .zip(forth.iter_mut().zip(&mut back))
        {
            for mut packet in sent.packets.drain(..) {
                device
                    .endpoint
                    .receive(now, &mut rng(), GATEWAY, &mut packet, out);
            }
        }
    }
    fleet.close(now, forth, &back)?;
    Ok(watch.mean(fleet.devices.len()))
}

/// Every device asks a gateway that makes one handshake a second.
fn put_off(fleet: &mut Fleet, sockets: &mut Sockets) -> anyhow::Result<Sides> {
    let now = fleet.later();
    // A new one, to which nobody has a slot.
    let config = Config::default().with_handshakes_per_second(1);
    let mut credentials = Credentials::new();
    for (_, credential) in fleet.gateway.credentials().iter() {
        credentials.insert((**credential).clone())?;
    }
    let local = fleet.local.clone();
    fleet.gateway = Endpoint::new(config, local, credentials, &mut rng());
    let mut forth = fleet.nothing();
    for (device, out) in fleet.devices.iter_mut().zip(&mut forth) {
        device.connect(now, out)?;
    }
    let (mut back, mut watch) = (fleet.nothing(), Stopwatch::default());
    sockets.carry(0, &mut forth[..FIRST])?;
    sockets.serve(now, fleet, &mut back)?;
    let before = fleet.gateway.statistics().retried;
    sockets.carry(FIRST, &mut forth[FIRST..])?;
    watch.first(|| sockets.serve(now, fleet, &mut back))?;
    let told = fleet.gateway.statistics().retried - before;
    let asked = fleet.devices.len() - FIRST;
    ensure!(told == asked as u64, "{told} of {asked} were told");
    Ok(watch.mean(asked))
}

/// The gateway's socket, and one for all devices.
struct Sockets {
    gateway: UdpSocket,
    devices: UdpSocket,
    /// To which device what comes belongs, in the order in which it was sent.
    carried: Vec<usize>,
}

impl Sockets {
    fn new() -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        let (gateway, devices) = (bind(), bind());
        gateway.set_nonblocking(true).expect("a socket");
        devices.set_nonblocking(true).expect("a socket");
        Self {
            gateway,
            devices,
            carried: Vec::new(),
        }
    }

    /// Sends what devices have to say, of which the first has this number.
    fn carry(&mut self, first: usize, forth: &mut [Sent]) -> io::Result<()> {
        let mut heard = [0; 2048];
        while self.devices.recv(&mut heard).is_ok() {}
        let gateway = self.gateway.local_addr()?;
        self.carried.clear();
        for (number, sent) in forth.iter_mut().enumerate() {
            for packet in sent.packets.drain(..) {
                self.devices.send_to(&packet, gateway)?;
                self.carried.push(first + number);
            }
        }
        Ok(())
    }

    /// What the gateway does with what has come.
    fn serve(&mut self, now: Now, fleet: &mut Fleet, back: &mut [Sent]) -> anyhow::Result<()> {
        let devices = self.devices.local_addr()?;
        let mut packet = [0; 2048];
        for number in &self.carried {
            let (length, _) = self.gateway.recv_from(&mut packet).context("it is here")?;
            let (from, out) = (fleet.devices[*number].address(), &mut back[*number]);
            let packet = &mut packet[..length];
            fleet.gateway.receive(now, &mut rng(), from, packet, out);
            for answer in &out.packets {
                self.gateway.send_to(answer, devices)?;
            }
        }
        // As a driver does, that learns so that nothing more has come.
        let more = self.gateway.recv_from(&mut packet);
        ensure!(more.is_err(), "a packet that nobody has sent");
        Ok(())
    }
}
