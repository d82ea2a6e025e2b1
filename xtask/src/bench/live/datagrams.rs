//! UDP in batches, by which one socket has as many addresses as loopback has.
#![allow(
    unsafe_code,
    reason = "recvmmsg and sendmmsg with IP_PKTINFO, which the standard library does not have"
)]

use core::{
    mem,
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
    ptr,
    time::Duration,
};
use std::{io, net::UdpSocket, os::fd::AsRawFd as _};

use socket2::{Domain, SockAddr, Socket, Type};

const BATCH: usize = 64;
/// Longer ones are cut off; nobody here sends them.
const LARGEST: usize = 2048;
/// What the system lets a socket hold, if it lets it.
const BUFFER: usize = 4 << 20;

/// A socket at `address` that tells for each packet to which address it came.
pub(crate) fn bind(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(&SockAddr::from(address))?;
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int that outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            ptr::from_ref(&on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket.into())
}

/// Room for one control message with an `in_pktinfo`, aligned as such messages are.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Ancillary([u8; 64]);

/// What one call has received.
#[derive(Default)]
pub(crate) struct Inbox {
    /// A batch of them, from the first call on.
    packets: Vec<[u8; LARGEST]>,
    arrived: Vec<(SocketAddrV4, Ipv4Addr, usize)>,
}

impl Inbox {
    /// Waits until there is something to receive, at most for so long.
    pub(crate) fn wait(socket: &UdpSocket, timeout: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let millis = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: one descriptor, in a structure that outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Takes what is there, as much as fits; how many packets.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.arrived.clear();
        self.packets.resize(BATCH, [0; LARGEST]);
        // SAFETY: these are plain C structures, of which all zeroes is a value.
        let mut peers: [libc::sockaddr_in; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut slices: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut ancillary = [Ancillary([0; 64]); BATCH];
        for at in 0..BATCH {
            slices[at] = libc::iovec {
                iov_base: self.packets[at].as_mut_ptr().cast(),
                iov_len: LARGEST,
            };
            let header = &mut headers[at].msg_hdr;
            header.msg_name = (&raw mut peers[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut slices[at];
            header.msg_iovlen = 1;
            header.msg_control = ancillary[at].0.as_mut_ptr().cast();
            header.msg_controllen = 64;
        }
        // SAFETY: every pointer in the headers is to an array above (or of `self`) that is as long
        // as the header says and outlives the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (header, peer) in headers.iter().zip(&peers).take(received) {
            // SAFETY: the kernel has filled the header that it was given.
            let at = unsafe { destination(&header.msg_hdr) };
            let ip = Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr));
            let from = SocketAddrV4::new(ip, u16::from_be(peer.sin_port));
            self.arrived.push((
                from,
                at.unwrap_or(Ipv4Addr::UNSPECIFIED),
                header.msg_len as usize,
            ));
        }
        Ok(received)
    }

    /// What was received: from where, to which address, and the bytes.
    pub(crate) fn packets(&mut self) -> impl Iterator<Item = (SocketAddrV4, Ipv4Addr, &mut [u8])> {
        let packets = self.packets.iter_mut().zip(&self.arrived);
        packets.map(|(bytes, (from, at, len))| (*from, *at, &mut bytes[..(*len).min(LARGEST)]))
    }
}

/// To which address a packet came.
///
/// # Safety
/// The header is one that `recvmmsg` has filled.
unsafe fn destination(header: &libc::msghdr) -> Option<Ipv4Addr> {
    // SAFETY: the caller's promise: these walk over what the kernel has written.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(found) = message.as_ref() {
            if found.cmsg_level == libc::IPPROTO_IP && found.cmsg_type == libc::IP_PKTINFO {
                let info: libc::in_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                return Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// Packets that wait to be sent together.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    packets: Vec<(Ipv4Addr, SocketAddrV4, Range<usize>)>,
}

impl Outgoing {
    /// Takes a packet to `to`, which is to come from `source`; unspecified: wherever the socket is.
    pub(crate) fn push(&mut self, source: Ipv4Addr, to: SocketAddrV4, packet: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.packets.push((source, to, start..self.bytes.len()));
    }

    /// How many packets and bytes wait.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        (self.packets.len() as u64, self.bytes.len() as u64)
    }

    /// Sends all; what the system does not take is lost, as on any path. How many it took.
    pub(crate) fn flush(&mut self, socket: &UdpSocket) -> u64 {
        let mut sent = 0;
        for packets in self.packets.chunks(BATCH) {
            let mut left = packets;
            while !left.is_empty() {
                let taken = send(socket, &mut self.bytes, left);
                sent += taken as u64;
                // One that was refused is passed over.
                left = &left[(taken + usize::from(taken == 0)).min(left.len())..];
            }
        }
        self.bytes.clear();
        self.packets.clear();
        sent
    }
}

/// Sends up to a batch; how many were taken.
fn send(
    socket: &UdpSocket,
    bytes: &mut [u8],
    packets: &[(Ipv4Addr, SocketAddrV4, Range<usize>)],
) -> usize {
    // SAFETY: these are plain C structures, of which all zeroes is a value.
    let mut peers: [libc::sockaddr_in; BATCH] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut slices: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut ancillary = [Ancillary([0; 64]); BATCH];
    for (at, (source, to, range)) in packets.iter().enumerate() {
        peers[at].sin_family = libc::AF_INET as libc::sa_family_t;
        peers[at].sin_port = to.port().to_be();
        peers[at].sin_addr.s_addr = u32::from(*to.ip()).to_be();
        let packet = &mut bytes[range.clone()];
        slices[at] = libc::iovec {
            iov_base: packet.as_mut_ptr().cast(),
            iov_len: packet.len(),
        };
        let header = &mut headers[at].msg_hdr;
        header.msg_name = (&raw mut peers[at]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        header.msg_iov = &raw mut slices[at];
        header.msg_iovlen = 1;
        if source.is_unspecified() {
            continue;
        }
        header.msg_control = ancillary[at].0.as_mut_ptr().cast();
        // SAFETY: the control buffer holds one message with an `in_pktinfo`, which is written
        // where the C library's own macros put it.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as _;
            let message = libc::CMSG_FIRSTHDR(header);
            (*message).cmsg_level = libc::IPPROTO_IP;
            (*message).cmsg_type = libc::IP_PKTINFO;
            (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as _;
            let mut info: libc::in_pktinfo = mem::zeroed();
            info.ipi_spec_dst.s_addr = u32::from(*source).to_be();
            ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
        }
    }
    // SAFETY: every pointer in the headers is to an array above (or to `bytes`) that is as long as
    // the header says and outlives the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            packets.len() as libc::c_uint,
            0,
        )
    };
    usize::try_from(sent).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_both_their_addresses() {
        let any = |ip| SocketAddrV4::new(ip, 0);
        let here = bind(any(Ipv4Addr::UNSPECIFIED)).unwrap();
        let there = bind(any(Ipv4Addr::LOCALHOST)).unwrap();
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let (mut out, mut inbox) = (Outgoing::default(), Inbox::default());
        let source = Ipv4Addr::new(127, 3, 4, 5);
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port(&there));
        out.push(source, to, b"forth");
        assert_eq!(out.flush(&here), 1);
        Inbox::wait(&there, Duration::from_secs(5)).unwrap();
        assert_eq!(inbox.receive(&there).unwrap(), 1);
        let (from, at, packet) = inbox.packets().next().unwrap();
        assert_eq!(
            (*from.ip(), at, &*packet),
            (source, *to.ip(), &b"forth"[..])
        );
        out.push(Ipv4Addr::UNSPECIFIED, from, b"back");
        assert_eq!(out.flush(&there), 1);
        Inbox::wait(&here, Duration::from_secs(5)).unwrap();
        assert_eq!(inbox.receive(&here).unwrap(), 1);
        let (from, at, packet) = inbox.packets().next().unwrap();
        assert_eq!((from, at, &*packet), (to, source, &b"back"[..]));
    }
}
