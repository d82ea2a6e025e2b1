//! What an eavesdropper learns of associations in a capture: `refpoint inspect`.

use std::io::{self, Read, Write};

use refpoint_wire::{Initiate, Mode, Packet, RecordKind, Refuse};
use serde::Serialize;

use crate::pcap::{Captured, Ip, PcapError, PcapReader, Transport, dissect};

/// A UDP packet of a capture, read as far as it is in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspected {
    /// Which packet of the file, counted from 1.
    pub number: u64,
    /// When, in seconds since the beginning of 1970.
    pub time: String,
    /// Who sent it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Bytes in the datagram.
    pub size: usize,
    /// `initiate`, `respond`, `retry`, `refuse`, `record`, or `unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The index to which it is addressed (in an Initiate: by which its sender wants to be addressed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The low bits of a record's sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// How many low bits: 16 or 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_bits: Option<u32>,
    /// What else stands in the clear.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// How [`inspect`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of text a packet.
    Text,
    /// A JSON object a line.
    Json,
}

/// Why an inspection ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The capture cannot be read on.
    #[error(transparent)]
    Capture(#[from] PcapError),
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Writes each UDP packet of the capture `input` to `out`, and returns how many there were.
///
/// # Errors
///
/// When the capture is damaged (what precedes the damage is written) or `out` cannot be written.
pub fn inspect(input: impl Read, format: Format, out: &mut dyn Write) -> Result<u64, InspectError> {
    let mut count = 0;
    let packets = PcapReader::new(input)?;
    if format == Format::Text {
        writeln!(
            out,
            "{:>7}  {:<17}  {:<45}  {:>5}  type",
            "packet", "time", "from > to", "size"
        )?;
    }
    for packet in packets {
        let packet = packet?;
        let Some(ip) = dissect(&packet.ip).filter(|ip| ip.transport == Transport::Udp) else {
            continue;
        };
        count += 1;
        let row = Inspected::new(&packet, &ip);
        match format {
            Format::Text => row.write_line(out)?,
            Format::Json => {
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                writeln!(out)?;
            }
        }
    }
    out.flush()?;
    Ok(count)
}

impl Inspected {
    fn new(packet: &Captured, ip: &Ip<'_>) -> Self {
        let row = Self {
            number: packet.number,
            time: format!("{}.{:06}", packet.at.as_secs(), packet.at.subsec_micros()),
            from: ip.from.to_string(),
            to: ip.to.to_string(),
            size: ip.payload.len(),
            kind: "unknown",
            index: None,
            sequence: None,
            sequence_bits: None,
            detail: String::new(),
        };
        row.with_header(ip.payload)
    }

    fn with_header(mut self, payload: &[u8]) -> Self {
        match Packet::parse(payload) {
            Ok(Packet::Initiate(initiate)) => {
                self.kind = "initiate";
                self.index = initiate.header.index.map(|index| index.to_string());
                self.detail = terms(&initiate);
            }
            Ok(Packet::Respond { index, .. }) => {
                self.kind = "respond";
                self.index = index.map(|index| index.to_string());
            }
            Ok(Packet::Resume(resume)) => {
                self.kind = "resume";
                self.index = resume.header.index.map(|index| index.to_string());
                self.detail = match resume.header.mode {
                    Mode::Light => "light",
                    Mode::Fresh => "fresh",
                }
                .to_owned();
            }
            Ok(Packet::Resumed { index, .. }) => {
                self.kind = "resumed";
                self.index = index.map(|index| index.to_string());
            }
            Ok(Packet::Retry(retry)) => {
                self.kind = "retry";
                self.index = retry.index.map(|index| index.to_string());
                if retry.slot > 0 {
                    self.detail = format!("slot in {} ms", retry.slot);
                }
            }
            Ok(Packet::Refuse(Refuse::Handle { index, .. })) => {
                self.kind = "refuse";
                self.index = index.map(|index| index.to_string());
                self.detail = "handle".to_owned();
            }
            Ok(Packet::Refuse(Refuse::NoAssociation { index, .. })) => {
                self.kind = "refuse";
                self.index = Some(index.to_string());
                self.detail = "no association".to_owned();
            }
            Ok(Packet::Refuse(Refuse::Version { versions, .. })) => {
                self.kind = "refuse";
                self.detail = format!("version, spoken are {versions:?}");
            }
            Ok(Packet::Record(record)) => {
                self.kind = "record";
                self.index = Some(record.index().to_string());
                let (low, bits) = record.truncated();
                (self.sequence, self.sequence_bits) = (Some(low), Some(bits));
                self.detail = match (record.kind(), record.confirm()) {
                    (RecordKind::Data, false) => "data",
                    (RecordKind::Data, true) => "data, confirm",
                    (RecordKind::Control, false) => "control",
                    (RecordKind::Control, true) => "control, confirm",
                }
                .to_owned();
            }
            Err(error) => self.detail = error.to_string(),
        }
        self
    }

    fn write_line(&self, out: &mut dyn Write) -> io::Result<()> {
        let ends = format!("{} > {}", self.from, self.to);
        write!(
            out,
            "{:>7}  {:<17}  {ends:<45}  {:>5}  {}",
            self.number, self.time, self.size, self.kind
        )?;
        if let Some(index) = &self.index {
            write!(out, " index {index}")?;
        }
        if let (Some(sequence), Some(bits)) = (self.sequence, self.sequence_bits) {
            write!(out, " sequence {sequence} ({bits} bits)")?;
        }
        if !self.detail.is_empty() {
            write!(out, " ({})", self.detail)?;
        }
        writeln!(out)
    }
}

fn terms(initiate: &Initiate<'_>) -> String {
    let terms = &initiate.header.terms;
    let mut text = format!(
        "profile {}, reference point {}, suite {}",
        terms.profile,
        terms.point,
        terms.suite.code()
    );
    if let Some(id) = &initiate.header.key_id {
        text.push_str(&format!(", key id {id}"));
    }
    if initiate.header.cookie.is_some() {
        text.push_str(", cookie");
    }
    text
}
