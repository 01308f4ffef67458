// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Disks without a file, another front end's way to say what is served, and what drivers other than
//! Linux's ask for.

mod block_backend;
mod config_space;
mod memory;
mod null;
mod windows;
