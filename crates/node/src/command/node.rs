use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use refpoint_association::Backend;
use refpoint_node::config::{Config, ConfigError};
use refpoint_node::end_to_end::EndToEnd;
use refpoint_node::observe::{self, Metrics};
use refpoint_node::{Drain, Identity};
use tokio::signal::unix::{SignalKind, signal};

use super::Carriage;

/// Run a node beside a CSE or an AE.
///
/// SIGTERM and SIGINT stop it: requests under way are finished within the drain time, a second signal cuts them off.
/// SIGUSR1 has all associations renewed before their time, spread over limits.renewal_time: for when a key may have
/// become known to others. SIGHUP reloads peers, keys, policies, allowed originators and ingresses without dropping associations.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The configuration in TOML. The documentation of refpoint_node::config lists every key; examples are in
    /// crates/node/examples.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration and its keys, say what is wrong with them, and end.
    #[arg(long)]
    check: bool,
}

impl Node {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.load()?;
        observe::log(&config.log)?;
        if self.check {
            Identity::load(&config, Backend::AwsLc)?;
            EndToEnd::check(&config, Backend::AwsLc)?;
            println!(
                "{}: a node of {} with {} peers",
                self.config.display(),
                config.entity,
                config.peers.len()
            );
            return Ok(ExitCode::SUCCESS);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve(config))
    }

    async fn serve(&self, config: Config) -> anyhow::Result<ExitCode> {
        let (metrics_signal, drain) = Drain::new();
        if let Some(address) = config.metrics {
            Metrics::install()?.serve(address, drain).await?;
        }
        let mut reload = signal(SignalKind::hangup())?;
        let mut renew = signal(SignalKind::user_defined1())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let renewal_time = config.limits.renewal_time;
        let mut node = refpoint_node::Node::<Carriage>::start(config).await?;
        loop {
            tokio::select! {
                _ = reload.recv() => {
                    let outcome = match self.load() {
                        Ok(config) => node.reload(config).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = outcome {
                        tracing::error!(error = format!("{error:#}"), "configuration not reloaded");
                    }
                }
                _ = renew.recv() => {
                    tracing::info!(within = ?renewal_time, "all associations are renewed");
                    node.associations().renew_all(renewal_time).await;
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        let in_time = tokio::select! {
            in_time = node.stop() => in_time,
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
        };
        drop(metrics_signal);
        Ok(if in_time {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn load(&self) -> anyhow::Result<Config> {
        Config::load(&self.config).map_err(|error| match error {
            // It names its file itself, which may be another one.
            ConfigError::File { .. } => error.into(),
            error => anyhow::Error::from(error).context(self.config.display().to_string()),
        })
    }
}
