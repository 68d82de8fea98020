//! The walk through groups and repositories, on two threads.
//!
//! It descends only where tags can be. Symbolic links are followed as the registry follows them,
//! but each folder is entered once, so that links in a circle end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use ignore::{DirEntry, WalkBuilder, WalkState};

use super::names::oddity_of;
use super::tags::Tags;
use super::{NameOddity, RepositoryNames, TagListing, TagOddity, TagTree};
use crate::host::files::open::{is_missing, refusal};
use crate::host::files::walk::{Leash, real};
use crate::host::files::{Kind, Unread};
use crate::host::{Scope, Unknown};

/// As many as keep one disk busy; more would only take time from the programs that it serves.
const THREADS: usize = 2;

/// More links to folders than any storage has on purpose.
const MAX_LINKS: usize = 1000;

/// Walks below `top`, the folder of repositories.
pub(super) fn walk(scope: &Scope, top: &Utf8Path, leash: &Leash) -> Result<TagListing, Unknown> {
    let found = real(scope, top).and_then(|place| Ok((std::fs::metadata(&place)?, place)));
    let place = match found {
        Err(error) if is_missing(&error) => return Ok(TagListing::Missing),
        Err(error) => return Err(refusal(top, &error)),
        Ok((metadata, place)) => match Kind::from(&metadata) {
            Kind::Directory => place,
            other => return Ok(TagListing::NotADirectory(other)),
        },
    };
    let names = Some(RepositoryNames::default());
    let tree = Mutex::new(TagTree { names, ..TagTree::default() });
    let walk = Walk { scope, top, leash, tree, links: Mutex::default() };
    let mut entered = vec![place.clone()];
    walk.branch(Utf8Path::new(""), &place);
    for _ in 0..MAX_LINKS {
        // The smallest first, and each alone: which name a folder is found under does not depend
        // on the order of the walk.
        let Some(link) = walk.links().pop_first() else { break };
        if let Some(place) = walk.leads_elsewhere(&link, &entered) {
            walk.branch(&link, &place);
            entered.push(place);
        }
    }
    leash.hold()?;
    for link in std::mem::take(&mut *walk.links()) {
        let why = Unknown::Unreadable(format!("more than {MAX_LINKS} symbolic links to folders"));
        walk.unread(&link, why);
    }
    Ok(TagListing::Walked(walk.tree.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// One walk, shared by its threads.
struct Walk<'a> {
    scope: &'a Scope,
    top: &'a Utf8Path,
    leash: &'a Leash,
    tree: Mutex<TagTree>,
    /// Links in place of groups and repositories, relative to `top`, that are still to be followed.
    links: Mutex<BTreeSet<Utf8PathBuf>>,
}

impl Walk<'_> {
    /// Walks one folder that really lies at `place` and that the registry knows as `name`.
    fn branch(&self, name: &Utf8Path, place: &Path) {
        let mut builder = WalkBuilder::new(place);
        builder.standard_filters(false).follow_links(false).threads(THREADS);
        let layers = Arc::new(Mutex::new(TagTree::default()));
        builder.filter_entry({
            let (layers, name, place) = (Arc::clone(&layers), name.to_owned(), place.to_owned());
            move |entry| {
                let enters = entry.depth() == 0 || !holds_no_tags(entry);
                if !enters && entry.file_name() == "_layers" {
                    note_layers(&mut lock(&layers), &name_of(&name, &place, entry.path()), entry);
                }
                enters
            }
        });
        builder.build_parallel().run(|| {
            Box::new(|entry| {
                if self.leash.is_cut() {
                    return WalkState::Quit;
                }
                match entry {
                    Ok(entry) if entry.depth() == 0 => WalkState::Continue,
                    Ok(entry) => self.entry(&name_of(name, place, entry.path()), &entry),
                    Err(error) => {
                        self.refused(name, place, &error);
                        WalkState::Continue
                    }
                }
            })
        });
        lock(&self.tree).merge(std::mem::take(&mut *lock(&layers)));
    }

    fn entry(&self, name: &Utf8Path, entry: &DirEntry) -> WalkState {
        let Some(kind) = entry.file_type() else { return WalkState::Continue };
        let last = name.file_name().unwrap_or_default();
        match last {
            "_manifests" if kind.is_dir() => {
                self.repository(name, entry.path(), entry.path());
                return WalkState::Skip;
            }
            "_manifests" if kind.is_symlink() => match real(self.scope, &self.top.join(name)) {
                Ok(place) if place.is_dir() => self.repository(name, entry.path(), &place),
                Err(error) if !is_missing(&error) => {
                    self.unread(name, refusal(&self.top.join(name), &error));
                }
                _ => self.note(TagOddity::FileForFolder, name, None),
            },
            _ if is_hidden(name) => {}
            "_manifests" | "_layers" | "_uploads" if kind.is_file() => {
                self.note(TagOddity::FileForFolder, name, size_of(entry));
            }
            _ if kind.is_symlink() && !last.starts_with('_') => {
                self.links().insert(name.to_owned());
            }
            _ if kind.is_file() && is_name_part(last) && size_of(entry) == Some(0) => {
                self.note(TagOddity::Placeholder, name, Some(0));
            }
            _ => {}
        }
        WalkState::Continue
    }

    /// Counts the tags of one repository, whose `_manifests` stands at `entry` and really lies at
    /// `place`. What is below a folder that the registry does not look into has no tags.
    fn repository(&self, name: &Utf8Path, entry: &Path, place: &Path) {
        let repository = name.parent().map(Utf8Path::as_str).unwrap_or_default();
        let hidden = is_hidden(name);
        let mut tree = if hidden {
            TagTree::default()
        } else {
            let tags = Tags { scope: self.scope, top: self.top, leash: self.leash };
            tags.of(&name.join("tags"), &place.join("tags"))
        };
        let layers = std::fs::symlink_metadata(entry.with_file_name("_layers"));
        let lacks_layers = tree.tags > 0 && layers.is_err_and(|error| is_missing(&error));
        let lost = lacks_layers.then_some(NameOddity::NoLayers);
        tree.name(repository, oddity_of(repository).into_iter().chain(lost));
        lock(&self.tree).merge(tree);
    }

    /// Where a link leads, unless it is a file, leads back to where it lies, or to what was
    /// walked already.
    fn leads_elsewhere(&self, link: &Utf8Path, entered: &[PathBuf]) -> Option<PathBuf> {
        let path = self.top.join(link);
        let place = match real(self.scope, &path) {
            Ok(place) => place,
            Err(error) if is_missing(&error) => return None,
            Err(error) => {
                self.unread(link, refusal(&path, &error));
                return None;
            }
        };
        let home = real(self.scope, path.parent()?).ok()?;
        let known = entered.iter().any(|folder| place.starts_with(folder));
        (place.is_dir() && !known && !home.starts_with(&place)).then_some(place)
    }

    fn refused(&self, name: &Utf8Path, place: &Path, error: &ignore::Error) {
        let (path, io) = (path_of(error), error.io_error());
        // What was deleted since its folder was read is not missed.
        if io.is_some_and(is_missing) {
            return;
        }
        let name = path.map_or_else(|| name.to_owned(), |path| name_of(name, place, path));
        let why = match io {
            Some(io) => refusal(&self.top.join(&name), io),
            None => Unknown::Unreadable(error.to_string()),
        };
        self.unread(&name, why);
    }

    fn note(&self, oddity: TagOddity, name: &Utf8Path, size: Option<u64>) {
        lock(&self.tree).note(oddity, name.to_string(), size);
    }

    fn unread(&self, name: &Utf8Path, why: Unknown) {
        let path = self.top.join(name).into_string();
        lock(&self.tree).unread.add(Unread { path, why });
    }

    fn links(&self) -> std::sync::MutexGuard<'_, BTreeSet<Utf8PathBuf>> {
        lock(&self.links)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has layers is a repository for some versions of garbage collection, even without a
/// `_manifests` that would tell its name otherwise.
fn note_layers(tree: &mut TagTree, name: &Utf8Path, entry: &DirEntry) {
    let repository = name.parent().map(Utf8Path::as_str).unwrap_or_default();
    let odd = oddity_of(repository);
    if odd.is_some() {
        let manifests = std::fs::symlink_metadata(entry.path().with_file_name("_manifests"));
        if manifests.is_err_and(|error| is_missing(&error)) {
            tree.name(repository, odd);
        }
    }
}

/// `_layers` and `_uploads` hold most of the files, so they are not even opened.
fn holds_no_tags(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    is_folder && matches!(entry.file_name().as_encoded_bytes(), b"_layers" | b"_uploads")
}

/// Whether the registry never comes to what bears this name, because a folder on the way starts
/// with `_`.
fn is_hidden(name: &Utf8Path) -> bool {
    name.parent().is_some_and(|above| above.as_str().split('/').any(|part| part.starts_with('_')))
}

/// Whether a group or a repository could have this name.
fn is_name_part(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(plain)
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'))
}

fn size_of(entry: &DirEntry) -> Option<u64> {
    entry.metadata().ok().map(|metadata| metadata.len())
}

/// What the registry calls a path below `place`.
fn name_of(name: &Utf8Path, place: &Path, path: &Path) -> Utf8PathBuf {
    let below = path.strip_prefix(place).unwrap_or(path).to_string_lossy();
    if below.is_empty() { name.to_owned() } else { name.join(below.as_ref()) }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        _ => None,
    }
}
