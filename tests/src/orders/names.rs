// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests by name.

use vhost::vhost_user::message::{BackendReq, FrontendReq};

use super::Side;

/// Numbers beyond all that the protocol has.
const LAST: u32 = 64;

/// The name of the request `number` of this side; a number if it has none.
pub fn name(side: Side, number: u32) -> String {
    known(side, number).unwrap_or_else(|| number.to_string())
}

/// The number of the request that has this name.
pub(super) fn number(side: Side, name: &str) -> Option<u32> {
    let named = (0..=LAST).find(|number| known(side, *number).as_deref() == Some(name));
    named.or_else(|| name.parse().ok())
}

fn known(side: Side, number: u32) -> Option<String> {
    match side {
        Side::FrontEnd => FrontendReq::try_from(number).ok().map(|name| format!("{name:?}")),
        Side::BackEnd => BackendReq::try_from(number).ok().map(|name| format!("{name:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_found_by_its_name_and_by_its_number() {
        assert_eq!(name(Side::FrontEnd, 37), "ADD_MEM_REG");
        assert_eq!(number(Side::FrontEnd, "ADD_MEM_REG"), Some(37));
        assert_eq!(number(Side::BackEnd, "CONFIG_CHANGE_MSG"), Some(2));
        assert_eq!(name(Side::FrontEnd, 999), "999");
        assert_eq!(number(Side::FrontEnd, "999"), Some(999));
        assert_eq!(number(Side::FrontEnd, "NOTHING"), None);
    }
}
