use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, stdin, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use refpoint_node::inspect::{Format, InspectError, inspect};

/// Show what a packet capture tells of associations over UDP: for each packet its type, index, sequence and size.
///
/// This is all that an eavesdropper can read. Packets that are not refpoint's are shown as unknown.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A capture in pcap format, such as tcpdump -w writes; - reads standard input.
    #[arg(value_name = "FILE.pcap")]
    file: PathBuf,
    /// Print a JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let input: Box<dyn Read> = if self.file.as_os_str() == "-" {
            Box::new(stdin().lock())
        } else {
            Box::new(File::open(&self.file).with_context(|| self.file.display().to_string())?)
        };
        let format = if self.json {
            Format::Json
        } else {
            Format::Text
        };
        let mut out = BufWriter::new(stdout().lock());
        match inspect(BufReader::new(input), format, &mut out) {
            Ok(_) => Ok(()),
            // Whoever reads has seen enough, as in `refpoint inspect FILE | head`.
            Err(InspectError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error).with_context(|| self.file.display().to_string()),
        }
    }
}
