//! `tollgate drain`

use clap::Subcommand;
use hyper::Method;

use super::Fields;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Refuse new calls and OPTIONS; running calls finish.
    Start,
    /// Take new calls again.
    Stop,
    /// Whether it drains, and how many calls are left.
    Status,
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let set = |draining: bool| {
        let body = Fields::default().set("draining", Some(draining)).body();
        context.send(Method::POST, "/drain", body)
    };
    match verb {
        Verb::Start => set(true),
        Verb::Stop => set(false),
        Verb::Status => context.list("/drain", &[]),
    }
}
