// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The units for systemd as its own tools judge them, and its way to start a daemon by a socket.

mod activation;
mod units;
