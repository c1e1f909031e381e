//! `tollgate status`

use crate::{Context, Failure};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    context.list("/status", &[])
}
