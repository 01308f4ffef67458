// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The limits of the process that are raised before it opens anything.

use std::fs;
use std::io;

use crate::policy::OpenFiles;
use crate::sys::process;

/// Sets the limits on open descriptors and on locked memory.
///
/// # Errors
/// The limit that the operator insists on cannot be had.
pub(crate) fn set(open_files: OpenFiles) -> Result<(), LimitError> {
    let raised = match open_files {
        OpenFiles::AsManyAsAllowed => process::raise_descriptor_limit(),
        OpenFiles::Unchanged => Ok(()),
        OpenFiles::Exactly(number) => {
            process::set_descriptor_limit(number)
                .map_err(|source| LimitError { number, source })?;
            Ok(())
        }
        OpenFiles::UpTo(most) => up_to(most),
    };
    if let Err(error) = raised {
        log::debug!("raise the limit on open descriptors: {error}");
    }
    if let Err(error) = process::raise_locked_memory_limit() {
        log::debug!("raise the limit on locked memory: {error}");
    }
    Ok(())
}

fn up_to(most: u64) -> io::Result<()> {
    if process::descriptor_limit()? >= most {
        return Ok(());
    }
    let kernels = fs::read_to_string("/proc/sys/fs/nr_open");
    let kernels = kernels.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(most);
    // Beyond the hard limit is for the privileged.
    process::set_descriptor_limit(most.min(kernels)).or_else(|error| {
        log::debug!("set the limit on open descriptors to {most}: {error}");
        process::raise_descriptor_limit()
    })
}

/// The limit on open descriptors cannot be what it is to be.
#[derive(Debug, thiserror::Error)]
#[error("set the limit on open descriptors to {number}")]
pub(crate) struct LimitError {
    number: u64,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_beyond_what_there_can_be_is_refused_with_the_number() {
        let error = set(OpenFiles::Exactly(u64::MAX - 1)).unwrap_err();
        assert_eq!(error.to_string(), "set the limit on open descriptors to 18446744073709551614");
    }

    #[test]
    fn limit_that_is_to_be_lower_than_it_is_stays_with_up_to() {
        let before = process::descriptor_limit().unwrap();
        set(OpenFiles::UpTo(1)).unwrap();
        assert_eq!(process::descriptor_limit().unwrap(), before);
    }
}
