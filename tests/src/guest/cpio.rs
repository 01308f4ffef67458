// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The archive that Linux unpacks as its initramfs: cpio in the format "newc"
//! (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).

use anyhow::{Context, Result};

/// File types and permissions of an entry, as in `st_mode`.
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const TERMINAL: u32 = 0o020_600;

/// An archive that grows by an entry at a time. Paths are relative to the root.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(super) fn directory(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY, (0, 0), &[])
    }

    pub(super) fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, PROGRAM, (0, 0), content)
    }

    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, FILE, (0, 0), content)
    }

    /// A character device with the number `(major, minor)`.
    pub(super) fn terminal(&mut self, path: &str, number: (u32, u32)) -> Result<()> {
        self.entry(path, TERMINAL, number, &[])
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len()).with_context(|| {
            format!("put {path} of {} bytes into a cpio archive", content.len())
        })?;
        let name_size = u32::try_from(path.len() + 1).context("measure a path")?;
        self.entries += 1;
        // The magic number; then inode, mode, owner, group, links, time, size, device number
        // (major, minor) of the file system and of the node, length of the name with its zero
        // byte, checksum (unused).
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// Header with name, and content, each end at a multiple of 4.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_with_a_file_has_the_bytes_of_newc() {
        let mut archive = Archive::default();
        archive.file("note", b"hello").unwrap();

        let bytes = archive.finish().unwrap();

        let header = "070701\
            00000001000081a40000000000000000000000010000000000000005\
            0000000000000000000000000000000000000005\
            00000000";
        assert_eq!(&bytes[..110], header.as_bytes());
        assert_eq!(&bytes[110..124], b"note\0\0hello\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn archive_that_is_finished_ends_with_the_trailer() {
        let bytes = Archive::default().finish().unwrap();

        assert_eq!(&bytes[110..], b"TRAILER!!!\0\0\0\0");
    }
}
