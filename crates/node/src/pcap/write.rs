use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, Write};

use super::{MAX_PACKET, RAW};

/// TCP payload in one packet: what fits an IPv4 packet with both headers.
const SEGMENT: usize = 65_000;

/// Writes a capture.
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
}

/// One TCP connection of a capture: the sequence numbers of its two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlow {
    ends: [SocketAddr; 2],
    next: [u32; 2],
}

impl TcpFlow {
    /// The connection that `client` opens to `server`.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            ends: [client, server],
            next: [1, 1],
        }
    }
}

impl<W: Write> PcapWriter<W> {
    /// Begins a capture on `out`.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&4_u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&(MAX_PACKET as u32).to_le_bytes());
        header.extend_from_slice(&RAW.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Writes a datagram, `at` after the beginning of 1970.
    ///
    /// # Errors
    ///
    /// When the ends are not of one address family, the payload is no datagram's, or writing fails.
    pub fn udp(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u16::try_from(payload.len() + 8).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut segment = Vec::with_capacity(payload.len() + 8);
        segment.extend_from_slice(&from.port().to_be_bytes());
        segment.extend_from_slice(&to.port().to_be_bytes());
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(&[0; 2]);
        segment.extend_from_slice(payload);
        let sum = checksum(
            pseudo_header(from.ip(), to.ip(), 17, segment.len()),
            &segment,
        );
        // Zero would say that there is no checksum.
        let sum = if sum == 0 { 0xffff } else { sum };
        segment[6..8].copy_from_slice(&sum.to_be_bytes());
        self.ip(at, from.ip(), to.ip(), 17, &segment)
    }

    /// Writes the opening of a TCP connection.
    ///
    /// # Errors
    ///
    /// As [`PcapWriter::udp`].
    pub fn tcp_open(&mut self, at: Duration, flow: &TcpFlow) -> io::Result<()> {
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        self.tcp(at, flow, 0, [0, 0], SYN, &[])?;
        self.tcp(at, flow, 1, [0, 1], SYN | ACK, &[])?;
        self.tcp(at, flow, 0, [1, 1], ACK, &[])
    }

    /// Writes bytes that the client sent on `flow`, or else the server.
    ///
    /// # Errors
    ///
    /// As [`PcapWriter::udp`].
    pub fn tcp_data(
        &mut self,
        at: Duration,
        flow: &mut TcpFlow,
        by_client: bool,
        data: &[u8],
    ) -> io::Result<()> {
        const PSH_ACK: u8 = 0x18;
        let sender = usize::from(!by_client);
        for part in data.chunks(SEGMENT) {
            let numbers = [flow.next[sender], flow.next[1 - sender]];
            self.tcp(at, flow, sender, numbers, PSH_ACK, part)?;
            flow.next[sender] = flow.next[sender].wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Writes that the client closed its direction of `flow`, or else the server.
    ///
    /// # Errors
    ///
    /// As [`PcapWriter::udp`].
    pub fn tcp_close(
        &mut self,
        at: Duration,
        flow: &mut TcpFlow,
        by_client: bool,
    ) -> io::Result<()> {
        const FIN_ACK: u8 = 0x11;
        let sender = usize::from(!by_client);
        self.tcp(
            at,
            flow,
            sender,
            [flow.next[sender], flow.next[1 - sender]],
            FIN_ACK,
            &[],
        )?;
        flow.next[sender] = flow.next[sender].wrapping_add(1);
        Ok(())
    }

    /// Hands over what was written to.
    ///
    /// # Errors
    ///
    /// When it cannot be flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn tcp(
        &mut self,
        at: Duration,
        flow: &TcpFlow,
        sender: usize,
        [sequence, acknowledged]: [u32; 2],
        flags: u8,
        data: &[u8],
    ) -> io::Result<()> {
        let (from, to) = (flow.ends[sender], flow.ends[1 - sender]);
        let mut segment = Vec::with_capacity(20 + data.len());
        segment.extend_from_slice(&from.port().to_be_bytes());
        segment.extend_from_slice(&to.port().to_be_bytes());
        segment.extend_from_slice(&sequence.to_be_bytes());
        segment.extend_from_slice(&acknowledged.to_be_bytes());
        segment.extend_from_slice(&[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(data);
        let sum = checksum(
            pseudo_header(from.ip(), to.ip(), 6, segment.len()),
            &segment,
        );
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ip(at, from.ip(), to.ip(), 6, &segment)
    }

    fn ip(
        &mut self,
        at: Duration,
        from: IpAddr,
        to: IpAddr,
        protocol: u8,
        segment: &[u8],
    ) -> io::Result<()> {
        let mut packet = Vec::with_capacity(40 + segment.len());
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length =
                    u16::try_from(20 + segment.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
                packet.extend_from_slice(&[0x45, 0]);
                packet.extend_from_slice(&length.to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
                packet.extend_from_slice(&from.octets());
                packet.extend_from_slice(&to.octets());
                let sum = checksum(0, &packet);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let length =
                    u16::try_from(segment.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
                packet.extend_from_slice(&[0x60, 0, 0, 0]);
                packet.extend_from_slice(&length.to_be_bytes());
                packet.extend_from_slice(&[protocol, 64]);
                packet.extend_from_slice(&from.octets());
                packet.extend_from_slice(&to.octets());
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        packet.extend_from_slice(segment);
        let length = packet.len() as u32;
        let mut header = Vec::with_capacity(16);
        header.extend_from_slice(&(at.as_secs() as u32).to_le_bytes());
        header.extend_from_slice(&at.subsec_micros().to_le_bytes());
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(&length.to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(&packet)
    }
}

/// The sum over the pseudo-header of RFC 768 and RFC 8200, 8.1.
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> u32 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => Vec::new(),
    };
    sum(u32::from(protocol) + length as u32, &addresses)
}

fn sum(start: u32, bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(start, |sum, pair| {
        sum + (u32::from(pair[0]) << 8) + u32::from(pair.get(1).copied().unwrap_or_default())
    })
}

/// The Internet checksum (RFC 1071).
fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = sum(start, bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
