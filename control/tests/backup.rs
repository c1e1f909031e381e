//! Backups of a control that is at work: made beside its writing, verified, and put back.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod node;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use node::Node;
use rusqlite::Connection;
use serde_json::{Value, json};

fn restore(node: &Node, file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate-control"))
        .args(["--config".as_ref(), node.home.join("tollgate.toml").as_os_str()])
        .args(["--restore".as_ref(), file.as_os_str()])
        .output()
        .unwrap()
}

/// Set when this is gone.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn pay(node: &Node, number: u64) -> Value {
    let payment = json!({"amount": "1", "request_id": format!("more-{number}")});
    node.ok("POST", "/account/customer/payment", &payment)
}

#[test]
fn a_backup_is_one_moment_of_a_database_that_is_written_to_all_the_time() {
    let node = Node::start("backup-load");
    node.furnish();
    // Enough pages for many steps.
    let rows: Vec<Value> = (0..20_000)
        .map(|n| json!({"prefix": format!("9{n:05}"), "rate": "0.012", "period": ""}))
        .collect();
    node.ok("POST", "/tariff/sell/rate", &Value::from(rows));
    let (over, paid, slowest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // Also if something is not as it should be.
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let began = Instant::now();
                pay(&node, paid.fetch_add(1, Ordering::SeqCst));
                let took = u64::try_from(began.elapsed().as_millis()).unwrap();
                slowest.fetch_max(took, Ordering::SeqCst);
            }
        });
        std::thread::sleep(Duration::from_millis(200));
        let mut entries = 0;
        for round in 0..3 {
            let before = paid.load(Ordering::SeqCst);
            let made = node.ok("POST", "/backup", &json!({"name": format!("b{round}.db")}));
            let after = paid.load(Ordering::SeqCst);
            assert!(after > before, "payments stood still");
            assert_eq!((&made["good"], &made["faults"]), (&json!(true), &json!([])), "{made}");
            assert!(made["entries"].as_u64().unwrap() > entries, "{made}");
            entries = made["entries"].as_u64().unwrap();
            let copy =
                Connection::open(node.home.join(format!("state/backup/b{round}.db"))).unwrap();
            let (sum, last, count): (i64, i64, i64) = copy
                .query_row(
                    "SELECT sum(amount), (SELECT balance FROM ledger ORDER BY id DESC LIMIT 1), count(*) FROM ledger",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .unwrap();
            let count = count.cast_unsigned();
            assert_eq!((sum, count), (last, entries), "balances are the sums of their entries");
            // One of each was on its way.
            assert!(
                (before.saturating_sub(1)..=after).contains(&(count - 1)),
                "{before} {count} {after}"
            );
        }
    });
    let slowest = slowest.load(Ordering::SeqCst);
    println!("the slowest of {} payments took {slowest} ms", paid.load(Ordering::SeqCst));
    assert!(slowest < 2_000, "a payment waited {slowest} ms");
    assert!(!node.home.join("state/backup/b0.db-wal").exists());
}

#[test]
fn a_backup_is_listed_verified_and_has_one_name() {
    let node = Node::start("backup-names");
    node.furnish();
    assert_eq!(node.look("/backup")["items"], json!([]));
    let made = node.ok("POST", "/backup", &json!({}));
    let name = made["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("tollgate-2") && name.ends_with("Z.db"), "{name}");
    assert_eq!(node.say("POST", "/backup", &json!({"name": name})).0, 409);
    for bad in ["../x.db", "x", ".x.db", "a b.db", "", "a/b.db"] {
        assert_eq!(node.say("POST", "/backup", &json!({"name": bad})).0, 422, "{bad:?}");
    }
    assert_eq!(node.say("GET", "/backup/none.db", &Value::Null).0, 404);
    let listed = node.look("/backup");
    assert_eq!(listed["items"][0]["name"], name.as_str());
    let verified = node.look(&format!("/backup/{name}"));
    assert_eq!(verified["sha256"], made["sha256"]);
    // As anybody can check it without us.
    let folder = node.home.join("state/backup");
    let mut sums = Command::new("sha256sum");
    let checked = sums.arg("-c").arg(format!("{name}.sha256")).current_dir(&folder).output();
    assert!(checked.unwrap().status.success());

    let file = folder.join(&name);
    let whole = std::fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let broken = node.look(&format!("/backup/{name}"));
    assert_eq!(broken["good"], false);
    assert!(broken["faults"][0].as_str().unwrap().contains("checksum"), "{broken}");
    std::fs::write(&file, &whole).unwrap();
    let copy = Connection::open(&file).unwrap();
    copy.execute_batch("UPDATE ledger SET amount = amount + 1").unwrap();
    drop(copy);
    std::fs::remove_file(folder.join(format!("{name}.sha256"))).unwrap();
    let broken = node.look(&format!("/backup/{name}"));
    assert!(broken["faults"][0].as_str().unwrap().contains("chain"), "{broken}");
}

#[test]
fn a_restored_backup_is_the_state_of_its_moment_and_what_it_replaced_is_kept() {
    let mut node = Node::start("backup-restore");
    node.furnish();
    pay(&node, 1);
    let at_backup = node.look("/account/customer");
    let made = node.ok("POST", "/backup", &json!({"name": "good.db"}));
    let file = node.home.join("state/backup/good.db");
    pay(&node, 2);
    let at_last = node.look("/account/customer");

    let refused = restore(&node, &file);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("stop tollgate-control"), "{said}");
    assert_eq!(node.look("/account/customer"), at_last);

    node.kill();
    let broken = node.home.join("broken.db");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    let refused = restore(&node, &broken);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("nothing was changed"), "{said}");
    node.run();
    assert_eq!(node.look("/account/customer"), at_last);

    node.kill();
    let done = restore(&node, &file);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    node.run();
    assert_eq!(node.look("/account/customer"), at_backup);
    let audit = node.look("/ledger/audit");
    assert_eq!((&audit["agrees"], &audit["entries"]), (&json!(true), &made["entries"]), "{audit}");
    // It goes on from there, and a request of after the backup is a new one.
    assert_eq!(pay(&node, 2)["repeated"], false);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let kept = std::fs::read_dir(node.home.join("state")).unwrap().flatten();
    let kept = kept
        .map(|entry| entry.path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("before-restore-"));
    let kept = kept.unwrap();
    assert!(said.contains(kept.to_str().unwrap()), "{said}");
    let old = Connection::open(kept.join("tollgate.db")).unwrap();
    let entries: i64 = old.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, 3);
}
