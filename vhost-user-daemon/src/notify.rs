// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the service manager hears from us, if there is one (sd_notify(3)).

use sd_notify::NotifyState;

/// Front ends can connect: READY=1.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// The end has begun: STOPPING=1.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// A service manager that cannot be told will do what it does about services that say nothing; we
/// serve on.
fn tell(state: NotifyState<'_>) {
    let text = state.to_string();
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("tell the service manager {text}: {error}");
    }
}
