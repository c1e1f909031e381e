//! `tollgate`: how a person says and sees it. One file per noun under `command/`, the nouns of the API.

mod client;
mod command;
mod render;
mod sheet;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use client::Client;
use render::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steers a Tollgate switch.
#[derive(Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
struct Cli {
    /// Where control listens.
    #[arg(long, global = true, default_value = "/run/tollgate/control.sock")]
    socket: PathBuf,
    /// How to print.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Is it ready, and what does it carry?
    Status,
    /// Does this machine have what a switch needs?
    Doctor,
    /// What the driver drops, and whom.
    #[command(subcommand)]
    Firewall(command::firewall::Verb),
    /// Who is charged, who is paid.
    #[command(subcommand)]
    Account(command::account::Verb),
    /// Customers' and vendors' sides.
    #[command(subcommand)]
    Gateway(command::gateway::Verb),
    /// Prices by prefix.
    #[command(subcommand)]
    Tariff(command::tariff::Verb),
    /// Which gateways a call would try.
    #[command(subcommand)]
    Route(command::route::Verb),
    /// Running calls.
    #[command(subcommand)]
    Call(command::call::Verb),
    /// What calls cost.
    #[command(subcommand)]
    Cdr(command::cdr::Verb),
    /// System parameters.
    #[command(subcommand)]
    Param(command::param::Verb),
    /// What a human must act on, and what happened.
    #[command(subcommand)]
    Alarm(command::alarm::Verb),
    /// Refuse new calls while running ones finish.
    #[command(subcommand)]
    Drain(command::drain::Verb),
    /// Shell completions, to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The manual page, to standard output.
    Manual,
}

/// What a command needs.
struct Context {
    client: Client,
    output: Output,
}

/// Why a command failed, in words that say what to do.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context { client: Client::new(&cli.socket), output: cli.output };
    match run(&context, cli.noun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tollgate: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(context: &Context, noun: Noun) -> Result<(), Failure> {
    match noun {
        Noun::Status => command::status::run(context),
        Noun::Doctor => command::doctor::run(context),
        Noun::Firewall(verb) => command::firewall::run(context, verb),
        Noun::Account(verb) => command::account::run(context, verb),
        Noun::Gateway(verb) => command::gateway::run(context, verb),
        Noun::Tariff(verb) => command::tariff::run(context, verb),
        Noun::Route(verb) => command::route::run(context, verb),
        Noun::Call(verb) => command::call::run(context, verb),
        Noun::Cdr(verb) => command::cdr::run(context, verb),
        Noun::Param(verb) => command::param::run(context, verb),
        Noun::Alarm(verb) => command::alarm::run(context, verb),
        Noun::Drain(verb) => command::drain::run(context, verb),
        Noun::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut std::io::stdout());
            Ok(())
        }
        Noun::Manual => Ok(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_names_every_noun() {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        for noun in ["status", "firewall", "gateway", "cdr", "drain"] {
            assert!(page.contains(noun), "{noun}");
        }
    }
}
