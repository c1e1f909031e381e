//! Compiles `bpf/tollgate.bpf.c` and writes its skeleton, from which `src/loader.rs` loads it.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use libbpf_cargo::SkeletonBuilder;

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Debian keeps asm/ under its multiarch directory, where a compiler for BPF does not look.
    let includes = format!("-I/usr/include/{}-linux-gnu", env::consts::ARCH);
    let built = SkeletonBuilder::new()
        .source("bpf/tollgate.bpf.c")
        // Kept, because a test compares the mirror in src/abi.rs with it.
        .obj(out.join("tollgate.bpf.o"))
        .clang_args(["-mcpu=v3", "-Wall", "-Wextra", "-Werror", &includes])
        .build_and_generate(out.join("tollgate.skel.rs"));
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The compiler's own words, instead of a debug print of them.
            eprintln!("{error:#}\nIs clang there? apt-get install clang libelf-dev zlib1g-dev");
            ExitCode::FAILURE
        }
    }
}
