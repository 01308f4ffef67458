// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the service manager hears from us, if there is one (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sd_notify::NotifyState;

/// A service manager that wants to hear of us, or nobody. It is connected to once, since later there
/// may be no way to it.
#[derive(Debug, Default)]
pub(crate) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// The one that the environment names: NOTIFY_SOCKET, a path, or an abstract address after `@`.
    pub(crate) fn of_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|address| {
            connect(&address)
                .inspect_err(|error| {
                    log::warn!("connect to the service manager at {address:?}: {error}");
                })
                .ok()
        });
        Self(socket)
    }

    /// Front ends can connect: READY=1.
    pub(crate) fn ready(&self) {
        self.tell(&NotifyState::Ready);
    }

    /// The end has begun: STOPPING=1.
    pub(crate) fn stopping(&self) {
        self.tell(&NotifyState::Stopping);
    }

    /// A service manager that cannot be told will do what it does about services that say nothing; we
    /// serve on.
    fn tell(&self, state: &NotifyState<'_>) {
        let text = format!("{state}\n");
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(text.as_bytes())
        {
            log::warn!("tell the service manager {state}: {error}");
        }
    }
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut word = [0; 64];
        let len = socket.recv(&mut word).unwrap();
        String::from_utf8(word[..len].to_vec()).unwrap()
    }

    #[test]
    fn manager_at_a_path_is_told() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Supervisor(Some(connect(path.as_os_str()).unwrap()));
        manager.ready();
        assert_eq!(heard(&socket), "READY=1\n");
    }

    #[test]
    fn manager_at_an_abstract_address_is_told() {
        let name = format!("vhost-user-daemon-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Supervisor(Some(connect(OsStr::new(&format!("@{name}"))).unwrap()));
        manager.stopping();
        assert_eq!(heard(&socket), "STOPPING=1\n");
    }
}
