use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::marker::MarkerSearch;
use crate::pcap::{PcapWriter, TcpFlow};

type Writer = PcapWriter<Box<dyn Write + Send>>;

/// What one or more taps saw: the packets, how many bytes, how often the marker.
pub struct Capture {
    marker: Vec<u8>,
    found: AtomicU64,
    bytes: AtomicU64,
    /// Absent after [`Capture::finish`] and after a write that failed.
    writer: Mutex<Option<Writer>>,
}

impl Capture {
    /// A capture that looks for `marker` and is written to `out` as pcap.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn new(marker: &[u8], out: Box<dyn Write + Send>) -> std::io::Result<Self> {
        Ok(Self {
            marker: marker.to_vec(),
            found: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            writer: Mutex::new(Some(PcapWriter::new(out)?)),
        })
    }

    /// How often the marker was seen.
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::SeqCst)
    }

    /// How many bytes were seen above UDP and TCP.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Writes what is still to be written. The taps pass on what comes later without writing it.
    ///
    /// # Errors
    ///
    /// When a part of the capture could not be written.
    pub fn finish(&self) -> std::io::Result<()> {
        match self.writer().take() {
            Some(writer) => writer.finish().map(drop),
            None => Err(std::io::Error::other(
                "the capture could not be written, or is finished",
            )),
        }
    }

    /// A search for the marker in one more stream of bytes.
    pub(super) fn search(&self) -> MarkerSearch {
        MarkerSearch::new(&self.marker)
    }

    pub(super) fn datagram(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.saw(self.search().count(payload), payload.len());
        self.write(|writer| writer.udp(now(), from, to, payload));
    }

    pub(super) fn opened(&self, flow: &TcpFlow) {
        self.write(|writer| writer.tcp_open(now(), flow));
    }

    /// `search` is that of the stream's direction.
    pub(super) fn data(
        &self,
        flow: &Mutex<TcpFlow>,
        by_client: bool,
        data: &[u8],
        search: &mut MarkerSearch,
    ) {
        self.saw(search.count(data), data.len());
        let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(|writer| writer.tcp_data(now(), &mut flow, by_client, data));
    }

    pub(super) fn closed(&self, flow: &Mutex<TcpFlow>, by_client: bool) {
        let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(|writer| writer.tcp_close(now(), &mut flow, by_client));
    }

    fn saw(&self, found: u64, bytes: usize) {
        self.found.fetch_add(found, Ordering::SeqCst);
        self.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn write(&self, write: impl FnOnce(&mut Writer) -> std::io::Result<()>) {
        let mut place = self.writer();
        if let Some(writer) = place.as_mut()
            && let Err(error) = write(writer)
        {
            tracing::error!(%error, "a capture ends early");
            *place = None;
        }
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capture")
            .field("found", &self.found())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
