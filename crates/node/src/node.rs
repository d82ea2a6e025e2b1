//! A whole node: egress listeners, ingresses and associations, from start to drain.

use core::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use refpoint_association::Backend;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::associations::Associations;
use crate::config::Config;
use crate::drain::{Drain, DrainSignal};
use crate::egress::Egress;
use crate::end_to_end::EndToEnd;
use crate::http::Server;
use crate::identity::Identity;
use crate::inbound::Inbound;

/// A running node.
///
/// ```text
/// local CSE ─ HTTP ─► Egress ─► Associations::carrier ═══ peer
/// local CSE ◄─ HTTP ─ Inbound ◄─ layer X, Y or Z ◄─ Associations ═══ peer
/// ```
#[derive(Debug)]
pub struct Node<A: Associations> {
    config: Config,
    associations: A,
    inbound: Arc<Inbound>,
    egress: Vec<(SocketAddr, Arc<Egress<A::Carrier>>)>,
    signal: DrainSignal,
    servers: JoinSet<()>,
}

impl<A: Associations> Node<A> {
    /// Starts everything that `config` names.
    ///
    /// # Errors
    ///
    /// When a key or token cannot be used, or an address cannot be bound. Nothing is left running then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let identity = Identity::load(&config, Backend::AwsLc)?;
        let end_to_end = EndToEnd::open(&config, Backend::AwsLc)?.map(Arc::new);
        let inbound = Inbound::new(&config)?.with_end_to_end(end_to_end.clone());
        let inbound = Arc::new(inbound);
        let (signal, drain) = Drain::new();
        let associations = A::start(&config, identity, Arc::clone(&inbound), drain.clone()).await?;
        let mut servers = JoinSet::new();
        let mut egress = Vec::new();
        for table in &config.egress {
            let server = Server::bind(table.listen, config.limits.http.clone())
                .await
                .with_context(|| format!("cannot listen on {}", table.listen))?;
            let carrier = associations.carrier(&table.peer, table.point);
            let handler = Egress::new(
                carrier,
                &config.entity,
                &table.peer,
                table.from.clone(),
                config.limits.clone(),
            );
            let handler = Arc::new(handler.with_end_to_end(end_to_end.clone()));
            if let Some(end) = &end_to_end {
                let carrier = associations.carrier(&table.peer, table.point);
                servers.spawn(Arc::clone(end).tend(carrier, drain.clone()));
                let carrier = associations.carrier(&table.peer, table.point);
                servers.spawn(Arc::clone(end).correspond(carrier, drain.clone()));
            }
            let address = server.local_addr()?;
            tracing::info!(%address, peer = %table.peer, point = %table.point, "egress listens");
            egress.push((address, Arc::clone(&handler)));
            servers.spawn(server.run(handler, drain.clone()));
        }
        tracing::info!(entity = %config.entity, peers = config.peers.len(), egress = egress.len(), "node started");
        Ok(Self {
            config,
            associations,
            inbound,
            egress,
            signal,
            servers,
        })
    }

    /// Where the egress listeners are, in the order of the configuration.
    pub fn egress_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.egress.iter().map(|(address, _)| *address)
    }

    /// The associations.
    pub fn associations(&self) -> &A {
        &self.associations
    }

    /// Takes over peers, keys, policies, allowed originators and ingresses of `config`, without dropping
    /// associations. Addresses, limits, the store and the entity stay until a restart; a warning says which differ.
    ///
    /// # Errors
    ///
    /// When the configuration is another entity's, or a key or token cannot be used; then the node goes on as it was.
    pub async fn reload(&mut self, config: Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            config.entity == self.config.entity,
            "the entity differs: restart the node instead"
        );
        let identity = Identity::load(&config, Backend::AwsLc)?;
        self.inbound.reload(&config)?;
        self.associations.reload(&config, identity).await?;
        for (table, (_, egress)) in self.config.egress.iter().zip(&self.egress) {
            let same = |other: &&crate::config::Egress| {
                other.listen == table.listen && other.peer == table.peer
            };
            match config.egress.iter().find(same) {
                Some(table) => egress.set_allowed(table.from.clone()),
                None => {
                    tracing::warn!(listen = %table.listen, "this egress goes with the next restart")
                }
            }
        }
        let places = |config: &Config| -> Vec<_> {
            config.egress.iter().map(|table| table.listen).collect()
        };
        if places(&config) != places(&self.config)
            || config.listen != self.config.listen
            || config.limits != self.config.limits
            || config.store != self.config.store
            || config.end_to_end != self.config.end_to_end
        {
            tracing::warn!(
                "addresses, limits, the store and end to end change with the next restart only"
            );
        }
        // What is in force stays in force: the rest of the new configuration counts.
        self.config = Config {
            egress: core::mem::take(&mut self.config.egress),
            listen: core::mem::take(&mut self.config.listen),
            limits: self.config.limits.clone(),
            store: self.config.store.take(),
            end_to_end: self.config.end_to_end.take(),
            ..config
        };
        tracing::info!(peers = self.config.peers.len(), "configuration reloaded");
        Ok(())
    }

    /// Stops: no new requests, those under way are finished within the drain time, associations are closed.
    /// Returns whether everything ended in time.
    pub async fn stop(mut self) -> bool {
        let deadline = self.config.drain;
        tracing::info!(?deadline, "node stops");
        self.signal.begin();
        let drained = async {
            while self.servers.join_next().await.is_some() {}
            self.associations.close().await;
        };
        let in_time = timeout(deadline, drained).await.is_ok();
        if !in_time {
            tracing::warn!("requests were cut off at the drain deadline");
        }
        in_time
    }
}
