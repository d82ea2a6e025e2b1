use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use refpoint_node::demo::demonstrate;
use refpoint_node::observe;

use super::Carriage;

/// Show a whole M2M system on loopback, with an eavesdropper on every link: without associations, then with them.
///
/// A sensor, a gateway, a core and a network entity register, publish, retrieve, subscribe, notify and trigger. Others
/// try to take the gateway's place. With associations, keys are ratcheted meanwhile, and a visitor's key expires. Ends
/// with 0 if the eavesdroppers find everything in the first run and nothing in the second, and who claims to be the
/// gateway succeeds in the first only. Takes a quarter of a minute.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The directory for the captures; if absent, a new one among the system's temporary files.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        observe::log("error")?;
        let temporary =
            || std::env::temp_dir().join(format!("refpoint-demo-{}", std::process::id()));
        let out = self.out.unwrap_or_else(temporary);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let shown = runtime.block_on(demonstrate::<Carriage>(&out, &mut stdout()))?;
        Ok(if shown {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
