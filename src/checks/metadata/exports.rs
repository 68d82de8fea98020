//! One data type's folder: does GitLab read what lies in it?

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::words::{DataType, FETCH, files, merge, volume};
use crate::checks::shell::word;
use crate::checks::{Finding, Severity, docs};
use crate::host::files::{ExportOddity, ExportTree, Levels, REGISTRIES, Sample};

/// How many paths a finding names.
const SHOWN: usize = 3;

/// The folder of one data type, as GitLab reads it.
pub(super) struct Exported<'a> {
    pub(super) data: DataType,
    pub(super) folder: &'a Utf8Path,
    pub(super) tree: &'a ExportTree,
}

impl Exported<'_> {
    /// What is wrong with it.
    pub(super) fn judge(&self) -> Vec<Finding> {
        // Folders that do not belong here are not entered: there may be files in them.
        if self.tree.files == 0 && self.tree.odd.is_empty() && self.reads_nothing() {
            return vec![self.empty()];
        }
        let mut findings = Vec::new();
        findings.extend(self.nested());
        findings.extend(self.outside_v2());
        findings.extend(self.misnamed());
        findings.extend(self.unknown_registries());
        findings.extend(self.too_deep());
        findings.extend(self.misplaced());
        findings.extend(self.compressed());
        findings.extend(self.other_endings());
        findings.extend(self.unfinished());
        if self.reads_nothing() && findings.iter().all(|it| it.severity < Severity::Error) {
            findings.push(self.nothing_to_read());
        }
        findings
    }

    /// What could not be looked at may well hold something.
    fn reads_nothing(&self) -> bool {
        self.tree.read_by_gitlab().files == 0 && self.tree.unread.count == 0
    }

    /// A part that is not read is bad; if nothing is read at all, users have no data.
    fn severity(&self) -> Severity {
        if self.reads_nothing() { Severity::Error } else { Severity::Warning }
    }

    fn finding(&self, severity: Severity, code: &'static str, message: String) -> Finding {
        Finding::new(severity, code, self.folder.as_str(), message).docs(docs::OFFLINE_METADATA)
    }

    /// A path below the folder, for a command.
    fn at(&self, path: &str) -> String {
        word(self.folder.join(path).as_str())
    }

    fn empty(&self) -> Finding {
        let name = self.data.name();
        let message = format!(
            "there is no file in it, and that the folder exists is enough to make GitLab look for \
             {name} here and nowhere else"
        );
        self.finding(Severity::Error, "empty-folder", message)
            .seen("GitLab reads", self.data.pattern())
            .remedy(FETCH, self.data.fetch(self.folder))
    }

    fn nothing_to_read(&self) -> Finding {
        let nothing = match self.first(ExportOddity::OtherFolder) {
            Some(folder) if self.tree.files == 0 => format!("GitLab does not look into {folder}/"),
            _ if self.tree.files == 1 => "GitLab does not read the one file in it".to_owned(),
            _ => format!("GitLab reads none of the {} in it", files(self.tree.files)),
        };
        let (code, message) = if self.tree.has_v2 {
            ("nothing-to-read", nothing)
        } else {
            ("no-v2", format!("there is no folder v2, and {nothing}"))
        };
        let mut finding =
            self.finding(Severity::Error, code, message).seen("GitLab reads", self.data.pattern());
        if self.tree.v1.files > 0 {
            let v1 = volume(self.tree.v1);
            finding = finding.seen("v1, unused since GitLab 16.3", v1);
        }
        if let Some(archive) = self.first(ExportOddity::Archive) {
            let archive = archive.to_owned();
            let command =
                format!("sudo tar -C {} -xf {}", word(self.folder.as_str()), self.at(&archive));
            return finding
                .seen("packed", &archive)
                .remedy("Unpack the archive, so that v2 lies in this folder.", [command]);
        }
        finding.remedy(FETCH, self.data.fetch(self.folder))
    }

    fn sample(&self, oddity: ExportOddity) -> Option<&Sample<String>> {
        self.tree.odd.get(&oddity)
    }

    fn first(&self, oddity: ExportOddity) -> Option<&str> {
        self.sample(oddity)?.first.first().map(String::as_str)
    }

    /// A copy of a folder inside the folder: `mv` and `rsync` without a slash do that.
    fn nested(&self) -> Option<Finding> {
        let is_copy =
            |name: &str| name.starts_with("package_metadata") || DataType::meant_by(name).is_some();
        let folders = &self.sample(ExportOddity::OtherFolder)?.first;
        let name = folders.iter().find(|name| is_copy(name))?;
        let message = format!(
            "a copy landed inside the folder as {name}/, where GitLab does not look: mv and rsync \
             put a folder into one that already exists"
        );
        let (from, to) = (self.at(&format!("{name}/v2")), self.at("v2"));
        let commands = if self.tree.has_v2 {
            merge(&from, &to).to_vec()
        } else {
            vec![format!("sudo mv -- {from} {to}")]
        };
        let finding = self.finding(self.severity(), "nested-copy", message);
        Some(finding.remedy("Move its v2 one level up.", commands))
    }

    /// Registry folders beside v2.
    fn outside_v2(&self) -> Option<Finding> {
        let sample = self.sample(ExportOddity::NoVersion)?;
        let names: Vec<_> = sample.first.iter().map(String::as_str).collect();
        let message = if self.tree.has_v2 {
            format!("{} lies beside v2, and GitLab reads only what is below v2", names.join(", "))
        } else {
            format!("there is no folder v2: {} lies where v2 belongs", names.join(", "))
        };
        let v2 = self.at("v2");
        let moves = names.iter().map(|name| {
            let inside = format!("v2/{}", registry_id(name).unwrap_or(name));
            format!("sudo mv -T -- {} {}", self.at(name), self.at(&inside))
        });
        let commands: Vec<_> = [format!("sudo mkdir -p {v2}")].into_iter().chain(moves).collect();
        let code = if self.tree.has_v2 { "outside-v2" } else { "no-v2" };
        let finding = self.finding(self.severity(), code, message);
        Some(finding.seen("GitLab reads", self.data.pattern()).remedy("Move it into v2.", commands))
    }

    /// Folders named by package type or spelt otherwise than GitLab spells the registry.
    fn misnamed(&self) -> Vec<Finding> {
        let misnamed = self.tree.unknown.iter().filter_map(|(name, chunks)| {
            Some((name, registry_id(name)?, chunks)).filter(|_| chunks.volume.files > 0)
        });
        misnamed
            .map(|(name, id, chunks)| {
                let present = self.tree.registries.contains_key(id);
                let severity = if present { Severity::Warning } else { Severity::Error };
                let message = format!(
                    "v2/{name} is read by nobody: GitLab's folder for {name} packages is v2/{id}"
                );
                let (from, to) = (self.at(&format!("v2/{name}")), self.at(&format!("v2/{id}")));
                let commands = if present {
                    merge(&from, &to).to_vec()
                } else {
                    vec![format!("sudo mv -T -- {from} {to}")]
                };
                self.finding(severity, "package-type-folder", message)
                    .seen(format!("in v2/{name}"), volume(chunks.volume))
                    .remedy("Give the folder the registry's name.", commands)
            })
            .collect()
    }

    fn unknown_registries(&self) -> Option<Finding> {
        let unknown = self
            .tree
            .unknown
            .iter()
            .filter(|(name, chunks)| chunks.volume.files > 0 && registry_id(name).is_none());
        let found: Vec<_> = unknown.collect();
        let names: Vec<_> = found.iter().map(|(name, _)| format!("v2/{name}")).collect();
        let severity = if self.reads_nothing() { Severity::Error } else { Severity::Notice };
        let message =
            format!("no GitLab version known here reads {}", listed(&names, 5, names.len() as u64));
        (!names.is_empty()).then(|| {
            let known: Vec<_> = REGISTRIES.iter().map(|(id, _)| *id).collect();
            self.finding(severity, "unknown-registry", message)
                .seen("registry ids", known.join(", "))
                .remedy::<String>("See whether the folder's name is spelt right.", [])
        })
    }

    /// Files below the level of chunks: what the guide's `**` suggests.
    fn too_deep(&self) -> Option<Finding> {
        let sample = self.sample(ExportOddity::TooDeep)?;
        let (lie, they) = if sample.count == 1 { ("lies", "it is") } else { ("lie", "they are") };
        let message =
            format!("{} {lie} deeper than GitLab looks, so {they} never read", files(sample.count));
        let moves: BTreeSet<_> =
            sample.first.iter().filter_map(|path| self.upwards(path)).collect();
        let mut commands: Vec<_> = moves
            .iter()
            .take(SHOWN)
            .flat_map(|(from, to)| merge(&self.at(from), &self.at(to)))
            .collect();
        if commands.is_empty() || moves.len() > SHOWN {
            let depth = if self.data.levels() == Levels::ByRegistry { 5 } else { 4 };
            let folder = word(self.folder.as_str());
            commands
                .push(format!("sudo find -L {folder} -mindepth {depth} -name '*.ndjson' -print"));
        }
        let finding = self.finding(self.severity(), "too-deep", message);
        Some(shown(finding, sample).seen("GitLab reads", self.data.pattern()).remedy(
            "Copy the sequences up, to where GitLab reads them, and move the old folders away.",
            commands,
        ))
    }

    /// Where a file that lies too deep came from and belongs to, if its path tells.
    fn upwards(&self, path: &str) -> Option<(String, String)> {
        let parts: Vec<_> = path.split('/').collect();
        let [above @ .., sequence, _] = &parts[..] else { return None };
        if sequence.is_empty() || !sequence.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let from = above.join("/");
        let to = match self.data.levels() {
            Levels::Flat => "v2".to_owned(),
            Levels::ByRegistry => {
                let named = [above.last(), above.get(1)].into_iter().flatten();
                let id = named.copied().find(|name| REGISTRIES.iter().any(|(id, _)| id == name))?;
                format!("v2/{id}")
            }
        };
        (from != to).then_some((from, to))
    }

    /// Files whose place or name GitLab cannot take for a chunk.
    fn misplaced(&self) -> Vec<Finding> {
        let kinds = [
            (ExportOddity::TooShallow, "too-shallow", "above the level where GitLab reads"),
            (ExportOddity::NotASequence, "not-a-sequence", "in a folder whose name is no number"),
            (ExportOddity::NotAChunk, "not-a-chunk", "under a name that is no number"),
        ];
        let found = kinds.into_iter().filter_map(|(oddity, code, place)| {
            let sample = self.sample(oddity)?;
            let lie = if sample.count == 1 { "lies" } else { "lie" };
            let message = format!("{} {lie} {place}", files(sample.count));
            let finding = self.finding(self.severity(), code, message);
            let finding = shown(finding, sample).seen("GitLab reads", self.data.pattern());
            Some(finding.remedy(
                format!("{FETCH} The names of the bucket have to stay as they are."),
                self.data.fetch(self.folder),
            ))
        });
        found.collect()
    }

    fn compressed(&self) -> Option<Finding> {
        let sample = self.sample(ExportOddity::Compressed)?;
        let are = if sample.count == 1 { "is" } else { "are" };
        let message = format!(
            "{} {are} still compressed, and GitLab reads only names that end in .ndjson",
            files(sample.count)
        );
        let command =
            format!("sudo find -L {} -name '*.ndjson.gz' -exec gunzip -- {{}} +", self.at("v2"));
        let finding = self.finding(self.severity(), "compressed", message);
        Some(shown(finding, sample).remedy("Unpack them where they lie.", [command]))
    }

    /// Files that would be chunks but for their ending. What else lies among them, such as the
    /// listing of a bucket, is passed over by GitLab and by us.
    fn other_endings(&self) -> Option<Finding> {
        let sample = self.sample(ExportOddity::OtherEnding)?;
        let chunks = sample.first.iter().filter(|path| self.is_chunk_but_for_its_ending(path));
        let chunks: Vec<_> = chunks.cloned().collect();
        let first = chunks.first()?;
        let finding = self.finding(
            self.severity(),
            "other-ending",
            "chunks under another ending are read by nobody: GitLab reads only names that end in \
             .ndjson"
                .to_owned(),
        );
        let finding = finding.seen("such as", listed(&chunks, SHOWN, chunks.len() as u64));
        let is_old = |path: &String| path.ends_with(".csv");
        if chunks.iter().any(is_old) {
            return Some(finding.remedy(FETCH, self.data.fetch(self.folder)));
        }
        let stem = first.rsplit_once('.').map_or(first.as_str(), |(stem, _)| stem);
        let command =
            format!("sudo mv -n -- {} {}", self.at(first), self.at(&format!("{stem}.ndjson")));
        Some(finding.remedy(
            "See whether each line of them is a record; if so, give every one its ending back.",
            [command],
        ))
    }

    fn is_chunk_but_for_its_ending(&self, path: &str) -> bool {
        const ENDINGS: [&str; 5] = ["json", "jsonl", "ndjson", "txt", "csv"];
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let parts: Vec<_> = path.split('/').collect();
        let ((["v2", sequence, name], Levels::Flat)
        | (["v2", _, sequence, name], Levels::ByRegistry)) = (&parts[..], self.data.levels())
        else {
            return false;
        };
        let Some((stem, ending)) = name.split_once('.') else { return false };
        is_number(sequence)
            && is_number(stem)
            && ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
    }

    fn unfinished(&self) -> Option<Finding> {
        let sample = self.sample(ExportOddity::Unfinished)?;
        let message = format!(
            "a copy is still under way or was broken off: it left {} of its own",
            files(sample.count)
        );
        let command = format!(
            r"sudo find -L {} \( -name '*.gstmp' -o -name '.*.ndjson.*' \) -mmin +60 -print",
            self.at("v2")
        );
        let finding = self.finding(Severity::Notice, "unfinished-copy", message);
        Some(shown(finding, sample).remedy(
            "Run the copy again, and remove what is older than an hour afterwards.",
            [command],
        ))
    }
}

fn shown(finding: Finding, sample: &Sample<String>) -> Finding {
    let paths: Vec<_> = sample.first.iter().cloned().collect();
    finding.seen("such as", listed(&paths, SHOWN, sample.count))
}

/// The registry id that a folder's name was meant to be, where that is another.
pub(super) fn registry_id(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    let fits = |(id, purl): &&(&'static str, &str)| lower == *id || lower == *purl;
    REGISTRIES.iter().find(fits).map(|(id, _)| *id).filter(|id| *id != name)
}

/// The first names, and how many there are besides.
fn listed(names: &[String], shown: usize, count: u64) -> String {
    let first = names.iter().take(shown).cloned().collect::<Vec<_>>();
    let more = count.saturating_sub(first.len() as u64);
    let first = first.join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::{Chunks, Unread, Volume};

    const FOLDER: &str = "/rails/vendor/package_metadata/licenses";

    fn chunks(files: u64) -> Chunks {
        Chunks { sequences: 1, oldest: 1, newest: 1, volume: Volume { files, bytes: 9 } }
    }

    fn sample(paths: &[&str]) -> Sample<String> {
        let first = paths.iter().map(|path| (*path).to_owned()).collect();
        Sample { count: paths.len() as u64, first }
    }

    fn healthy() -> ExportTree {
        ExportTree {
            has_v2: true,
            files: 3,
            registries: [("maven".to_owned(), chunks(3))].into(),
            ..ExportTree::default()
        }
    }

    fn odd(oddity: ExportOddity, paths: &[&str]) -> ExportTree {
        ExportTree { odd: [(oddity, sample(paths))].into(), ..healthy() }
    }

    fn judge(data: DataType, tree: &ExportTree) -> Vec<Finding> {
        Exported { data, folder: FOLDER.into(), tree }.judge()
    }

    fn only(tree: &ExportTree) -> Finding {
        let [finding] = <[Finding; 1]>::try_from(judge(DataType::Licenses, tree)).unwrap();
        finding
    }

    #[test]
    fn what_gitlab_reads_is_no_finding() {
        assert_eq!(judge(DataType::Licenses, &healthy()), []);
        let beside = odd(ExportOddity::OtherFolder, &["lost+found"]);
        assert_eq!(judge(DataType::Licenses, &beside), []);
        let kept = odd(ExportOddity::Archive, &["v2.tar.gz"]);
        assert_eq!(judge(DataType::Licenses, &kept), []);
    }

    #[test]
    fn an_empty_folder_is_an_error_for_every_data_type() {
        for data in DataType::ALL {
            let findings = judge(data, &ExportTree { has_v2: true, ..ExportTree::default() });
            assert_eq!((findings[0].severity, findings[0].code), (Severity::Error, "empty-folder"));
            assert!(findings[0].remedy.commands[0].contains(data.bucket()));
        }
    }

    #[test]
    fn what_could_not_be_seen_is_not_called_empty() {
        let why = crate::host::Unknown::Denied("no".to_owned());
        let unread = Unread { path: FOLDER.to_owned(), why };
        let unread = Sample { count: 1, first: [unread].into() };
        let mut tree = ExportTree { has_v2: true, unread, ..ExportTree::default() };
        assert_eq!(judge(DataType::Licenses, &tree), []);
        tree.files = 1;
        assert_eq!(judge(DataType::Licenses, &tree), []);
    }

    #[test]
    fn folders_that_are_not_entered_are_not_called_empty() {
        let tree = |oddity, name: &str| {
            let sample = Sample { count: 1, first: [name.to_owned()].into() };
            ExportTree { odd: [(oddity, sample)].into(), ..ExportTree::default() }
        };
        let found = only(&tree(ExportOddity::NoVersion, "maven"));
        assert_eq!((found.severity, found.code), (Severity::Error, "no-v2"));
        assert!(found.message.contains("maven lies where v2 belongs"), "{}", found.message);
        let found = only(&tree(ExportOddity::OtherFolder, "old"));
        assert_eq!(found.message, "there is no folder v2, and GitLab does not look into old/");
    }

    #[test]
    fn v1_alone_is_nothing_to_read() {
        let v1 = Volume { files: 4, bytes: 2048 };
        let found = only(&ExportTree { files: 4, v1, ..ExportTree::default() });
        assert_eq!(found.code, "no-v2");
        assert_eq!(found.evidence[1].value, "4 files, 2.0 KiB");
    }

    #[test]
    fn an_archive_is_to_be_unpacked() {
        let odd = [(ExportOddity::Archive, sample(&["v2.tar.gz"]))].into();
        let found = only(&ExportTree { files: 1, odd, ..ExportTree::default() });
        assert_eq!(found.remedy.commands, [format!("sudo tar -C {FOLDER} -xf {FOLDER}/v2.tar.gz")]);
    }

    #[test]
    fn package_types_are_told_the_registry() {
        let mut tree = healthy();
        tree.unknown = [("gem".to_owned(), chunks(2)), ("composer".to_owned(), chunks(0))].into();
        let found = only(&tree);
        assert_eq!((found.severity, found.code), (Severity::Error, "package-type-folder"));
        assert_eq!(
            found.remedy.commands,
            [format!("sudo mv -T -- {FOLDER}/v2/gem {FOLDER}/v2/rubygem")]
        );
        tree.registries.insert("rubygem".to_owned(), chunks(1));
        let found = only(&tree);
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.remedy.commands[0].starts_with("sudo cp -an "), "{:?}", found.remedy);
        for (wrong, right) in [("golang", "go"), ("composer", "packagist"), ("Maven", "maven")] {
            assert_eq!(registry_id(wrong), Some(right));
        }
        assert_eq!(registry_id("cbl_mariner"), Some("cbl-mariner"));
        assert_eq!(registry_id("maven"), None);
        assert_eq!(registry_id("hackage"), None);
    }

    #[test]
    fn an_unknown_registry_is_a_notice() {
        let unknown = [("hackage".to_owned(), chunks(2))].into();
        let found = only(&ExportTree { unknown, ..healthy() });
        assert_eq!((found.severity, found.code), (Severity::Notice, "unknown-registry"));
    }

    #[test]
    fn deep_files_are_moved_to_their_registry() {
        let found = only(&odd(ExportOddity::TooDeep, &["v2/maven/full/1700000000/0.ndjson"]));
        assert_eq!((found.severity, found.code), (Severity::Warning, "too-deep"));
        let command = merge(&format!("{FOLDER}/v2/maven/full"), &format!("{FOLDER}/v2/maven"));
        assert_eq!(found.remedy.commands, command);
        let found = only(&odd(ExportOddity::TooDeep, &["v2/v2/npm/1/0.ndjson"]));
        assert_eq!(
            found.remedy.commands,
            merge(&format!("{FOLDER}/v2/v2/npm"), &format!("{FOLDER}/v2/npm"))
        );
        let found = only(&odd(ExportOddity::TooDeep, &["v2/maven/1/sub/0.ndjson"]));
        assert!(found.remedy.commands[0].starts_with("sudo find "), "{:?}", found.remedy);
    }

    #[test]
    fn if_nothing_is_read_it_is_an_error() {
        let tree = odd(ExportOddity::TooDeep, &["v2/maven/full/1/0.ndjson"]);
        let tree = ExportTree { registries: [].into(), ..tree };
        assert_eq!(only(&tree).severity, Severity::Error);
    }

    #[test]
    fn every_other_oddity_is_told() {
        let cases = [
            (ExportOddity::TooShallow, "v2/maven/0.ndjson", "too-shallow", Severity::Warning),
            (
                ExportOddity::NotASequence,
                "v2/maven/x/0.ndjson",
                "not-a-sequence",
                Severity::Warning,
            ),
            (ExportOddity::NotAChunk, "v2/maven/1/x.ndjson", "not-a-chunk", Severity::Warning),
            (ExportOddity::Compressed, "v2/maven/1/0.ndjson.gz", "compressed", Severity::Warning),
            (
                ExportOddity::Unfinished,
                "v2/maven/1/0.ndjson_.gstmp",
                "unfinished-copy",
                Severity::Notice,
            ),
            (
                ExportOddity::OtherEnding,
                "v2/maven/1/00000001.json",
                "other-ending",
                Severity::Warning,
            ),
            (ExportOddity::OtherEnding, "v2/maven/1/0.NDJSON", "other-ending", Severity::Warning),
            (ExportOddity::NoVersion, "npm", "outside-v2", Severity::Warning),
            (ExportOddity::OtherFolder, "package_metadata_db", "nested-copy", Severity::Warning),
        ];
        for (oddity, path, code, severity) in cases {
            let found = only(&odd(oddity, &[path]));
            assert_eq!((found.code, found.severity), (code, severity));
            assert!(!found.remedy.commands.is_empty(), "{code}");
        }
    }

    #[test]
    fn other_endings_alone_leave_nothing_to_read() {
        let listing = ["v2/maven/1/listing.json", "v2/maven/1/0.ndjson.md5", "v2/maven/0.json"];
        let tree = odd(ExportOddity::OtherEnding, &listing);
        assert_eq!(judge(DataType::Licenses, &tree), []);
        let found = only(&ExportTree { registries: [].into(), ..tree });
        assert_eq!((found.severity, found.code), (Severity::Error, "nothing-to-read"));
    }
}
