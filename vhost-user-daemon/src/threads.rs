// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How the threads of the queues behave: what was typed about it.

use std::time::Duration;

use vhost_user_device::{NoCpu, Threads};

/// The longest time that threads may be told to look for requests, in microseconds.
const LONGEST_POLL: u32 = 1000;

/// How many CPUs the kernel is told of at once.
const MOST_CPUS: usize = 8192;

/// An option about threads makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ThreadsError {
    #[error("--poll-us {0}: more than {LONGEST_POLL}")]
    Poll(u32),

    #[error("--cpus {0:?}: not a list of CPUs such as 0-3,8")]
    Cpus(String),
}

/// The host has not got the CPUs that were typed.
#[derive(Debug, thiserror::Error)]
#[error("--cpus")]
pub(crate) struct CpusError(#[source] pub(crate) NoCpu);

/// Judges `--poll-us` and `--cpus`.
pub(crate) fn parse(poll_us: u32, cpus: Option<String>) -> Result<Threads, ThreadsError> {
    if poll_us > LONGEST_POLL {
        return Err(ThreadsError::Poll(poll_us));
    }
    let cpus = match cpus {
        Some(list) => parse_cpus(&list).ok_or(ThreadsError::Cpus(list))?,
        None => Vec::new(),
    };
    Ok(Threads { longest_poll: Duration::from_micros(poll_us.into()), cpus })
}

/// The numbers of a list such as `0-3,8`.
fn parse_cpus(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_cpu(first)?, parse_cpu(last)?);
        if first > last {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

fn parse_cpu(text: &str) -> Option<usize> {
    // Without a sign, which parsing alone would take.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|cpu| digits && *cpu < MOST_CPUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus_of(list: &str) -> Result<Vec<usize>, String> {
        let threads = parse(32, Some(list.to_owned()));
        threads.map(|threads| threads.cpus).map_err(|error| error.to_string())
    }

    #[test]
    fn cpus_are_those_of_the_list_in_its_order() {
        assert_eq!(cpus_of("3"), Ok(vec![3]));
        assert_eq!(cpus_of("8,0-2,1"), Ok(vec![8, 0, 1, 2, 1]));
        assert_eq!(cpus_of("8191"), Ok(vec![8191]));
    }

    #[test]
    fn list_of_cpus_that_is_none_is_refused() {
        for list in ["", ",", "1,", "a", "-1", "+1", "1-", "3-1", "0-8192", "1-2-3", " 1"] {
            let message = format!("--cpus {list:?}: not a list of CPUs such as 0-3,8");
            assert_eq!(cpus_of(list), Err(message));
        }
    }

    #[test]
    fn no_list_pins_nothing() {
        assert_eq!(parse(32, None).unwrap(), Threads::default());
    }

    #[test]
    fn poll_beyond_a_millisecond_is_refused() {
        assert_eq!(parse(1000, None).unwrap().longest_poll, Duration::from_millis(1));
        assert_eq!(parse(1001, None).unwrap_err().to_string(), "--poll-us 1001: more than 1000");
    }
}
