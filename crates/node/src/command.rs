mod demo;
mod inspect;
mod keys;
mod node;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What carries associations in this binary.
type Carriage = refpoint_node::Transported;

/// Mutually authenticated, confidential associations for the reference points of an M2M system.
///
/// A refpoint node stands beside an unmodified oneM2M CSE (or AE). What the CSE sends to others goes through the
/// node, over an association that both ends have authenticated; what others ask arrives through the node too. The
/// CSE speaks plain HTTP with its node and nothing else changes for it.
#[derive(Debug, Parser)]
#[command(name = "refpoint", version, max_term_width = 100)]
pub(crate) struct Refpoint {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a whole system on loopback, with an eavesdropper on every link.
    Demo(demo::Demo),
    /// Run a node beside a CSE or an AE.
    Node(node::Node),
    /// Make, derive and show keys.
    Keys(keys::Keys),
    /// Show what a packet capture tells of associations over UDP.
    Inspect(inspect::Inspect),
    /// Plan for restarts and renewals of a whole fleet: simulate them.
    Simulate(simulate::Simulate),
}

impl Refpoint {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(command) => command.run(),
            Command::Node(command) => command.run(),
            Command::Keys(command) => command.run().map(|()| ExitCode::SUCCESS),
            Command::Inspect(command) => command.run().map(|()| ExitCode::SUCCESS),
            Command::Simulate(command) => command.run().map(|()| ExitCode::SUCCESS),
        }
    }
}
