//! Opening files without being led astray: no look leaves the root folder, blocks on a pipe, wakes
//! a device, or reads without bound.

use std::fs::File as Handle;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;

use camino::Utf8Path;
use jiff::Timestamp;
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::{File, Kind};
use crate::host::{Machine, Scope, Unknown};
use crate::parse::Malformed;

pub(in crate::host) use super::locate::locate;
pub(in crate::host) use super::locate::{place, resolve};

/// Larger files are read one at a time, so that many of them do not fill the memory.
const LARGE: u64 = 4 << 20;

/// What opening found.
pub(in crate::host) enum Opened {
    Missing,
    NotAFile(Kind),
    File { handle: Handle, size: u64 },
}

impl Machine {
    /// Reads a whole file of at most `limit` bytes and hands it to `parse`.
    pub(crate) async fn read<T, F>(
        &self,
        path: &Utf8Path,
        limit: u64,
        parse: F,
    ) -> Result<File<T>, Unknown>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Result<T, Malformed> + Send + 'static,
    {
        let (scope, path, large) = (self.scope().clone(), path.to_owned(), self.large_files());
        self.off_thread(move || {
            let (handle, size) = match open(&scope, &path)? {
                Opened::Missing => return Ok(File::Missing),
                Opened::NotAFile(kind) => return Ok(File::NotAFile(kind)),
                Opened::File { handle, size } => (handle, size),
            };
            if size > limit {
                return Ok(File::TooLarge(size));
            }
            let _turn = (size > LARGE).then(|| large.lock());
            let mut content = Vec::new();
            // One byte more than allowed tells a file that grows while it is read.
            handle
                .take(limit + 1)
                .read_to_end(&mut content)
                .map_err(|error| refusal(&path, &error))?;
            if content.len() as u64 > limit {
                return Ok(File::TooLarge(content.len() as u64));
            }
            Ok(match parse(&content) {
                Ok(read) => File::Read(read),
                Err(malformed) => File::Malformed(malformed),
            })
        })
        .await
    }
}

/// Opens a file for reading; pipes, sockets and devices are recognised and left alone.
pub(in crate::host) fn open(scope: &Scope, path: &Utf8Path) -> Result<Opened, Unknown> {
    let found = locate(scope, path).and_then(|found| {
        let metadata = found.metadata()?;
        match Kind::from(&metadata) {
            Kind::File => Ok(Opened::File { handle: readable(&found)?, size: metadata.len() }),
            other => Ok(Opened::NotAFile(other)),
        }
    });
    match found {
        Err(error) if is_missing(&error) => Ok(Opened::Missing),
        Err(error) => Err(refusal(path, &error)),
        Ok(opened) => Ok(opened),
    }
}

/// The whole lines in the first `limit` bytes of a file; `None` where there is no file. What is not
/// UTF-8 is replaced.
pub(in crate::host) fn text(
    scope: &Scope,
    path: &Utf8Path,
    limit: u64,
) -> Result<Option<String>, Unknown> {
    let Opened::File { handle, .. } = open(scope, path)? else { return Ok(None) };
    let mut content = Vec::new();
    handle.take(limit).read_to_end(&mut content).map_err(|error| refusal(path, &error))?;
    if content.len() as u64 == limit {
        // The last line may be cut in the middle of a number.
        let end = content.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        content.truncate(end);
    }
    Ok(Some(String::from_utf8_lossy(&content).into_owned()))
}

/// When a file's content was last changed, in whole seconds.
pub(in crate::host) fn modified(handle: &Handle) -> io::Result<Timestamp> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(Timestamp::new(handle.metadata()?.mtime(), 0).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// The very thing that was located, opened for reading. To open it by name once more would leave
/// somebody the time to put a device there.
fn readable(found: &Handle) -> io::Result<Handle> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let name = format!("/proc/self/fd/{}", found.as_raw_fd());
    match fs::open(name, flags, Mode::empty()) {
        // The handle is there, so it is /proc that is not.
        Err(Errno::NOENT | Errno::NOTDIR) => {
            Err(io::Error::other("cannot be opened: gldoctor needs /proc, and it is not mounted"))
        }
        opened => Ok(Handle::from(opened?)),
    }
}

/// A path is missing when any part of it is, or when no file could have such a name.
pub(in crate::host) fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::NotFound | E::NotADirectory | E::InvalidFilename)
}

/// What the system refused, and how to get the right.
pub(in crate::host) fn refusal(path: &Utf8Path, error: &io::Error) -> Unknown {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let uid = rustix::process::geteuid().as_raw();
            let cure = if uid == 0 {
                "a security module, a container or a network file system keeps even root out"
            } else {
                "run it with sudo"
            };
            Unknown::Denied(format!("{path}: permission denied for user id {uid} ({cure})"))
        }
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Unknown::Unreadable(format!("{path}: its symbolic links lead in a circle"))
        }
        _ if path.as_str().is_empty() => Unknown::Unreadable("an empty path names no file".into()),
        _ => Unknown::Unreadable(format!("{path}: {error}")),
    }
}

impl From<&std::fs::Metadata> for Kind {
    fn from(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        match () {
            () if kind.is_file() => Self::File,
            () if kind.is_dir() => Self::Directory,
            () if kind.is_symlink() => Self::Link,
            () if kind.is_fifo() => Self::Fifo,
            () if kind.is_socket() => Self::Socket,
            () => Self::Device,
        }
    }
}

impl From<fs::FileType> for Kind {
    fn from(kind: fs::FileType) -> Self {
        match kind {
            fs::FileType::RegularFile => Self::File,
            fs::FileType::Directory => Self::Directory,
            fs::FileType::Symlink => Self::Link,
            fs::FileType::Fifo => Self::Fifo,
            fs::FileType::Socket => Self::Socket,
            _ => Self::Device,
        }
    }
}
