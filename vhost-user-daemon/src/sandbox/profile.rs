// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which system calls a daemon makes once it serves.

/// What one daemon needs, beside what every daemon does.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The system calls that its device makes while it serves.
    pub system_calls: &'static [SystemCall],
}

/// A system call that is allowed, always or if at most two conditions hold; several for the same one add
/// up.
#[derive(Clone, Copy, Debug)]
pub struct SystemCall {
    pub(super) number: libc::c_long,
    pub(super) conditions: [Option<Condition>; 2],
    pub(super) why: &'static str,
}

/// What an argument has to be: `argument & mask == value`, of its lower 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) mask: u32,
    pub(super) value: u32,
}

impl SystemCall {
    /// The system call `number` (`libc::SYS_read`), with any arguments, and the reason for it.
    #[must_use]
    pub const fn new(number: libc::c_long, why: &'static str) -> Self {
        Self { number, conditions: [None; 2], why }
    }

    /// Only if the argument of index `argument`, from 0 to 5, has this value in its lower 32 bits.
    #[must_use]
    pub const fn where_is(self, argument: u8, value: u32) -> Self {
        self.with(Condition { argument, mask: u32::MAX, value })
    }

    /// Only if the argument of index `argument`, from 0 to 5, has none of these `bits`.
    #[must_use]
    pub const fn where_lacks(self, argument: u8, bits: u32) -> Self {
        self.with(Condition { argument, mask: bits, value: 0 })
    }

    const fn with(self, condition: Condition) -> Self {
        assert!(condition.argument < 6, "a system call has six arguments");
        let conditions = match self.conditions {
            [None, _] => [Some(condition), None],
            [first, None] => [first, Some(condition)],
            _ => panic!("two conditions are all that there is room for"),
        };
        Self { conditions, ..self }
    }
}
