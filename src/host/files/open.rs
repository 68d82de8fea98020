//! Opening files without being led astray: no look leaves the root folder, blocks on a pipe, or
//! reads without bound.

use std::collections::VecDeque;
use std::fs::File as Handle;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{self, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{File, Kind};
use crate::host::{Machine, Scope, Unknown};
use crate::parse::Malformed;

/// As many as the kernel follows before it says ELOOP.
const MAX_LINKS: usize = 40;

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
        let (scope, path) = (self.scope().clone(), path.to_owned());
        self.off_thread(move || {
            let (handle, size) = match open(&scope, &path)? {
                Opened::Missing => return Ok(File::Missing),
                Opened::NotAFile(kind) => return Ok(File::NotAFile(kind)),
                Opened::File { handle, size } => (handle, size),
            };
            if size > limit {
                return Ok(File::TooLarge(size));
            }
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
    let found = place(scope, path).and_then(|(base, rest)| {
        let full = base.join(&rest);
        let kind = Kind::from(&std::fs::metadata(&full)?);
        if kind != Kind::File {
            return Ok(Opened::NotAFile(kind));
        }
        let handle = open_beneath(scope, &base, &rest)?;
        // The name may lead elsewhere by now; the handle is what counts.
        let metadata = handle.metadata()?;
        match Kind::from(&metadata) {
            Kind::File => Ok(Opened::File { handle, size: metadata.len() }),
            other => Ok(Opened::NotAFile(other)),
        }
    });
    match found {
        Err(error) if is_missing(&error) => Ok(Opened::Missing),
        Err(error) => Err(refusal(path, &error)),
        Ok(opened) => Ok(opened),
    }
}

/// Opens without waiting for anyone, and under a root without following any link that has come
/// to stand there since the path was resolved.
fn open_beneath(scope: &Scope, base: &Utf8Path, rest: &Utf8Path) -> io::Result<Handle> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let full = base.join(rest);
    if scope.is_plain() {
        return Ok(Handle::from(fs::open(full.as_str(), flags, Mode::empty())?));
    }
    let folder = fs::open(base.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let guards = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match fs::openat2(&folder, rest.as_str(), flags, Mode::empty(), guards) {
        Ok(handle) => Ok(Handle::from(handle)),
        // Kernels before 5.6 and some sandboxes do not know openat2.
        Err(Errno::NOSYS | Errno::PERM) => {
            let handle = fs::openat(CWD, full.as_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
            Ok(Handle::from(handle))
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a path leads on this machine, as a trusted folder and a path below it.
pub(in crate::host) fn place(
    scope: &Scope,
    path: &Utf8Path,
) -> io::Result<(Utf8PathBuf, Utf8PathBuf)> {
    if scope.is_plain() {
        return Ok(("/".into(), path.strip_prefix("/").unwrap_or(path).to_owned()));
    }
    Ok(scope.place(&resolve(scope, path)?))
}

/// Follows symbolic links as the installation itself would: an absolute link starts again at its
/// root, and nothing climbs above it.
pub(in crate::host) fn resolve(scope: &Scope, path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let mut ahead: VecDeque<String> = parts(path).collect();
    let mut done = Utf8PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        if scope.leads_to_map(&next) {
            done = next;
            continue;
        }
        let (base, rest) = scope.place(&next);
        match std::fs::read_link(base.join(rest)) {
            Ok(target) => {
                links += 1;
                let target = Utf8PathBuf::try_from(target).map_err(io::Error::other)?;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    done = "/".into();
                }
                for part in parts(&target).rev() {
                    ahead.push_front(part);
                }
            }
            // EINVAL: there is something, and it is no link.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => done = next,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn parts(path: &Utf8Path) -> impl DoubleEndedIterator<Item = String> + use<'_> {
    path.as_str().split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned)
}

/// A path is missing when any part of it is.
pub(in crate::host) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What the system refused, and how to get the right.
pub(in crate::host) fn refusal(path: &Utf8Path, error: &io::Error) -> Unknown {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let uid = rustix::process::geteuid().as_raw();
            let cure = if uid == 0 { "a security module forbids it" } else { "run it with sudo" };
            Unknown::Denied(format!("{path}: permission denied for user id {uid} ({cure})"))
        }
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Unknown::Unreadable(format!("{path}: its symbolic links lead in a circle"))
        }
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
