use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use refpoint_node::demo::{Stage, demonstrate};
use refpoint_node::observe;

use super::Carriage;

/// Show a whole M2M system on loopback, with an eavesdropper on every link: without associations, then with them.
///
/// A sensor, a gateway, a core and a network entity register, publish, retrieve, subscribe, notify and trigger. Others
/// try to take the gateway's place. With associations, keys are ratcheted meanwhile, and a visitor's key expires. Then a
/// core with a thousand devices is killed and started again, with its store and without, and has all of them renew
/// their keys. Ends with 0 if the eavesdroppers find everything in the first run and nothing in the second, who claims
/// to be the gateway succeeds in the first only, and nothing is lost with the core. Takes less than a minute.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The directory for the captures; if absent, a new one among the system's temporary files.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The page of HTML with plots; if absent, demo.html beside the captures.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How many devices the core has that is killed.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(10..=9_999))]
    devices: u16,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        observe::log("error")?;
        let temporary =
            || std::env::temp_dir().join(format!("refpoint-demo-{}", std::process::id()));
        let captures = self.out.unwrap_or_else(temporary);
        let stage = Stage {
            html: self.html.unwrap_or_else(|| captures.join("demo.html")),
            captures,
            program: std::env::current_exe()?,
            devices: self.devices.into(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let shown = runtime.block_on(demonstrate::<Carriage>(&stage, &mut stdout()))?;
        Ok(if shown {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
