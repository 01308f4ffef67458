// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files that we make, remembered by directory and inode: they can be removed when their path
//! is out of reach, and are left alone if somebody has put another file in their place.

use std::ffi::CString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sys;
use crate::sys::file::Stat;

/// A name in a directory that is held open.
#[derive(Debug)]
pub(crate) struct Place {
    directory: File,
    name: CString,
    path: PathBuf,
}

impl Place {
    /// The place that `path` names.
    ///
    /// # Errors
    /// The directory cannot be opened, or the path has no last part.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let name = CString::new(name.as_bytes())?;
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(directory_of(path))?;
        Ok(Self { directory, name, path: path.to_owned() })
    }

    /// Has nothing above the directory from now on, for this process in its own mount namespace: what
    /// removes a file from it must not lead to others.
    ///
    /// # Errors
    /// Another directory is at the path by now, or the kernel refuses.
    pub(crate) fn detach(&mut self) -> io::Result<()> {
        let path = CString::new(directory_of(&self.path).as_os_str().as_bytes())?;
        let detached = sys::namespace::detached(&path)?;
        if Inode::of(&detached.metadata()?) != Inode::of(&self.directory.metadata()?) {
            return Err(io::Error::other("another directory was put in its place"));
        }
        self.directory = detached;
        Ok(())
    }

    /// As it was said.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, opened as a place only.
    pub(crate) fn directory(&self) -> &File {
        &self.directory
    }

    /// What is there now, or `None`.
    ///
    /// # Errors
    /// Those of fstatat(2), but for there being nothing.
    pub(crate) fn look(&self) -> io::Result<Option<Found>> {
        match sys::file::stat_at(self.directory.as_fd(), &self.name) {
            Ok(Stat { device, inode, mode }) => Ok(Some(Found {
                inode: Inode { device, number: inode },
                is_socket: mode & libc::S_IFMT == libc::S_IFSOCK,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file at this place, if it is still `inode`, opened as a place only: to be changed, and
    /// not to be read.
    ///
    /// # Errors
    /// It is another one, or there is none, or it cannot be opened.
    pub(crate) fn open(&self, inode: Inode) -> io::Result<File> {
        let file = sys::file::open_place_at(self.directory.as_fd(), &self.name)?;
        if Inode::of(&file.metadata()?) != inode {
            return Err(io::Error::other("another file was put in its place"));
        }
        Ok(file)
    }

    /// Removes the file at this place if it is `inode`; false says that another one is there.
    ///
    /// # Errors
    /// The place cannot be looked at, or the file not removed.
    pub(crate) fn remove(&self, inode: Inode) -> io::Result<bool> {
        match self.look()? {
            None => return Ok(true),
            Some(found) if found.inode != inode => return Ok(false),
            Some(_) => {}
        }
        match sys::file::unlink_at(self.directory.as_fd(), &self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            result => result.map(|()| true),
        }
    }
}

/// The directory that the last part of a path is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) inode: Inode,
    pub(crate) is_socket: bool,
}

/// Which file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }
}

/// A file that we made.
#[derive(Debug)]
pub(crate) struct Entry {
    place: Place,
    inode: Inode,
    held: Option<File>,
}

impl Entry {
    pub(crate) fn new(place: Place, inode: Inode) -> Self {
        Self { place, inode, held: None }
    }

    /// Where it is.
    pub(crate) fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    /// Keeps the file open: as long as it is, no other one can get its inode number, not even after
    /// somebody has removed it.
    pub(crate) fn hold(&mut self, file: File) {
        self.held = Some(file);
    }

    /// The file, opened as a place only; see [`Place::open`].
    ///
    /// # Errors
    /// It is no longer ours, or cannot be opened.
    pub(crate) fn open(&self) -> io::Result<File> {
        self.place.open(self.inode)
    }

    /// Removes the file if it is still ours. What cannot be removed stays, and the log says so:
    /// the process is about to end and has no better answer.
    pub(crate) fn remove(self) {
        let path = &self.place.path;
        match self.place.remove(self.inode) {
            Ok(true) => log::debug!("removed {path:?}"),
            Ok(false) => log::warn!("{path:?} is no longer the file that was made here; it stays"),
            Err(error) => log::warn!("remove {path:?}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry_at(path: &Path) -> Entry {
        fs::write(path, "ours").unwrap();
        let inode = Inode::of(&fs::metadata(path).unwrap());
        Entry::new(Place::of(path).unwrap(), inode)
    }

    #[test]
    fn entry_still_ours_is_removed() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("file");
        entry_at(&path).remove();
        assert!(!path.exists());
    }

    #[test]
    fn entry_in_a_directory_that_was_renamed_is_removed() {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir(room.path().join("old")).unwrap();
        let entry = entry_at(&room.path().join("old/file"));
        fs::rename(room.path().join("old"), room.path().join("new")).unwrap();
        entry.remove();
        assert!(!room.path().join("new/file").exists());
    }

    #[test]
    fn entry_replaced_by_another_file_stays() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("file");
        let entry = entry_at(&path);
        fs::write(room.path().join("other"), "theirs").unwrap();
        fs::rename(room.path().join("other"), &path).unwrap();
        entry.remove();
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[test]
    fn place_of_a_bare_name_is_in_the_current_directory() {
        let place = Place::of(Path::new("no-such-file-here")).unwrap();
        assert!(place.look().unwrap().is_none());
    }
}
