//! `tollgate status`

use crate::{Context, Failure};

pub fn run(context: &Context) -> Result<(), Failure> {
    context.list("/status", &[])
}
