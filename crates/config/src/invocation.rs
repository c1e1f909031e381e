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
    /// To say how it is invoked.
    Help,
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
                Some("--help" | "-h") => Task::Help,
                _ => return Err(format!("unknown option {}", argument.display())),
            };
        }
        Ok(invocation)
    }

    /// How `program` is invoked, in lines. `unload` as for [`Self::read`].
    #[must_use]
    pub fn usage(program: &str, unload: bool) -> String {
        let (task, line) = if unload {
            (" | --unload", "  --unload       take the driver's program off, with all its pins\n")
        } else {
            ("", "")
        };
        format!(
            "usage: {program} [--config FILE] [--check{task} | --version | --help]\n\n\
             \x20 --config FILE  the configuration; default: {FILE}\n\
             \x20 --check        say whether it is valid, and end\n\
             {line}\
             \x20 --version      print the version\n\
             \x20 --help         print this\n"
        )
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
    fn every_option_of_the_usage_is_known_and_every_known_one_is_in_it() {
        for unload in [false, true] {
            let usage = Invocation::usage("tollgate-x", unload);
            assert!(usage.starts_with("usage: tollgate-x "), "{usage}");
            let lines: Vec<_> = usage.lines().filter_map(|line| line.strip_prefix("  ")).collect();
            let tasks: Vec<_> = lines
                .iter()
                .filter_map(|line| line.split_whitespace().next())
                .map(|option| if option == "--config" { "--config x" } else { option })
                .map(|words| read(words, unload).unwrap().task)
                .collect();
            let all = [Task::Run, Task::Check, Task::Unload, Task::Version, Task::Help];
            let known: Vec<_> =
                all.into_iter().filter(|&task| unload || task != Task::Unload).collect();
            assert_eq!(tasks, known);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read("--config", false).unwrap_err().contains("--config"));
        assert!(read("--unload", false).unwrap_err().contains("--unload"));
        assert_eq!(read("--unload", true).unwrap().task, Task::Unload);
    }
}
