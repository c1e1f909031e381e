//! `tollgate doctor`: what this machine has, and what to do about what it lacks.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Context, Failure};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let mut checks = vec![
        check("bpf file system", Path::new("/sys/fs/bpf").is_dir(), "mount -t bpf bpf /sys/fs/bpf"),
        check(
            "kernel types (BTF)",
            Path::new("/sys/kernel/btf/vmlinux").exists(),
            "use a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's",
        ),
        check(
            "JIT of the driver program",
            read("/proc/sys/net/core/bpf_jit_enable") != "0",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        check("shared memory", Path::new("/dev/shm").is_dir(), "mount -t tmpfs tmpfs /dev/shm"),
    ];
    match context.client.get("/status") {
        Ok(status) => {
            let holds = |name: &str| status.get(name) == Some(&Value::Bool(true));
            checks.push(check("control", true, ""));
            checks.push(check(
                "dataplane",
                holds("dataplane"),
                "start tollgate-dataplane; see its log",
            ));
            checks.push(check("store", holds("store"), "tollgate alarm list"));
            checks.push(check(
                "driver guard",
                holds("guard"),
                "dataplane.nic = \"afxdp\" loads it",
            ));
        }
        Err(error) => checks.push(check("control", false, &error.to_string())),
    }
    context.show(&Value::from(checks), &["check", "ok", "mend"])
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn check(name: &str, ok: bool, mend: &str) -> Value {
    json!({ "check": name, "ok": ok, "mend": if ok { "" } else { mend } })
}
