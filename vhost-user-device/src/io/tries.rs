// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How often a transfer is tried that the host has put off.

use std::io;

/// More often than any host puts a transfer off that it means to do. One that says so for ever has
/// to be believed some time, or the request would never end.
const MOST: u8 = 16;

/// The tries of one transfer.
#[derive(Debug, Default)]
pub(crate) struct Tries(u8);

impl Tries {
    /// Whether to try again after this error: EINTR or EAGAIN, and not too often already.
    pub(crate) fn again_after(&mut self, error: &io::Error) -> bool {
        let put_off = matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN));
        self.0 = self.0.saturating_add(1);
        put_off && self.0 < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_that_is_put_off_is_tried_a_number_of_times() {
        let mut tries = Tries::default();
        let error = io::Error::from_raw_os_error(libc::EAGAIN);
        let again = (0..1000).filter(|_| tries.again_after(&error)).count();
        assert_eq!(again, usize::from(MOST) - 1);
    }

    #[test]
    fn transfer_that_is_refused_is_not_tried_again() {
        for errno in [libc::EIO, libc::ENOSPC, libc::EFAULT, libc::EINVAL] {
            assert!(!Tries::default().again_after(&io::Error::from_raw_os_error(errno)));
        }
    }
}
