//! The command line of a test's node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::node::Node;

/// The command line, as it is now.
static CLI: LazyLock<PathBuf> = LazyLock::new(|| {
    let control = Path::new(env!("CARGO_BIN_EXE_tollgate-control"));
    let profile = control.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
    assert!(cargo.arg(profile.parent().unwrap()).status().unwrap().success());
    control.with_file_name("tollgate")
});

/// What `tollgate` says to these words: its code, its output, its complaints.
pub(crate) fn tollgate(node: &Node, words: &[&str]) -> (i32, String, String) {
    let done = command(node, words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// `tollgate` with these words, not begun yet.
pub(crate) fn command(node: &Node, words: &[&str]) -> Command {
    let mut command = Command::new(&*CLI);
    command.arg("--socket").arg(node.socket()).args(words);
    command
}
