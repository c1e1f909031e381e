//! The ways out: frames the kernel makes, an AF_XDP socket, a packet socket.

mod afxdp;
mod live;
mod packet;

use capture::{Capture, Clones, Due};

use crate::Failure;
use crate::args::By;

pub(crate) use live::Live;
pub(crate) use packet::link_of;

/// The longest frame that is written.
pub(crate) const FRAME_BYTES: usize = 2_040;

/// What is played.
pub(crate) struct Play {
    pub(crate) capture: Capture,
    pub(crate) clones: Clones,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It goes out with the next flush; so many bytes.
    Taken(usize),
    /// There is no room before the next flush.
    Full,
    /// It is too long for this way.
    TooLong,
}

/// A way out.
pub(crate) trait Sender: Send {
    /// What it is called in the report.
    fn name(&self) -> String;
    /// Takes a frame.
    fn put(&mut self, play: &Play, due: Due) -> Result<Put, Failure>;
    /// Sends what was taken; how many frames the kernel took.
    fn flush(&mut self) -> Result<u64, Failure>;
    /// Waits until the kernel has let go of what was sent.
    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    /// How many frames to take, at most, before the clock is asked again.
    fn batch(&self) -> usize;
    /// Whether a frame leaves when it is flushed, so that its delay can be told.
    fn is_prompt(&self) -> bool {
        true
    }
}

/// Any of them.
pub(crate) enum Way {
    Live(Box<Live>),
    Other(Box<dyn Sender>),
}

/// Opens the way that is wanted, or the best that works: then `notes` says what does not.
pub(crate) fn open(
    by: By,
    interface: &str,
    queue: u32,
    flat_out: bool,
    play: &Play,
    notes: &mut Vec<String>,
) -> Result<Way, Failure> {
    let live = || Live::open(interface, play).map(|live| Way::Live(Box::new(live)));
    let other = |sender| Way::Other(sender);
    match by {
        By::Live if !flat_out => {
            Err("frames that the kernel makes keep no pace: --by live goes with --flat-out".into())
        }
        By::Live => live(),
        By::Afxdp => Ok(other(Box::new(afxdp::AfXdpSender::open(interface, queue)?))),
        By::Packet => Ok(other(Box::new(packet::PacketSender::open(interface)?))),
        By::Auto => {
            if flat_out {
                match live() {
                    Ok(way) => return Ok(way),
                    Err(error) => notes.push(format!("no live frames here: {error}")),
                }
            }
            match afxdp::AfXdpSender::open(interface, queue) {
                Ok(sender) => return Ok(other(Box::new(sender))),
                Err(error) => notes.push(format!("no AF_XDP here: {error}")),
            }
            Ok(other(Box::new(packet::PacketSender::open(interface)?)))
        }
    }
}
