//! `tollgate doctor`: what this machine has, and what to do about what it lacks.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Context, Failure};

/// The oldest Linux that the driver's program is written for: Debian 12's.
const KERNEL_MIN: (u32, u32) = (6, 1);

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let release = read("/proc/sys/kernel/osrelease");
    let mut checks = vec![
        check(
            "kernel 6.1 or later",
            kernel_of(&release).is_some_and(|kernel| kernel >= KERNEL_MIN),
            &format!("this one is {release}; install a newer one"),
        ),
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

/// Version and patch level in a release like `6.1.0-50-amd64`.
fn kernel_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn check(name: &str, ok: bool, mend: &str) -> Value {
    json!({ "check": name, "ok": ok, "mend": if ok { "" } else { mend } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_age_is_read_from_its_release() {
        for (release, new_enough) in [
            ("5.10.0-28-amd64", false),
            ("6.0.12", false),
            ("6.1.0-50-amd64", true),
            ("6.18", true),
        ] {
            let kernel = kernel_of(release);
            assert_eq!(kernel.is_some_and(|it| it >= KERNEL_MIN), new_enough, "{release}");
        }
        assert_eq!(kernel_of(""), None);
        assert_eq!(kernel_of("six"), None);
    }
}
