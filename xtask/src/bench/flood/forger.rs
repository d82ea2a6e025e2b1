//! Who floods.

use core::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::atomic::{AtomicBool, Ordering},
};
use std::net::UdpSocket;

use anyhow::Context as _;
use refpoint_association::{
    Backend, Config, Credential, Credentials, Endpoint, Local, SessionLabel, StaticKey,
};
use refpoint_keys::{Profile, ReferencePoint};
use refpoint_wire::{Handle, HandleId, Index, MAC_LEN, Mode, NONCE_LEN, ResumeHeader, Suite};
use socket2::{SockFilter, SockRef};

use crate::{
    hosts::Sent,
    live::{Outgoing, bind, entity, key, now, static_key},
    pair::rng,
};

/// Packets of each kind, of which forged ones are made.
const TEMPLATES: u32 = 64;
/// What the forger knows instead of the keys of devices.
const WRONG: u8 = 8;
/// Packets between two looks whether it is over.
const BURST: usize = 64;

pub(super) struct Forger {
    socket: UdpSocket,
    core: SocketAddrV4,
    templates: Vec<Vec<u8>>,
}

impl Forger {
    pub(super) fn new(core: SocketAddrV4, devices: u32) -> anyhow::Result<Self> {
        let mut templates = Vec::new();
        for number in 0..TEMPLATES {
            let of_device = number * devices / TEMPLATES;
            templates.push(initiation(of_device, Profile::Psk)?);
            templates.push(initiation(devices + number, Profile::Psk)?);
            templates.push(initiation(devices + number, Profile::Known)?);
            templates.push(resumption(number)?);
        }
        let socket = bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
        // It never reads, and what fills its buffer would look like losses of the core: all is dropped.
        SockRef::from(&socket).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])?;
        Ok(Self {
            socket,
            core,
            templates,
        })
    }

    /// Sends until it is stopped; how many.
    pub(super) fn run(&self, stop: &AtomicBool) -> u64 {
        let (mut chance, mut out, mut sent) = (Chance::new(), Outgoing::default(), 0);
        let mut packet = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                let drawn = chance.draw();
                packet.clone_from(&self.templates[drawn as usize % self.templates.len()]);
                // The end of a tag: nothing opens, and no packet is like another.
                let end = packet.len() - 8;
                packet[end..].copy_from_slice(&drawn.to_be_bytes());
                // Not where the devices are: 127.128.0.0/9.
                let host = (chance.draw() >> 41) as u32 & 0x007f_ffff;
                let source = Ipv4Addr::from(0x7f80_0000 | host);
                out.push(source, self.core, &packet);
            }
            sent += out.flush(&self.socket);
        }
        sent
    }
}

/// What an end with this number, but with another key, sends first.
fn initiation(number: u32, profile: Profile) -> anyhow::Result<Vec<u8>> {
    let (own, _) = StaticKey::generate(&mut rng(), Backend::AwsLc)?;
    let local = entity(Some(number))?;
    let credential = Credential::new(&local, key(number, WRONG)?, &[profile])?
        .with_public_key(static_key()?.public_key());
    let mut credentials = Credentials::new();
    let core = credentials.insert(credential)?;
    let local = Local::new(local).with_static_key(own);
    let mut end = Endpoint::new(Config::device(), local, credentials, &mut rng());
    let (mut out, label) = (Sent::default(), SessionLabel::default());
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    end.connect(now(), &mut rng(), to, core, label, &mut out)?;
    out.packets.pop().context("it has sent something")
}

/// A Resume by a handle that nobody has given.
fn resumption(number: u32) -> anyhow::Result<Vec<u8>> {
    let handle = Handle {
        id: HandleId([WRONG; 8]),
        tag: number.to_be_bytes(),
    };
    let header = ResumeHeader {
        mode: Mode::Light,
        suite: Suite::ChaChaPoly,
        point: ReferencePoint::X,
        no_clock: false,
        index: Some(Index::new(number, 4)?),
        handle,
        cookie: None,
    };
    Ok([header.encode(), vec![WRONG; NONCE_LEN + MAC_LEN]].concat())
}

/// Random enough for addresses, and fast (xorshift64*).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let mut seed = [0; 8];
        rand_core::Rng::fill_bytes(&mut rng(), &mut seed);
        Self(u64::from_ne_bytes(seed) | 1)
    }

    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
