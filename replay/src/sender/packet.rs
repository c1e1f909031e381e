//! Frames by an ordinary packet socket: slow, and everywhere.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

use capture::Due;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};

use super::{FRAME_BYTES, Play, Put, Sender};
use crate::Failure;

const BATCH: usize = 64;

pub(crate) struct PacketSender {
    socket: OwnedFd,
    frames: Vec<Vec<u8>>,
    used: usize,
}

/// The link address of an interface, as a packet socket binds to it.
pub(crate) fn link_of(interface: &str) -> Result<LinkAddr, Failure> {
    let found = nix::ifaddrs::getifaddrs()?
        .filter(|found| found.interface_name == interface)
        .find_map(|found| found.address.and_then(|address| address.as_link_addr().copied()));
    found.ok_or_else(|| {
        format!("no interface {interface} in this network namespace: see `ip link`").into()
    })
}

impl PacketSender {
    pub(crate) fn open(interface: &str) -> Result<Self, Failure> {
        let flags = SockFlag::SOCK_CLOEXEC;
        // Without a protocol it hears nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)
            .map_err(|errno| format!("a packet socket: {errno}; run as root"))?;
        bind(socket.as_raw_fd(), &link_of(interface)?)?;
        Ok(Self { socket, frames: vec![vec![0; FRAME_BYTES]; BATCH], used: 0 })
    }
}

impl Sender for PacketSender {
    fn name(&self) -> String {
        "a packet socket, through the kernel's stack".to_owned()
    }

    fn put(&mut self, play: &Play, due: Due) -> Result<Put, Failure> {
        let Some(room) = self.frames.get_mut(self.used) else { return Ok(Put::Full) };
        room.resize(FRAME_BYTES, 0);
        match play.capture.write(&play.clones, due.call, due.frame, room) {
            Ok(length) => {
                room.truncate(length);
                self.used += 1;
                Ok(Put::Taken(length))
            }
            Err(_) => Ok(Put::TooLong),
        }
    }

    fn flush(&mut self) -> Result<u64, Failure> {
        let frames = self.frames.get(..self.used).unwrap_or_default();
        let slices: Vec<[IoSlice<'_>; 1]> =
            frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let mut at = 0;
        while let Some(rest) = slices.get(at..).filter(|rest| !rest.is_empty()) {
            let mut headers = MultiHeaders::<LinkAddr>::preallocate(rest.len(), None);
            let nobody = vec![None; rest.len()];
            let sent = sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                rest.iter(),
                nobody.as_slice(),
                [],
                MsgFlags::empty(),
            );
            match sent {
                Ok(sent) => at += sent.count().max(1),
                // The queue of the interface is full for a moment.
                Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(format!("cannot send: {errno}").into()),
            }
        }
        let sent = self.used as u64;
        self.used = 0;
        Ok(sent)
    }

    fn batch(&self) -> usize {
        BATCH
    }
}
