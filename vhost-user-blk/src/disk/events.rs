// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel says of itself about a block device: that it has changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys;

/// The longest message that the kernel sends, in bytes, and some more.
const LONGEST: usize = 8192;

/// A device's number: major and minor.
type Number = (u32, u32);

/// The kernel's word about one block device, or about the disk of which it is a partition.
#[derive(Debug)]
pub(super) struct Events {
    socket: File,
    devices: Vec<Number>,
}

impl Events {
    /// Begins to listen for what concerns the block device with this number.
    ///
    /// # Errors
    /// The system refuses the socket.
    pub(super) fn of(device: u64) -> io::Result<Self> {
        let number = (libc::major(device), libc::minor(device));
        let devices = [Some(number), whole(number)];
        Ok(Self { socket: sys::uevents()?, devices: devices.into_iter().flatten().collect() })
    }

    /// Readable when [`Events::take`] is worth a call.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads all that has been said, and returns whether some of it concerns the device.
    pub(super) fn take(&self) -> bool {
        let mut message = [0; LONGEST];
        let mut concerned = false;
        loop {
            match (&self.socket).read(&mut message) {
                Ok(len) => {
                    let message = message.get(..len).unwrap_or_default();
                    concerned |= device_of(message).is_some_and(|of| self.devices.contains(&of));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return concerned,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ENOBUFS: there was more than we were given room for.
                Err(_) => return true,
            }
        }
    }
}

/// The disk of which this device is a partition, if it is one.
fn whole((major, minor): Number) -> Option<Number> {
    let folder = format!("/sys/dev/block/{major}:{minor}");
    fs::metadata(format!("{folder}/partition")).ok()?;
    let text = fs::read_to_string(format!("{folder}/../dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The block device that a message is about, if it is about one: behind `ACTION@PATH` it is made of
/// `NAME=VALUE`, each with a zero at its end.
fn device_of(message: &[u8]) -> Option<Number> {
    let mut parts = message.split(|&byte| byte == 0);
    let value = |name: &str| {
        let mut fields = parts.clone().filter_map(|part| str::from_utf8(part).ok());
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let is_block = value("SUBSYSTEM") == Some("block");
    let number = (value("MAJOR")?.parse().ok()?, value("MINOR")?.parse().ok()?);
    parts.next()?;
    is_block.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_about_a_block_device_has_its_number() {
        let message = b"change@/devices/virtual/block/loop7\0ACTION=change\0\
            DEVPATH=/devices/virtual/block/loop7\0SUBSYSTEM=block\0RESIZE=1\0MAJOR=7\0MINOR=3\0\
            DEVNAME=loop7\0DEVTYPE=disk\0SEQNUM=1234\0";
        assert_eq!(device_of(message), Some((7, 3)));
    }

    #[test]
    fn messages_about_something_else_have_none() {
        let others: [&[u8]; 5] = [
            b"",
            b"change@/devices/virtual/net/eth0\0SUBSYSTEM=net\0IFINDEX=2\0",
            b"add@/devices/virtual/tty/tty9\0SUBSYSTEM=tty\0MAJOR=7\0MINOR=3\0",
            b"change@/devices/virtual/block/loop7\0SUBSYSTEM=block\0MAJOR=7\0",
            b"change@/x\0SUBSYSTEM=block\0MAJOR=\xff\0MINOR=-1\0",
        ];
        for message in others {
            assert_eq!(device_of(message), None, "{}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn name_that_only_begins_the_same_is_another_one() {
        let message = b"change@/x\0SUBSYSTEM=block\0MAJORITY=9\0MAJOR=7\0MINOR=3\0";
        assert_eq!(device_of(message), Some((7, 3)));
    }
}
