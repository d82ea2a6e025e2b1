//! A device and a gateway behind datagram sockets that are not there.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, ensure};
use rand_core::CryptoRng;
use refpoint_association::{
    AssociationId, Config, CredentialId, Endpoint, Event, Now, Outbox, SessionLabel,
};

use crate::pair::{End, Pair, now, rng};

/// Where the gateway is.
pub(crate) const GATEWAY: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 7000);
/// Where the device is, when there is one only.
pub(crate) const DEVICE: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7000);

/// What an end point put out.
#[derive(Default)]
pub(crate) struct Sent {
    /// Packets on their way; each buffer is used again.
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) established: Option<AssociationId>,
}

impl Outbox for Sent {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.packets.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        if let Event::Established { id, .. } = event {
            self.established = Some(id);
        }
    }
}

/// A device of which only the association matters.
pub(crate) struct Device {
    pub(crate) endpoint: Endpoint,
    peer: CredentialId,
    address: SocketAddr,
}

impl Device {
    pub(crate) fn new(end: End, address: SocketAddr) -> Self {
        let (config, mut rng) = (Config::device(), rng());
        Self {
            peer: end.peer,
            endpoint: Endpoint::new(config, end.local, end.credentials, &mut rng),
            address,
        }
    }

    /// Sends what starts an association: a Resume, once there was one.
    pub(crate) fn connect(&mut self, now: Now, out: &mut Sent) -> anyhow::Result<()> {
        self.connect_with(now, &mut rng(), out)
    }

    /// The same, with randomness from elsewhere.
    pub(crate) fn connect_with(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        out: &mut Sent,
    ) -> anyhow::Result<()> {
        let label = SessionLabel::default();
        self.endpoint
            .connect(now, rng, GATEWAY, self.peer, label, out)?;
        Ok(())
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an association with the gateway; gives its ids at both ends and the packets' sizes.
    pub(crate) fn associate(
        &mut self,
        now: Now,
        gateway: &mut Endpoint,
    ) -> anyhow::Result<(AssociationId, AssociationId, Vec<usize>)> {
        let (mut forth, mut back, mut sizes) = (Sent::default(), Sent::default(), Vec::new());
        let rng = &mut rng();
        self.connect(now, &mut forth)?;
        while !forth.packets.is_empty() {
            for mut packet in forth.packets.drain(..) {
                sizes.push(packet.len());
                gateway.receive(now, rng, self.address, &mut packet, &mut back);
            }
            for mut packet in back.packets.drain(..) {
                sizes.push(packet.len());
                self.endpoint
                    .receive(now, rng, GATEWAY, &mut packet, &mut forth);
            }
        }
        let device = forth.established.context("the device has no association")?;
        let gateway = back.established.context("the gateway has no association")?;
        Ok((device, gateway, sizes))
    }
}

/// Both ends.
pub(crate) struct Hosts {
    pub(crate) device: Device,
    pub(crate) gateway: Endpoint,
}

impl Hosts {
    pub(crate) fn new(pair: Pair) -> anyhow::Result<Self> {
        let Pair { device, gateway } = pair;
        let config = Config::default();
        Ok(Self {
            device: Device::new(device, DEVICE),
            gateway: Endpoint::new(config, gateway.local, gateway.credentials, &mut rng()),
        })
    }

    /// The sizes of Initiate and Respond.
    pub(crate) fn handshake_packets(mut self) -> anyhow::Result<[usize; 2]> {
        let (_, _, sizes) = self.device.associate(now(), &mut self.gateway)?;
        ensure!(sizes.len() >= 3, "a handshake and its confirmation");
        Ok([sizes[0], sizes[1]])
    }
}
