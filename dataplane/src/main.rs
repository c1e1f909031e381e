//! `tollgate-dataplane`: validates, boots, runs until told to stop.

use std::process::ExitCode;

use config::{Errand, Program};
use dataplane::boot::{self, Error};

const PROGRAM: Program = Program {
    name: "tollgate-dataplane",
    version: env!("CARGO_PKG_VERSION"),
    unload: true,
    restore: false,
};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let done = match PROGRAM.errand(arguments, |file| std::fs::read_to_string(file)) {
        Ok(Errand::Say(text)) => {
            print!("{text}");
            Ok(())
        }
        // There is no `--restore` here to be asked for.
        Ok(Errand::Run(config) | Errand::Restore(config, _)) => boot::run(&config),
        Ok(Errand::Unload(config)) => xdp_prog::unload(&config.paths.pins).map_err(Error::from),
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::from(refusal.exit_code());
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", PROGRAM.name);
            ExitCode::FAILURE
        }
    }
}
