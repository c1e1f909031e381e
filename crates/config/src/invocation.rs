//! The command line that both daemons share: from the arguments to what is to be done, or to why not.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Config;

/// Where the file is, unless the command line says otherwise.
const FILE: &str = "/etc/tollgate/tollgate.toml";

/// A daemon, as far as its command line goes.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name, as in `usage:` and before every message.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Whether `--unload` is known.
    pub unload: bool,
    /// Whether `--restore` is known.
    pub restore: bool,
}

/// What a daemon was started to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To print this, which ends with a line's end, and end.
    Say(String),
    /// To run.
    Run(Config),
    /// To detach the driver's program and remove its pins; where `--unload` is known only.
    Unload(Config),
    /// To put this backup in the database's place; where `--restore` is known only.
    Restore(Config, PathBuf),
}

/// Why there is nothing to do, in lines that begin with the program's name; the last has no line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command line makes no sense.
    Arguments(String),
    /// The file cannot be read, or is not valid.
    File(String),
}

impl Refusal {
    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) => 2,
            Self::File(_) => 1,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Arguments(lines) | Self::File(lines)) = self;
        f.write_str(lines)
    }
}

impl std::error::Error for Refusal {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Run,
    Check,
    Unload,
    Restore(PathBuf),
    Version,
    Help,
}

/// A command line that made sense.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Invocation {
    file: PathBuf,
    task: Task,
}

impl Program {
    /// What the arguments behind the program's name ask for. `read` gives the text of a file; it is
    /// called when the errand needs the configuration, not for help or version.
    ///
    /// # Errors
    /// Says what is wrong with the arguments or the file, and what to do.
    pub fn errand(
        self,
        arguments: impl Iterator<Item = OsString>,
        read: impl FnOnce(&Path) -> std::io::Result<String>,
    ) -> Result<Errand, Refusal> {
        let Self { name, version, .. } = self;
        let Invocation { file, task } = self.invocation(arguments).map_err(|what| {
            Refusal::Arguments(format!("{name}: {what}\n{}", self.usage().trim_end()))
        })?;
        let config =
            || configuration(&file, read).map_err(|what| Refusal::File(format!("{name}: {what}")));
        Ok(match task {
            Task::Version => Errand::Say(format!("{name} {version}\n")),
            Task::Help => Errand::Say(self.usage()),
            Task::Check => {
                config()?;
                Errand::Say(format!("{}: ok\n", file.display()))
            }
            Task::Run => Errand::Run(config()?),
            Task::Unload => Errand::Unload(config()?),
            Task::Restore(backup) => Errand::Restore(config()?, backup),
        })
    }

    /// Reads the arguments, or says which makes no sense.
    fn invocation(
        self,
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Invocation, String> {
        let mut invocation = Invocation { file: FILE.into(), task: Task::Run };
        while let Some(argument) = arguments.next() {
            invocation.task = match argument.to_str() {
                Some("--config") => {
                    invocation.file = arguments.next().ok_or("--config needs a file")?.into();
                    continue;
                }
                Some("--check") => Task::Check,
                Some("--unload") if self.unload => Task::Unload,
                Some("--restore") if self.restore => {
                    Task::Restore(arguments.next().ok_or("--restore needs a file")?.into())
                }
                Some("--version") => Task::Version,
                Some("--help" | "-h") => Task::Help,
                _ => return Err(format!("unknown option {}", argument.display())),
            };
        }
        Ok(invocation)
    }

    /// How it is invoked, in lines.
    fn usage(self) -> String {
        let name = self.name;
        let mut task = String::new();
        let mut line = String::new();
        if self.unload {
            task.push_str(" | --unload");
            line.push_str("  --unload       take the driver's program off, with all its pins\n");
        }
        if self.restore {
            task.push_str(" | --restore FILE");
            line.push_str("  --restore FILE put this backup in the database's place, and end\n");
        }
        format!(
            "usage: {name} [--config FILE] [--check{task} | --version | --help]\n\n\
             \x20 --config FILE  the configuration; default: {FILE}\n\
             \x20 --check        say whether it is valid, and end\n\
             {line}\
             \x20 --version      print the version\n\
             \x20 --help         print this\n"
        )
    }
}

/// The valid configuration in a file; or why there is none, every mistake behind the file's name.
fn configuration(
    file: &Path,
    read: impl FnOnce(&Path) -> std::io::Result<String>,
) -> Result<Config, String> {
    let file_name = file.display();
    let text =
        read(file).map_err(|error| format!("{file_name}: {error}; --config names another file"))?;
    Config::parse(&text).map_err(|mistakes| {
        let lines = mistakes.iter().map(|mistake| format!("{file_name}: {mistake}"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "[[interface]]\nname = \"lo\"\n[[address]]\nip = \"127.0.0.1/8\"\n\
                         interface = \"lo\"\n";

    fn program(unload: bool) -> Program {
        Program { name: "tollgate-x", version: "1.2.3", unload, restore: !unload }
    }

    fn words(text: &str) -> impl Iterator<Item = OsString> {
        text.split_whitespace().map(OsString::from)
    }

    fn read(text: &str, unload: bool) -> Result<Invocation, String> {
        program(unload).invocation(words(text))
    }

    /// The errand of these arguments where the file `/x` says `text`, and no other may be asked for.
    fn errand(arguments: &str, text: &str) -> Result<Errand, Refusal> {
        program(true).errand(words(arguments), |file| {
            assert_eq!(file, Path::new("/x"));
            Ok(text.to_owned())
        })
    }

    #[test]
    fn a_right_file_is_run_unloaded_or_called_ok() {
        let config = Config::parse(RIGHT).unwrap();
        assert_eq!(errand("--config /x", RIGHT), Ok(Errand::Run(config.clone())));
        assert_eq!(errand("--config /x --unload", RIGHT), Ok(Errand::Unload(config)));
        let ok = Errand::Say("/x: ok\n".to_owned());
        assert_eq!(errand("--config /x --check", RIGHT), Ok(ok));
    }

    #[test]
    fn help_and_version_need_no_file() {
        let say =
            |option| program(false).errand(words(option), |_| unreachable!("no file is read"));
        let usage = program(false).usage();
        assert_eq!(say("--version"), Ok(Errand::Say("tollgate-x 1.2.3\n".to_owned())));
        assert_eq!(say("--help"), Ok(Errand::Say(usage.clone())));
        assert_eq!(say("-h"), Ok(Errand::Say(usage)));
    }

    #[test]
    fn arguments_without_sense_are_refused_with_the_usage_and_code_2() {
        let refusal = program(false)
            .errand(words("--unload"), |_| unreachable!("no file is read"))
            .unwrap_err();
        assert_eq!(refusal.exit_code(), 2);
        let said = format!("tollgate-x: unknown option --unload\n{}", program(false).usage());
        assert_eq!(format!("{refusal}\n"), said);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_with_its_name_and_code_1() {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "not there");
        for task in ["", "--check", "--unload"] {
            let refusal = program(true).errand(words(task), |_| Err(missing())).unwrap_err();
            assert_eq!(refusal.exit_code(), 1);
            let said = format!("tollgate-x: {FILE}: not there; --config names another file");
            assert_eq!(refusal.to_string(), said);
        }
    }

    #[test]
    fn every_mistake_in_a_file_is_a_line_of_the_refusal_with_code_1() {
        let text = format!("{RIGHT}[dataplane]\nworkers = 65\n[log]\nlevel = \"loud\"\n");
        for task in ["", "--check", "--unload"] {
            let refusal = errand(&format!("--config /x {task}"), &text).unwrap_err();
            assert_eq!(refusal.exit_code(), 1);
            let said = refusal.to_string();
            let lines: Vec<_> = said.lines().collect();
            assert_eq!(lines.len(), 2, "{said}");
            assert!(lines[0].starts_with("tollgate-x: /x: dataplane.workers = 65: "), "{said}");
            assert!(lines[1].starts_with("/x: log.level = \"loud\": "), "{said}");
        }
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
            let usage = program(unload).usage();
            assert!(usage.starts_with("usage: tollgate-x "), "{usage}");
            let lines: Vec<_> = usage.lines().filter_map(|line| line.strip_prefix("  ")).collect();
            let tasks: Vec<_> = lines
                .iter()
                .filter_map(|line| line.split_whitespace().next())
                .map(|option| match option {
                    "--config" => "--config x",
                    "--restore" => "--restore x",
                    other => other,
                })
                .map(|words| read(words, unload).unwrap().task)
                .collect();
            let own = if unload { Task::Unload } else { Task::Restore("x".into()) };
            assert_eq!(tasks, [Task::Run, Task::Check, own, Task::Version, Task::Help]);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read("--config", false).unwrap_err().contains("--config"));
        assert!(read("--unload", false).unwrap_err().contains("--unload"));
        assert_eq!(read("--unload", true).unwrap().task, Task::Unload);
        assert!(read("--restore", false).unwrap_err().contains("--restore needs a file"));
        assert!(read("--restore x", true).unwrap_err().contains("--restore"));
    }
}
