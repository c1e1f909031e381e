//! `tollgate`: how a person says and sees it. One file per noun under `command/`, the nouns of the API.

mod client;
mod command;
mod manual;
mod migrate;
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
    /// What happens now, again and again.
    Top {
        /// Seconds between two looks.
        #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
        every: u64,
        /// How many looks; 0: until it is stopped.
        #[arg(long, value_name = "N", default_value_t = 0)]
        looks: u64,
    },
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
    /// Subscribers' lines, which register and call by a password.
    #[command(subcommand)]
    Phone(command::phone::Verb),
    /// Who can be reached where.
    #[command(subcommand)]
    Registration(command::registration::Verb),
    /// Prices by prefix.
    #[command(subcommand)]
    Tariff(command::tariff::Verb),
    /// Packages of minutes and money for a rent, and who has which.
    #[command(subcommand)]
    Package(command::package::Verb),
    /// Numbers: whose they are, and what becomes of them.
    #[command(subcommand)]
    Number(command::number::Verb),
    /// Invoices and what sets them right.
    #[command(subcommand)]
    Invoice(command::invoice::Verb),
    /// Which gateways a call would try.
    #[command(subcommand)]
    Route(command::route::Verb),
    /// Running calls.
    #[command(subcommand)]
    Call(command::call::Verb),
    /// What calls cost.
    #[command(subcommand)]
    Cdr(command::cdr::Verb),
    /// The exports of another switch.
    #[command(subcommand)]
    Migrate(migrate::Verb),
    // As in its file.
    Report(Box<command::report::Args>),
    /// Calls that were written to disk.
    #[command(subcommand)]
    Recording(command::recording::Verb),
    /// Copies of the database.
    #[command(subcommand)]
    Backup(command::backup::Verb),
    /// System parameters.
    #[command(subcommand)]
    Param(command::param::Verb),
    /// What a human must act on, and what happened.
    #[command(subcommand)]
    Alarm(command::alarm::Verb),
    /// Who may use the API, and as what.
    #[command(subcommand)]
    User(command::user::Verb),
    /// Refuse new calls while running ones finish.
    #[command(subcommand)]
    Drain(command::drain::Verb),
    // Its words are another crate's, so their text is too.
    Replay(Box<command::replay::Args>),
    /// Shell completions, to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The manual: one page with everything, to standard output.
    Manual {
        /// One page per command instead, into this directory.
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

/// What a command needs.
struct Context {
    client: Client,
    output: Output,
}

/// Why a command failed, in words that say what to do.
type Failure = Box<dyn std::error::Error>;

/// What was asked for is no command: exit code 2, as for a flag that is not there.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context { client: Client::new(&cli.socket), output: cli.output };
    match run(&context, cli.noun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            render::warn(&format!("tollgate: {failure}"));
            if failure.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(context: &Context, noun: Noun) -> Result<(), Failure> {
    match noun {
        Noun::Status => command::status::run(context),
        Noun::Top { every, looks } => command::top::run(context, every, looks),
        Noun::Doctor => command::doctor::run(context),
        Noun::Firewall(verb) => command::firewall::run(context, verb),
        Noun::Account(verb) => command::account::run(context, verb),
        Noun::Gateway(verb) => command::gateway::run(context, verb),
        Noun::Phone(verb) => command::phone::run(context, verb),
        Noun::Registration(verb) => command::registration::run(context, verb),
        Noun::Tariff(verb) => command::tariff::run(context, verb),
        Noun::Package(verb) => command::package::run(context, verb),
        Noun::Number(verb) => command::number::run(context, verb),
        Noun::Invoice(verb) => command::invoice::run(context, verb),
        Noun::Route(verb) => command::route::run(context, verb),
        Noun::Call(verb) => command::call::run(context, verb),
        Noun::Cdr(verb) => command::cdr::run(context, verb),
        Noun::Migrate(verb) => migrate::run(context, verb),
        Noun::Report(args) => command::report::run(context, &args),
        Noun::Recording(verb) => command::recording::run(context, verb),
        Noun::Backup(verb) => command::backup::run(context, verb),
        Noun::Param(verb) => command::param::run(context, verb),
        Noun::Alarm(verb) => command::alarm::run(context, verb),
        Noun::User(verb) => command::user::run(context, verb),
        Noun::Drain(verb) => command::drain::run(context, verb),
        Noun::Replay(_) => command::replay::run(context.output),
        Noun::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
            Ok(render::print(&String::from_utf8_lossy(&script))?)
        }
        Noun::Manual { directory: None } => Ok(render::print(&manual::page(Cli::command())?)?),
        Noun::Manual { directory: Some(directory) } => manual::write(Cli::command(), &directory)
            .map_err(|error| format!("{}: {error}", directory.display()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    /// Every command that does something, by its words.
    fn leaves(command: &clap::Command, words: &str, found: &mut Vec<(String, Vec<String>)>) {
        if command.has_subcommands() {
            for verb in command.get_subcommands() {
                leaves(verb, &format!("{words} {}", verb.get_name()), found);
            }
            return;
        }
        let flags = command.get_arguments().filter_map(|arg| arg.get_long().map(ToOwned::to_owned));
        found.push((words.to_owned(), flags.collect()));
    }

    #[test]
    fn the_manual_names_every_noun_verb_and_flag() {
        let page = manual::page(Cli::command()).unwrap().replace('\\', "");
        let mut found = Vec::new();
        leaves(&Cli::command(), "tollgate", &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for (words, flags) in found {
            let section = page.split(&format!(".SH {}\n", words.to_uppercase())).nth(1);
            let section = section.unwrap_or_else(|| panic!("no section of `{words}`"));
            let section = section.split(".SH ").next().unwrap();
            for flag in flags {
                assert!(section.contains(&format!("--{flag}")), "{words} --{flag}");
            }
        }
        assert!(page.contains("--socket") && page.contains("--output"));
    }

    #[test]
    fn every_page_that_a_page_names_is_made() {
        let directory = std::env::temp_dir().join(format!("tollgate-man-{}", std::process::id()));
        manual::write(Cli::command(), &directory).unwrap();
        let pages: Vec<String> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|page| page.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        for page in &pages {
            let text = std::fs::read_to_string(directory.join(page)).unwrap().replace('\\', "");
            for line in text.lines().filter(|line| line.starts_with("tollgate-")) {
                let Some((name, _)) = line.split_once("(1)") else { continue };
                assert!(pages.contains(&format!("{name}.1")), "{page} names {name}");
            }
        }
        assert!(pages.contains(&"tollgate-gateway-mapping-import.1".to_owned()), "{pages:?}");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
