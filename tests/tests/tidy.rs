//! The house rules that a machine can check, each failure with file, line and the mend.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom (`docs/architecture.md`, "Who imports whom"). `tests`, `fuzz` and `benches`
/// may import anything, and nothing imports them.
const IMPORTS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("sip", &[]),
    ("numbers", &[]),
    ("link", &[]),
    ("shm", &[]),
    ("config", &[]),
    ("srtp", &[]),
    ("codec", &["wire"]),
    ("relay", &["codec", "srtp", "wire"]),
    ("recording", &["wire"]),
    ("guard", &[]),
    ("rating", &["numbers"]),
    ("routing", &["numbers", "rating"]),
    ("b2bua", &["sip", "relay", "srtp", "link"]),
    ("xdp-prog", &[]),
    (
        "dataplane",
        &[
            "wire",
            "sip",
            "relay",
            "codec",
            "recording",
            "b2bua",
            "link",
            "shm",
            "config",
            "xdp-prog",
        ],
    ),
    (
        "control",
        &["sip", "numbers", "guard", "routing", "rating", "link", "shm", "config", "xdp-prog"],
    ),
    ("capture", &["wire"]),
    ("replay", &["capture", "dataplane", "xdp-prog"]),
    ("cli", &[]),
];

/// A file of such a name has no one job.
const BANNED_FILES: &[&str] = &["util", "utils", "common", "helpers", "misc", "manager", "types"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace exists")
}

/// Every file below `directory` with one of these endings, build products aside.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a readable directory").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let is_ours = !["target", "node_modules"].contains(&name.as_str());
                if !name.starts_with('.') && is_ours {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All faults at once: a newcomer mends a list, not one line at a time.
#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn nobody_imports_what_the_table_does_not_allow() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let table: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    let ours: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if matches!(name, "tests" | "fuzz" | "benches") {
            continue;
        }
        let Some(allowed) = table.get(name) else {
            faults.push(format!("{name}: not in the import table; add it here and in the docs"));
            continue;
        };
        for dependency in &package.dependencies {
            let kind = dependency.kind;
            let wanted = dependency.name.as_str();
            if kind == cargo_metadata::DependencyKind::Normal
                && ours.contains(wanted)
                && !allowed.contains(&wanted)
            {
                faults.push(format!("{name} imports {wanted}, which the table does not allow"));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_dependency_is_named_in_the_root_with_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest");
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("a [workspace.dependencies] section");
    let faults: Vec<String> = section
        .lines()
        .filter(|line| line.contains('=') && !line.contains("path = "))
        .filter(|line| !line.contains(" # "))
        .map(|line| format!("Cargo.toml: `{line}` has no reason; add `# why` behind it"))
        .collect();
    none(&faults);
    let mut faults = Vec::new();
    for path in files(&root(), &["Cargo.toml"]) {
        if path == root().join("Cargo.toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable manifest");
        let mut in_dependencies = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                faults.push(format!(
                    "{}:{}: name it in the root manifest and say `workspace = true`",
                    shown(&path),
                    number + 1
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_file_says_its_job_in_its_head() {
    let faults: Vec<String> = files(&root(), &[".rs", ".c", ".h"])
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let first = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
            !(first.starts_with("//!")
                || first.starts_with("/* ")
                || first.starts_with("/*\n")
                || first == "/*"
                || first.starts_with("// SPDX"))
        })
        .map(|path| format!("{}: no head; say its one job in a first sentence", shown(&path)))
        .collect();
    none(&faults);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let faults: Vec<String> = files(&root(), &[".rs", ".c", ".h"])
        .into_iter()
        .filter(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            BANNED_FILES.contains(&stem.as_ref())
        })
        .map(|path| format!("{}: name it after its noun or its verb", shown(&path)))
        .collect();
    none(&faults);
}

#[test]
fn no_todo_stands_alone() {
    let mut faults = Vec::new();
    for path in files(&root(), &[".rs", ".c", ".h", ".md", ".toml"]) {
        if path.ends_with("tests/tests/tidy.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if ["TODO", "FIXME", "XXX:"].iter().any(|word| line.contains(word))
                && !line.contains("issue ")
            {
                faults.push(format!(
                    "{}:{}: do it, or name the issue that will",
                    shown(&path),
                    number + 1
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn unsafe_lives_only_where_the_design_allows_it() {
    const ALLOWED: &[&str] = &[
        "dataplane/src/nic/afxdp",
        "xdp-prog/src/loader.rs",
        "xdp-prog/tests/",
        "crates/shm/src",
        // SQLite calls the disk under it through C functions; the test that cuts the power stands in for it.
        "control/tests/power/",
    ];
    let mut faults = Vec::new();
    for path in files(&root(), &[".rs"]) {
        let name = shown(&path);
        if ALLOWED.iter().any(|allowed| name.starts_with(allowed)) || name.ends_with("tidy.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if line.contains("unsafe {")
                || line.contains("unsafe fn")
                || line.contains("unsafe impl")
            {
                faults.push(format!("{name}:{}: move it, or do without", number + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_library_forbids_unsafe() {
    let faults: Vec<String> = files(&root().join("crates"), &["src/lib.rs", "lib.rs"])
        .into_iter()
        .filter(|path| !path.ends_with("crates/shm/src/lib.rs"))
        .filter(|path| {
            !std::fs::read_to_string(path).unwrap_or_default().contains("#![forbid(unsafe_code)]")
        })
        .map(|path| format!("{}: add #![forbid(unsafe_code)]", shown(&path)))
        .collect();
    none(&faults);
}

#[test]
fn every_link_in_the_docs_leads_somewhere() {
    let mut faults = Vec::new();
    for path in files(&root(), &[".md"]) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let here = path.parent().expect("a file has a folder");
        for (number, line) in text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = target.split('#').next().unwrap_or_default();
                let outside = target.contains("://") || file.is_empty();
                if !outside && !here.join(file).exists() {
                    faults.push(format!(
                        "{}:{}: {target} does not exist",
                        shown(&path),
                        number + 1
                    ));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_file_named_in_the_journeys_exists() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2) {
            let is_file = [".rs", ".c", ".h"].iter().any(|ending| word.ends_with(ending));
            if is_file && word.contains('/') && !root().join(word).exists() {
                faults.push(format!("docs/architecture.md:{}: {word} is gone", number + 1));
            }
        }
    }
    none(&faults);
}
