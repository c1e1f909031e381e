//! The command line of a real daemon: how it is used, and with `--check` what is wrong with a file, where,
//! and what to do about it. Both daemons read the same file, and are asked the same.

use std::path::{Path, PathBuf};
use std::process::Command;

const RIGHT: &str = "[[interface]]\nname = \"lo\"\n[[address]]\nip = \"127.0.0.1/8\"\n\
                     interface = \"lo\"\n";

fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tollgate-check-{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// Exit code, standard output, standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

fn check(daemon: &str, file: &Path) -> (Option<i32>, String, String) {
    run(Command::new(daemon).arg("--config").arg(file).arg("--check"))
}

/// What a stranger to the daemon tries first, where no configuration is yet.
pub(crate) fn help_and_version_are_told(daemon: &str) {
    let name = Path::new(daemon).file_name().unwrap().to_str().unwrap();
    let ask = |option| run(Command::new(daemon).args(["--config", "/nonexistent", option]));
    let (code, help, err) = ask("--help");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(help.starts_with(&format!("usage: {name} [--config FILE]")), "{help}");
    let (code, version, err) = ask("--version");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    let (code, out, err) = ask("--halp");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("--halp") && err.contains(&help), "{err}");
}

pub(crate) fn mistakes_are_told(daemon: &str) {
    let cases: [(&str, String, &[&str]); 8] = [
        ("missing", String::new(), &["interface: missing", "write for instance"]),
        ("slip", format!("{RIGHT}[dataplane]\nworker = 1\n"), &["did you mean dataplane.workers?"]),
        ("unknown", format!("{RIGHT}[colours]\n"), &["colours: there is no such key", "example"]),
        (
            "type",
            format!("{RIGHT}[dataplane]\nworkers = \"two\"\n"),
            &["dataplane.workers: must be a whole number, not a text"],
        ),
        (
            "range",
            format!("{RIGHT}[dataplane]\nworkers = 65\n"),
            &["dataplane.workers = 65: must be from 1 to 64"],
        ),
        (
            "choice",
            format!("{RIGHT}[dataplane]\nnic = \"fast\"\n"),
            &["dataplane.nic", "\"afxdp\", \"udp\""],
        ),
        ("syntax", format!("{RIGHT}[dataplane\n"), &["line 6"]),
        (
            "many",
            format!("{RIGHT}[dataplane]\nworkers = 65\n[log]\nlevel = \"loud\"\n"),
            &["dataplane.workers", "log.level"],
        ),
    ];
    for (name, text, words) in cases {
        let path = file(name, text.as_bytes());
        let (code, out, err) = check(daemon, &path);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{name}: {err}");
        for word in words.iter().copied().chain(path.to_str()) {
            assert!(err.contains(word), "{name}: {word:?} is not in\n{err}");
        }
        std::fs::remove_file(path).unwrap();
    }
}

pub(crate) fn a_wrong_file_is_named_and_a_right_one_is_ok(daemon: &str) {
    let (code, _, err) = check(daemon, Path::new("/nonexistent/tollgate.toml"));
    assert!(code == Some(1) && err.contains("/nonexistent/tollgate.toml"), "{err}");
    assert!(err.contains("--config"), "{err}");
    let path = file("latin", b"name = \"caf\xe9\"\n");
    let (code, _, err) = check(daemon, &path);
    assert!(code == Some(1) && err.contains("UTF-8"), "{err}");
    std::fs::remove_file(path).unwrap();
    let path = file("right", RIGHT.as_bytes());
    let (code, out, _) = check(daemon, &path);
    assert!(code == Some(0) && out.contains("ok"), "{out}");
    std::fs::remove_file(path).unwrap();
}
