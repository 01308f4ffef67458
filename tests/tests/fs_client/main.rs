// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A shared file system as its driver sees it: request by request, session by session.

mod basics;
mod open_files;
mod sessions;
mod slow;
mod submounts;
mod translated;
