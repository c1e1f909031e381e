//! `tollgate-dataplane`: validates, boots, runs until told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

/// What the command line asked for.
enum Task {
    Run,
    Check,
    Unload,
}

fn main() -> ExitCode {
    let mut task = Task::Run;
    let mut file = PathBuf::from("/etc/tollgate/tollgate.toml");
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => match arguments.next() {
                Some(path) => file = path.into(),
                None => return usage("--config needs a file"),
            },
            Some("--check") => task = Task::Check,
            Some("--unload") => task = Task::Unload,
            Some("--version") => {
                println!("tollgate-dataplane {}", env!("CARGO_PKG_VERSION"));
                return ExitCode::SUCCESS;
            }
            _ => return usage(&format!("unknown option {}", argument.display())),
        }
    }
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return fail(&format!("{}: {error}", file.display())),
    };
    let config = match config::Config::parse(&text) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                eprintln!("{}: {fault}", file.display());
            }
            return ExitCode::FAILURE;
        }
    };
    let done = match task {
        Task::Check => {
            println!("{}: ok", file.display());
            Ok(())
        }
        Task::Unload => xdp_prog::unload(&config.paths.pins).map_err(Into::into),
        Task::Run => dataplane::boot::run(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn usage(what: &str) -> ExitCode {
    eprintln!("tollgate-dataplane: {what}");
    eprintln!("usage: tollgate-dataplane [--config FILE] [--check | --unload | --version]");
    ExitCode::from(2)
}

fn fail(what: &str) -> ExitCode {
    eprintln!("tollgate-dataplane: {what}");
    ExitCode::FAILURE
}
