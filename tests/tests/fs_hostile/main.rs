// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver that sends what no kernel would: it gets an error, nothing outside the shared folder is
//! touched, and the file system goes on.

mod escapes;
mod names;
mod requests;
mod scene;
mod special;
