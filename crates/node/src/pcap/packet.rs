use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP packet of which the ports are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// What it carries.
    pub payload: &'a [u8],
}

/// The protocol above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

/// Reads the headers of an IP packet with UDP or TCP. Fragments and other protocols are left out: `None`.
pub fn dissect(packet: &[u8]) -> Option<Ip<'_>> {
    let (from, to, protocol, segment) = match packet.first()? >> 4 {
        4 => ipv4(packet)?,
        6 => ipv6(packet)?,
        _ => return None,
    };
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            segment.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let (transport, payload) = match protocol {
        17 => {
            let length = usize::from(port(4)?);
            (Transport::Udp, segment.get(8..length)?)
        }
        6 => (
            Transport::Tcp,
            segment.get(usize::from(segment.get(12)? >> 4) * 4..)?,
        ),
        _ => return None,
    };
    let (from, to) = (
        SocketAddr::new(from, port(0)?),
        SocketAddr::new(to, port(2)?),
    );
    Some(Ip {
        from,
        to,
        transport,
        payload,
    })
}

type Layer<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn ipv4(packet: &[u8]) -> Option<Layer<'_>> {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let fragment = u16::from_be_bytes(packet.get(6..8)?.try_into().ok()?) & 0x3fff;
    if header < 20 || fragment != 0 {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets).into())
    };
    Some((
        address(12)?,
        address(16)?,
        *packet.get(9)?,
        packet.get(header..total)?,
    ))
}

fn ipv6(packet: &[u8]) -> Option<Layer<'_>> {
    let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    Some((
        address(8)?,
        address(24)?,
        *packet.get(6)?,
        packet.get(40..40 + length)?,
    ))
}
