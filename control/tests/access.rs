//! Who may do what by the API: every route and every role, and a user of this machine who is each in turn.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

use control::api::routes::ROUTES;
use control::state::entity::Role::{self, Administrator, Operator, Viewer};
use nix::unistd::{Group, Uid, User};
use node::Node;
use serde_json::{Value, json};

/// Who may use each route at the least. Whoever only looks is a viewer; all that changes something stands here.
const CHANGES: &[(&str, &str, Role)] = &[
    ("post", "/account", Administrator),
    ("patch", "/account/{name}", Administrator),
    ("delete", "/account/{name}", Administrator),
    ("post", "/account/{name}/payment", Administrator),
    ("post", "/account/{name}/refund", Administrator),
    ("post", "/account/{name}/correction", Administrator),
    ("post", "/cdr/{id}/correction", Administrator),
    ("post", "/cdr/rerate", Administrator),
    ("post", "/cdr/dispute", Viewer),
    ("post", "/cdr/compare", Viewer),
    ("post", "/record/mapping", Administrator),
    ("patch", "/record/mapping/{name}", Administrator),
    ("delete", "/record/mapping/{name}", Administrator),
    ("post", "/tariff", Administrator),
    ("patch", "/tariff/{name}", Administrator),
    ("delete", "/tariff/{name}", Administrator),
    ("post", "/tariff/{name}/rate", Administrator),
    ("put", "/tariff/{name}/rate", Administrator),
    ("delete", "/tariff/{name}/rate/{prefix}", Administrator),
    ("post", "/tariff/{name}/sheet", Administrator),
    ("post", "/tariff/{name}/generate", Administrator),
    ("post", "/sheet/mapping", Administrator),
    ("patch", "/sheet/mapping/{name}", Administrator),
    ("delete", "/sheet/mapping/{name}", Administrator),
    ("post", "/cdr/day/{day}/archive", Administrator),
    ("delete", "/cdr/day/{day}", Administrator),
    ("post", "/invoice", Administrator),
    ("delete", "/invoice/{name}", Administrator),
    ("post", "/invoice/{name}/issue", Administrator),
    ("post", "/invoice/{name}/send", Administrator),
    ("post", "/invoice/{name}/payment", Administrator),
    ("post", "/invoice/{name}/credit", Administrator),
    ("post", "/package", Administrator),
    ("patch", "/package/{name}", Administrator),
    ("delete", "/package/{name}", Administrator),
    ("post", "/subscription", Administrator),
    ("patch", "/subscription/{name}", Administrator),
    ("delete", "/subscription/{name}", Administrator),
    ("post", "/number/transform", Administrator),
    ("patch", "/number/transform/{name}", Administrator),
    ("delete", "/number/transform/{name}", Administrator),
    ("post", "/number/section", Administrator),
    ("patch", "/number/section/{name}", Administrator),
    ("delete", "/number/section/{name}", Administrator),
    ("post", "/gateway/mapping", Administrator),
    ("patch", "/gateway/mapping/{name}", Administrator),
    ("delete", "/gateway/mapping/{name}", Administrator),
    ("post", "/gateway/routing", Administrator),
    ("patch", "/gateway/routing/{name}", Administrator),
    ("delete", "/gateway/routing/{name}", Administrator),
    ("post", "/phone", Administrator),
    ("patch", "/phone/{name}", Administrator),
    ("delete", "/phone/{name}", Administrator),
    ("put", "/param/{name}", Administrator),
    ("delete", "/param/{name}", Administrator),
    ("post", "/user", Administrator),
    ("patch", "/user/{name}", Administrator),
    ("delete", "/user/{name}", Administrator),
    ("delete", "/registration/{name}", Operator),
    ("delete", "/call/{id}", Operator),
    ("post", "/drain", Operator),
    ("post", "/firewall/deny", Operator),
    ("delete", "/firewall/deny/{prefix}", Operator),
    ("put", "/firewall/import/{name}", Operator),
    ("delete", "/firewall/import/{name}", Operator),
    ("delete", "/firewall/import/{name}/entry/{prefix}", Operator),
    ("post", "/firewall/trust", Operator),
    ("patch", "/firewall/trust/{prefix}", Operator),
    ("delete", "/firewall/trust/{prefix}", Operator),
    ("post", "/firewall/code", Operator),
    ("delete", "/firewall/code/{name}", Operator),
    ("post", "/firewall/open", Operator),
    ("post", "/firewall/geo", Operator),
    ("patch", "/firewall/geo/{name}", Operator),
    ("delete", "/firewall/geo/{name}", Operator),
    ("post", "/firewall/geo/{name}/range", Operator),
    ("put", "/firewall/geo/{name}/range", Operator),
    ("delete", "/firewall/geo/{name}/range/{range}", Operator),
    ("delete", "/firewall/suspended/{id}", Operator),
    ("delete", "/firewall/abuse/{name}", Operator),
    ("post", "/firewall/preset/{name}", Operator),
    ("post", "/backup", Administrator),
    // It reads all of a large file.
    ("get", "/backup/{file}", Operator),
    // What people said is for fewer eyes than that they called.
    ("get", "/recording/{file}", Administrator),
    ("delete", "/recording/{file}", Administrator),
];

#[test]
fn every_route_is_some_roles_and_every_role_has_what_it_should() {
    let roles = [Viewer, Operator, Administrator];
    let rank = |role: Role| roles.iter().position(|other| *other == role).unwrap();
    let mut seen = BTreeSet::new();
    for route in ROUTES {
        let is_it = |row: &&(&str, &str, Role)| (row.0, row.1) == (route.method, route.path);
        let (method, path) = (route.method, route.path);
        let least = match (method, CHANGES.iter().find(is_it)) {
            ("get", None) => Viewer,
            (_, Some(row)) => row.2,
            (_, None) => panic!("{method} {path} is new: say in CHANGES who may"),
        };
        seen.insert((method, path));
        for role in roles {
            let may = rank(role) >= rank(least);
            assert_eq!(role.may(route.right), may, "{method} {path}: {}", role.name());
        }
    }
    for (method, path, _) in CHANGES {
        assert!(seen.contains(&(*method, *path)), "{method} {path} is no route any more");
    }
}

/// Somebody of this machine who is not root, and who may open the socket.
struct Nobody {
    uid: u32,
    gid: u32,
    tollgate: std::path::PathBuf,
}

impl Nobody {
    /// Exit code and standard error.
    fn says(&self, node: &Node, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(&self.tollgate);
        command.arg("--socket").arg(node.socket()).args(words).uid(self.uid).gid(self.gid);
        let done = command.output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
    }
}

fn cli() -> std::path::PathBuf {
    let control = std::path::Path::new(env!("CARGO_BIN_EXE_tollgate-control"));
    let profile = control.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
    assert!(cargo.arg(profile.parent().unwrap()).status().unwrap().success());
    control.with_file_name("tollgate")
}

#[test]
fn a_user_may_what_his_role_says_at_once_and_after_a_restart() {
    let (user, group) = (User::from_name("nobody").unwrap(), Group::from_name("nogroup").unwrap());
    let (Some(user), Some(group), true) = (user, group, Uid::effective().is_root()) else {
        eprintln!("SKIPPED: only root can be somebody else, and needs a user nobody");
        return;
    };
    let mut node = Node::prepare("access");
    let file = node.home.join("tollgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "[control]\nsocket_group = \"nogroup\"\n").unwrap();
    node.run();
    // Where it was built nobody else may look.
    let tollgate = node.home.join("tollgate");
    std::fs::copy(cli(), &tollgate).unwrap();
    let nobody = Nobody { uid: user.uid.as_raw(), gid: group.gid.as_raw(), tollgate };
    let account = |name| ["account", "create", name, "--role", "customer"];
    let deny = ["firewall", "deny", "add", "203.0.113.9"];
    let refused = |node: &Node, words: &[&str]| {
        let (code, text) = nobody.says(node, words);
        assert!(code == 1 && text.contains("not allowed"), "{words:?}: {text}");
        text
    };
    let granted = |node: &Node, words: &[&str]| {
        let (code, text) = nobody.says(node, words);
        assert_eq!(code, 0, "{words:?}: {text}");
    };
    granted(&node, &account("first"));

    node.ok("POST", "/user", &json!({"name": "nobody", "role": "viewer"}));
    granted(&node, &["account", "list"]);
    let text = refused(&node, &deny);
    assert!(text.contains("`tollgate user update nobody --role operator`"), "{text}");
    node.ok("PATCH", "/user/nobody", &json!({"role": "operator"}));
    granted(&node, &deny);
    refused(&node, &account("second"));
    refused(&node, &["user", "update", "nobody", "--role", "administrator"]);
    node.kill();
    node.run();
    refused(&node, &account("second"));
    node.ok("PATCH", "/user/nobody", &json!({"role": "administrator"}));
    granted(&node, &account("second"));

    node.ok("POST", "/user", &json!({"name": "somebody", "role": "viewer"}));
    node.ok("DELETE", "/user/nobody", &Value::Null);
    let text = refused(&node, &["status"]);
    assert!(text.contains("`tollgate user create nobody --role viewer`"), "{text}");
    let alarms = node.look("/alarm");
    assert_eq!(alarms["items"][0]["name"], "access_refused");
    assert_eq!(
        (&alarms["items"][0]["subject"], &alarms["items"][0]["count"]),
        (&json!("nobody"), &json!(2))
    );
    let events = node.look("/event").to_string();
    assert!(events.contains("administrator by root"), "{events}");
    node.ok("DELETE", "/user/somebody", &Value::Null);
    granted(&node, &account("third"));
}
