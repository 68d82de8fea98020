//! podman, skopeo, buildah and CRI-O on this host: which registries they are told not to verify.

use camino::{Utf8Path, Utf8PathBuf};

use super::docker::CERTS_D;
use crate::host::files::{Directory, File, FileFacts, PodmanHome, PodmanHomes, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::registries_conf::{Mirror, RegistriesConf, Registry, covered};
use crate::parse::setting::Located;

/// The programs, by the name that people know, and where packages put them.
const PROGRAMS: [(&str, &str); 4] = [
    ("podman", "/usr/bin/podman"),
    ("skopeo", "/usr/bin/skopeo"),
    ("buildah", "/usr/bin/buildah"),
    ("CRI-O", "/usr/bin/crio"),
];

/// Where the system's settings lie.
const FOLDER: &str = "/etc/containers";

/// Where the settings of root lie, whose programs pull for the whole host.
const FOLDER_OF_ROOT: &str = "/root/.config/containers";

/// The settings that hold for somebody: the system's, or those of one account.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The account; `None` for the system's.
    pub user: Option<String>,
    /// All registries with the file that tells of each. Of those with one prefix the last counts.
    registries: Vec<(Utf8PathBuf, Registry)>,
    /// The folder from which those of the account come.
    own: Utf8PathBuf,
}

/// A registry, or a part of one, that is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insecure {
    /// What is not verified: `host[:port]`, with or without a path, or `*.domain`.
    pub prefix: String,
    /// The file that says so.
    pub path: Utf8PathBuf,
    /// The line in it.
    pub line: Option<u32>,
}

/// How much of a registry something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of its images.
    Whole,
    /// Those below a path.
    Part,
    /// None.
    Nothing,
}

/// Those of the programs that are on this host.
pub async fn programs(host: &Host) -> Result<Vec<&'static str>, Unknown> {
    let mut found = Vec::new();
    for (name, path) in PROGRAMS {
        match host.ask(FileFacts::of(path)).await {
            Ok(Some(_)) => found.push(name),
            // Recordings from before this was asked.
            Ok(None) | Err(Unknown::NotRecorded) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(found)
}

/// Accounts with settings of their own.
pub async fn homes(host: &Host) -> Result<Vec<PodmanHome>, Unknown> {
    match host.ask(PodmanHomes).await {
        // Recordings from before this was asked.
        Err(Unknown::NotRecorded) => Ok(Vec::new()),
        told => told,
    }
}

/// Where root's programs look for the certificates of registries; the first folder there with a
/// registry's name is the only one that they read.
pub fn certs_folders() -> [Utf8PathBuf; 3] {
    let certs_d = |folder: &str| Utf8Path::new(folder).join("certs.d");
    [certs_d(FOLDER_OF_ROOT), certs_d(FOLDER), CERTS_D.into()]
}

/// The system's settings, and those of every account that has its own.
pub async fn settings(host: &Host) -> Result<Vec<Settings>, Unknown> {
    let system = read(host, FOLDER.into()).await?.registries;
    let mut all = vec![Settings { user: None, registries: system.clone(), own: FOLDER.into() }];
    for home in homes(host).await? {
        let own = read(host, home.folder.clone()).await?;
        // A file of one's own takes the place of all that the system has.
        let inherited = if own.has_main { Vec::new() } else { system.clone() };
        let registries = inherited.into_iter().chain(own.registries).collect();
        all.push(Settings { user: Some(home.user), registries, own: home.folder });
    }
    Ok(all)
}

/// The entry by which root's programs do not verify a registry; `name` is what its image names
/// start with.
pub async fn unverified(host: &Host, name: &str) -> Result<Option<Insecure>, Unknown> {
    let all = settings(host).await?;
    let of_root = all.iter().find(|it| it.own == FOLDER_OF_ROOT).or(all.first());
    Ok(of_root.and_then(|settings| settings.unverified(name)))
}

/// What a folder holds.
struct Folder {
    has_main: bool,
    registries: Vec<(Utf8PathBuf, Registry)>,
}

async fn read(host: &Host, folder: Utf8PathBuf) -> Result<Folder, Unknown> {
    let drop_ins = folder.join("registries.conf.d");
    let mut found = Folder { has_main: false, registries: Vec::new() };
    let listing = match host.ask(Directory::at(drop_ins.clone())).await {
        // Recordings from before this was asked.
        Err(Unknown::NotRecorded) => return Ok(found),
        told => told?,
    };
    let names = listing.names().filter(|name| name.ends_with(".conf"));
    let main = folder.join("registries.conf");
    let paths = [main.clone()].into_iter().chain(names.map(|name| drop_ins.join(name)));
    for path in paths {
        match host.ask(ReadFile::<RegistriesConf>::at(path.clone())).await? {
            File::Missing | File::NotAFile(_) => {}
            File::Read(conf) => {
                found.has_main |= path == main;
                found.registries.extend(conf.registries.into_iter().map(|it| (path.clone(), it)));
            }
            other => {
                let why = other.obstacle().unwrap_or_default();
                return Err(Unknown::Unreadable(format!("{path}: {why}")));
            }
        }
    }
    Ok(found)
}

impl Settings {
    /// All that is not verified and that these settings themselves say, mirrors too.
    pub fn insecure(&self) -> Vec<Insecure> {
        let mut found = Vec::new();
        for (at, (path, registry)) in self.registries.iter().enumerate() {
            let later = &self.registries[at + 1..];
            let replaced = later.iter().any(|(_, other)| other.prefix == registry.prefix);
            if replaced || !path.starts_with(&self.own) {
                continue;
            }
            let mut note = |prefix: &str, insecure: Option<&Located<bool>>| {
                // With a scheme the programs refuse the whole file.
                let is_name = !prefix.is_empty() && !prefix.contains("://");
                if let Some(insecure) = insecure.filter(|it| it.value && is_name) {
                    let prefix = prefix.to_owned();
                    found.push(Insecure { prefix, path: path.clone(), line: insecure.line });
                }
            };
            note(&registry.prefix, registry.insecure.as_ref());
            for Mirror { location, insecure } in &registry.mirrors {
                note(location, insecure.as_ref());
            }
        }
        found
    }

    /// The entry by which a registry as a whole is not verified; `name` is what its image names
    /// start with.
    pub fn unverified(&self, name: &str) -> Option<Insecure> {
        let last_first = self.registries.iter().rev();
        let fits = last_first.filter_map(|it| Some((covered(&it.1.prefix, name)?, it)));
        // Of equals the first is taken here, which is the last in the files.
        let longest = fits.reduce(|best, it| if it.0 > best.0 { it } else { best });
        let (_, (path, registry)) = longest?;
        let line = registry.insecure.as_ref().filter(|it| it.value)?.line;
        Some(Insecure { prefix: registry.prefix.clone(), path: path.clone(), line })
    }
}

impl Insecure {
    /// How much of a registry it is about; `name` is what its image names start with.
    pub fn extent(&self, name: &str) -> Extent {
        if covered(&self.prefix, name).is_some() {
            Extent::Whole
        } else if covered(name, &self.prefix).is_some() {
            Extent::Part
        } else {
            Extent::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::registries_conf::read;

    fn settings(files: &[(&str, &str)]) -> Settings {
        let mut registries = Vec::new();
        for (path, text) in files {
            let conf = read(text.as_bytes()).unwrap();
            registries.extend(conf.registries.into_iter().map(|it| (path.into(), it)));
        }
        Settings { user: None, registries, own: "/etc".into() }
    }

    const INSECURE: &str = "[[registry]]\nlocation = 'git.test:5050'\ninsecure = true\n";

    #[test]
    fn a_later_file_takes_back_what_an_earlier_one_says() {
        let secure = INSECURE.replace("true", "false");
        let both = settings(&[("/etc/a", INSECURE), ("/etc/b", &secure)]);
        assert_eq!((both.insecure(), both.unverified("git.test:5050")), (vec![], None));
        let both = settings(&[("/etc/a", &secure), ("/etc/b", INSECURE)]);
        assert_eq!(both.unverified("git.test:5050").unwrap().path, "/etc/b");
        assert_eq!(both.insecure().len(), 1);
    }

    #[test]
    fn the_longest_prefix_decides() {
        let wide = "[[registry]]\nprefix = '*.test'\ninsecure = true\n";
        let name = "git.test:5050";
        assert!(settings(&[("/etc/a", wide)]).unverified(name).is_some());
        let narrow = "[[registry]]\nlocation = 'git.test:5050'\n";
        let both = settings(&[("/etc/a", wide), ("/etc/b", narrow)]);
        assert_eq!(both.unverified(name), None);
    }

    #[test]
    fn a_path_is_a_part_of_the_registry() {
        let of = |prefix: &str| {
            let prefix = prefix.to_owned();
            Insecure { prefix, path: "/a".into(), line: None }.extent("git.test:5050")
        };
        assert_eq!(of("git.test"), Extent::Whole);
        assert_eq!(of("git.test:5050/group"), Extent::Part);
        assert_eq!(of("git.test:5051"), Extent::Nothing);
    }

    #[test]
    fn what_an_account_inherits_is_told_once() {
        let files = [("/etc/a", INSECURE), ("/home/u/.config/containers/b", INSECURE)];
        let own = Settings { own: "/home/u/.config/containers".into(), ..settings(&files) };
        assert_eq!(own.insecure().len(), 1);
        assert_eq!(settings(&files).insecure().len(), 0, "replaced");
    }
}
