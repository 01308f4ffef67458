// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Bugs that are in us on purpose, for the fuzz targets to find. No build but theirs has them:
//! `cfg(fuzzing)` with the feature `planted-bug`. VHOST_USER_PLANTED_BUG in the environment says which
//! one it is.

/// A bug, and what is wrong with it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// `payload`: SET_CONFIG takes fewer bytes than it says.
    Payload,
    /// `piece`: a buffer may reach beyond its region.
    Piece,
    /// `sector`: where a write goes is read a second time, unchecked.
    Sector,
    /// `descriptor`: the descriptors of a refused message stay open.
    Descriptor,
    /// `stop`: a queue whose ring is broken never stops.
    Stop,
    /// `limit`: everything is logged as often as it happens.
    Limit,
    /// `source`: a WRITE may say that it has more data than there is.
    Source,
    /// `room`: an answer in a chain seems to have more room than there is.
    Room,
}

impl Planted {
    /// Whether it is in us.
    #[inline]
    pub fn is_here(self) -> bool {
        #[cfg(all(fuzzing, feature = "planted-bug"))]
        return chosen() == Some(self);
        #[cfg(not(all(fuzzing, feature = "planted-bug")))]
        false
    }
}

#[cfg(all(fuzzing, feature = "planted-bug"))]
fn chosen() -> Option<Planted> {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<Planted>> = LazyLock::new(|| {
        let name = std::env::var("VHOST_USER_PLANTED_BUG").ok()?;
        Some(match name.as_str() {
            "payload" => Planted::Payload,
            "piece" => Planted::Piece,
            "sector" => Planted::Sector,
            "descriptor" => Planted::Descriptor,
            "stop" => Planted::Stop,
            "limit" => Planted::Limit,
            "source" => Planted::Source,
            "room" => Planted::Room,
            _ => panic!("VHOST_USER_PLANTED_BUG={name}"),
        })
    });
    *CHOSEN
}
