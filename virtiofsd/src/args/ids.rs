// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Users and groups.

/// Users and groups.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Users and groups")]
pub struct IdArgs {
    /// Have these users in the user namespace of --sandbox namespace, where newuidmap lets us: COUNT
    /// users, from INSIDE on in there, from OUTSIDE on of the host; not for root. Can be repeated.
    #[arg(long, value_name = ":INSIDE:OUTSIDE:COUNT:")]
    pub uid_map: Vec<String>,

    /// The same for groups, where newgidmap lets us.
    #[arg(long, value_name = ":INSIDE:OUTSIDE:COUNT:")]
    pub gid_map: Vec<String>,

    /// Translate users between guest and host: `map:G:H:N`, N users from G on of the guest are those
    /// from H on of the host; `guest:G:H:N` and `host:H:G:N`, one way only; `squash-guest:G:H:N` and
    /// `squash-host:H:G:N`, all become one; `forbid-guest:G:N`, none may be used. Can be repeated.
    #[arg(long, value_name = "RULE")]
    pub translate_uid: Vec<String>,

    /// The same for groups.
    #[arg(long, value_name = "RULE")]
    pub translate_gid: Vec<String>,
}
