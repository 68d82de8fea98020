//! What the checks of package metadata have in common: the data types, and how sizes are told.

use camino::Utf8Path;

use crate::checks::shell::word;
use crate::host::files::{Levels, Volume};

/// What GitLab reads from a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DataType {
    Licenses,
    Advisories,
    CveEnrichment,
}

impl DataType {
    pub(super) const ALL: [Self; 3] = [Self::Licenses, Self::Advisories, Self::CveEnrichment];

    /// The folder's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Licenses => "licenses",
            Self::Advisories => "advisories",
            Self::CveEnrichment => "cve_enrichment",
        }
    }

    pub(super) fn levels(self) -> Levels {
        match self {
            Self::Licenses | Self::Advisories => Levels::ByRegistry,
            Self::CveEnrichment => Levels::Flat,
        }
    }

    /// Where GitLab looks below the folder.
    pub(super) fn pattern(self) -> &'static str {
        match self.levels() {
            Levels::ByRegistry => "v2/<registry id>/<sequence>/<chunk>.ndjson",
            Levels::Flat => "v2/<sequence>/<chunk>.ndjson",
        }
    }

    /// The public bucket that the exports come from.
    pub(super) fn bucket(self) -> &'static str {
        match self {
            Self::Licenses => "prod-export-license-bucket-1a6c642fc4de57d4",
            Self::Advisories => "prod-export-advisory-bucket-1a6c642fc4de57d4",
            Self::CveEnrichment => "prod-export-cve-enrichment-bucket-1a6c642fc4de57d4",
        }
    }

    /// The data type that a folder's name was meant to name.
    pub(super) fn meant_by(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let known = [
            ("licen", Self::Licenses),
            ("advisor", Self::Advisories),
            ("enrich", Self::CveEnrichment),
        ];
        known.into_iter().find(|(part, _)| name.contains(part)).map(|(_, data)| data)
    }

    /// How to fetch the exports where there is internet access, and put them into `folder`.
    pub(super) fn fetch(self, folder: &Utf8Path) -> [String; 2] {
        let (name, bucket, folder) = (self.name(), self.bucket(), word(folder.as_str()));
        [
            format!(r#"mkdir -p {name} && gsutil -m rsync -r -d -y "^v1\/" gs://{bucket} {name}"#),
            // rsync may be missing here.
            format!("sudo mkdir -p {folder} && sudo cp -r {name}/. {folder}/"),
        ]
    }
}

/// Copies from one folder into another without overwriting anything, then puts the old one aside.
/// Both are words of a shell.
pub(super) fn merge(from: &str, to: &str) -> [String; 2] {
    [
        format!("sudo cp -an {from}/. {to}/"),
        format!("sudo mv --backup=numbered -- {from} /var/tmp/"),
    ]
}

/// How [`DataType::fetch`] is used.
pub(super) const FETCH: &str = "Fetch the exports with the first command where there is internet \
    access, carry the folder here, and put it into place with the second.";

/// `3 files, 1.2 GiB`
pub(super) fn volume(volume: Volume) -> String {
    format!("{}, {}", files(volume.files), bytes(volume.bytes))
}

/// `1 file`, `3 files`
pub(super) fn files(count: u64) -> String {
    format!("{count} {}", if count == 1 { "file" } else { "files" })
}

/// A size as people write it.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "bytes";
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    if unit == "bytes" {
        return format!("{bytes} bytes");
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[test]
fn sizes_are_told_as_people_write_them() {
    assert_eq!(bytes(397), "397 bytes");
    assert_eq!(bytes(1024), "1.0 KiB");
    assert_eq!(bytes(1_288_490_189), "1.2 GiB");
    assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
    assert_eq!(volume(Volume { files: 1, bytes: 0 }), "1 file, 0 bytes");
}

#[test]
fn near_names_mean_a_data_type() {
    assert_eq!(DataType::meant_by("license"), Some(DataType::Licenses));
    assert_eq!(DataType::meant_by("Advisory"), Some(DataType::Advisories));
    assert_eq!(DataType::meant_by(DataType::CveEnrichment.bucket()), Some(DataType::CveEnrichment));
    assert_eq!(DataType::meant_by("lost+found"), None);
}
