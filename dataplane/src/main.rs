//! `tollgate-dataplane`: validates, boots, runs until told to stop.

use std::process::ExitCode;

use config::{Config, Invocation, Task};
use dataplane::boot::{self, Error};

fn main() -> ExitCode {
    let invocation = match Invocation::read(std::env::args_os().skip(1), true) {
        Ok(invocation) => invocation,
        Err(what) => {
            eprintln!("tollgate-dataplane: {what}");
            eprint!("{}", Invocation::usage("tollgate-dataplane", true));
            return ExitCode::from(2);
        }
    };
    match invoked(&invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate-dataplane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn invoked(Invocation { file, task }: &Invocation) -> Result<(), Error> {
    match task {
        Task::Version => {
            println!("tollgate-dataplane {}", env!("CARGO_PKG_VERSION"));
            return Ok(());
        }
        Task::Help => {
            print!("{}", Invocation::usage("tollgate-dataplane", true));
            return Ok(());
        }
        Task::Run | Task::Check | Task::Unload => {}
    }
    let named = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}; --config names another file", named(&error)))?;
    let config = Config::parse(&text).map_err(|mistakes| {
        mistakes.iter().map(|mistake| named(mistake)).collect::<Vec<_>>().join("\n")
    })?;
    match task {
        Task::Check => println!("{}", named(&"ok")),
        Task::Unload => xdp_prog::unload(&config.paths.pins)?,
        Task::Run | Task::Version | Task::Help => boot::run(&config)?,
    }
    Ok(())
}
