//! Compiles `bpf/tollgate.bpf.c`, the benches' `bpf/flood.bpf.c` and the replays' `bpf/replay.bpf.c`, and writes
//! their skeletons, from which `src/loader.rs` loads them.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use libbpf_cargo::SkeletonBuilder;

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Debian keeps asm/ under its multiarch directory, where a compiler for BPF does not look.
    let includes = format!("-I/usr/include/{}-linux-gnu", env::consts::ARCH);
    let build = |name: &str| {
        SkeletonBuilder::new()
            .source(format!("bpf/{name}.bpf.c"))
            // Kept, because a test compares the mirror in src/abi.rs with the guard's.
            .obj(out.join(format!("{name}.bpf.o")))
            .clang_args(["-mcpu=v3", "-Wall", "-Wextra", "-Werror", &includes])
            .build_and_generate(out.join(format!("{name}.skel.rs")))
    };
    match build("tollgate").and_then(|()| build("flood")).and_then(|()| build("replay")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The compiler's own words, instead of a debug print of them.
            eprintln!("{error:#}\nIs clang there? apt-get install clang libelf-dev zlib1g-dev");
            ExitCode::FAILURE
        }
    }
}
