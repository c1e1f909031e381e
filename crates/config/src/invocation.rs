//! The command line that both daemons share: which file, and what to do with it.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where the file is, unless the command line says otherwise.
const FILE: &str = "/etc/tollgate/tollgate.toml";

/// What a daemon is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// To run.
    Run,
    /// To say whether the file is valid.
    Check,
    /// To detach the driver's program and remove its pins; the dataplane's only.
    Unload,
    /// To say its version.
    Version,
}

/// A command line that made sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The configuration file.
    pub file: PathBuf,
    /// What to do.
    pub task: Task,
}

impl Invocation {
    /// Reads the arguments behind the program's name. `unload`: whether `--unload` is known.
    ///
    /// # Errors
    /// Says which argument makes no sense.
    pub fn read(
        mut arguments: impl Iterator<Item = OsString>,
        unload: bool,
    ) -> Result<Self, String> {
        let mut invocation = Self { file: FILE.into(), task: Task::Run };
        while let Some(argument) = arguments.next() {
            invocation.task = match argument.to_str() {
                Some("--config") => {
                    invocation.file = arguments.next().ok_or("--config needs a file")?.into();
                    continue;
                }
                Some("--check") => Task::Check,
                Some("--unload") if unload => Task::Unload,
                Some("--version") => Task::Version,
                _ => return Err(format!("unknown option {}", argument.display())),
            };
        }
        Ok(invocation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, unload: bool) -> Result<Invocation, String> {
        Invocation::read(text.split_whitespace().map(OsString::from), unload)
    }

    #[test]
    fn a_file_and_a_task_are_read_in_any_order() {
        let wanted = Invocation { file: "/tmp/x.toml".into(), task: Task::Check };
        assert_eq!(read("--config /tmp/x.toml --check", false).as_ref(), Ok(&wanted));
        assert_eq!(read("--check --config /tmp/x.toml", false).as_ref(), Ok(&wanted));
        assert_eq!(read("", false), Ok(Invocation { file: FILE.into(), task: Task::Run }));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read("--config", false).unwrap_err().contains("--config"));
        assert!(read("--unload", false).unwrap_err().contains("--unload"));
        assert_eq!(read("--unload", true).unwrap().task, Task::Unload);
    }
}
