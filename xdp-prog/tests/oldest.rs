//! What the verifier of the running kernel says; `scripts/oldest` asks that of the oldest one we claim.

mod guard;

use guard::{Guard, in_own_world, ip, plan};
use libbpf_rs::query::ProgInfoIter;
use xdp_prog::{Pricer, Reason};

/// Half of what the verifier reads at most, so that a step more is no surprise on another kernel.
const INSTRUCTIONS_MAX: u32 = 500_000;

#[test]
fn the_verifier_of_this_kernel_reads_every_program_with_room_to_spare() {
    in_own_world(|pins| {
        let plan = plan(pins);
        let guard = Guard::new(&plan);
        let _pricer = Pricer::open(&plan, &[ip("203.0.113.9")]).unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        println!("Linux {}", release.trim());
        for name in ["tollgate", "explain", "price_verdict", "price_frame"] {
            // Other guards may run on this machine; ours is the youngest.
            let programs = ProgInfoIter::default().filter(|program| program.name == *name);
            let program = programs.max_by_key(|program| program.id).expect("a loaded program");
            println!("{name}: {} instructions processed", program.verified_insns);
            assert!(program.verified_insns < INSTRUCTIONS_MAX, "{name}");
        }
        assert_eq!(guard.judge(&[0; 60]), Reason::PassNotIp);
    });
}
