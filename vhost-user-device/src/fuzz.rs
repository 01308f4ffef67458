// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Ways in for the fuzz targets, which want to see more than a device does. Only their builds have
//! them.

pub use crate::ring::fuzz as ring;
pub use crate::session::message_fuzz as message;
