//! A replay as a pcap file: every frame as it would be sent, with the time at which it would be.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use capture::{Schedule, file};

use crate::Failure;
use crate::args::Args;
use crate::sender::{FRAME_BYTES, Play};

/// Where its times begin: 2000-01-01, ns since 1970 UTC.
const BEGIN_NS: u64 = 946_684_800_000_000_000;

/// Writes at most `args.count` frames of at most `args.seconds`.
pub(crate) fn write(
    path: &Path,
    args: &Args,
    play: &Play,
    mut schedule: Schedule,
) -> Result<(), Failure> {
    let error = |error: std::io::Error| Failure::from(format!("{}: {error}", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(error)?);
    out.write_all(&file::head()).map_err(error)?;
    let mut room = [0; FRAME_BYTES];
    let (mut frames, mut too_long) = (0_u64, 0_u64);
    while let Some(due) = schedule.peek() {
        if frames >= args.count || due.at_ns >= args.seconds.saturating_mul(1_000_000_000) {
            break;
        }
        schedule.advance();
        let Ok(length) = play.capture.write(&play.clones, due.call, due.frame, &mut room) else {
            too_long += 1;
            continue;
        };
        let frame = room.get(..length).unwrap_or_default();
        out.write_all(&file::frame_head(BEGIN_NS + due.at_ns, length)).map_err(error)?;
        out.write_all(frame).map_err(error)?;
        frames += 1;
    }
    out.flush().map_err(error)?;
    eprintln!("{frames} frames written, {too_long} too long");
    Ok(())
}
