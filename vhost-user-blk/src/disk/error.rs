// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Why the host could not do what a disk was asked for.

use std::io;

/// Why an operation failed: the host's fault.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The host cannot read.
    #[error("read {len} bytes at offset {offset}")]
    Read {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot write.
    #[error("write {len} bytes at offset {offset}")]
    Write {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot forget.
    #[error("discard {len} bytes at offset {offset}")]
    Discard {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: u64,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot make zeroes.
    #[error("write {len} bytes of zeroes at offset {offset}")]
    WriteZeroes {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: u64,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot put what was written on stable storage.
    #[error("flush")]
    Flush {
        /// What the host says.
        source: io::Error,
    },
    /// An earlier flush failed. The host may have dropped what it could not write, and tells so
    /// only once: no later flush can promise anything.
    #[error("flush: an earlier one failed, what was written before may be lost")]
    Lost,
}

/// What a transfer came to: an error if it ended before `len` bytes, since then the disk ends
/// there.
pub fn whole(result: io::Result<usize>, offset: u64, len: usize) -> io::Result<()> {
    match result? {
        done if done >= len => Ok(()),
        done => {
            let end = offset.saturating_add(done as u64);
            let text = format!("the disk ends at offset {end}");
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_of_all_bytes_is_whole() {
        assert!(whole(Ok(512), 1 << 40, 512).is_ok());
        assert!(whole(Ok(0), 0, 0).is_ok());
    }

    #[test]
    fn transfer_that_ends_early_says_where() {
        let error = whole(Ok(1024), 512, 4096).unwrap_err();
        assert_eq!(error.to_string(), "the disk ends at offset 1536");
    }

    #[test]
    fn transfer_that_fails_says_what_the_host_says() {
        let error = whole(Err(io::Error::from_raw_os_error(libc::ENOSPC)), 0, 512).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    }
}
