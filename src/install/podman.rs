//! podman, skopeo, buildah and CRI-O on this host: which registries they are told not to verify.

use std::collections::HashMap;
use std::sync::Arc;

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
    /// What the account has from the system. Of entries with one prefix the last counts.
    inherited: Arc<[Entry]>,
    /// What comes later, and from the account itself.
    own: Vec<Entry>,
}

/// A registry with the file that tells of it.
type Entry = (Utf8PathBuf, Registry);

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

/// The system's settings, and those of every account that has its own; and why those of some
/// cannot be told.
pub async fn settings(host: &Host) -> Result<(Vec<Settings>, Vec<Unknown>), Unknown> {
    let system = Settings { own: read(host, FOLDER.into()).await?.registries, ..nobodys() };
    let shared: Arc<[Entry]> = system.own.clone().into();
    let (mut all, mut unread) = (vec![system], Vec::new());
    for home in homes(host).await? {
        match of_account(host, home, &shared).await {
            Ok(settings) => all.push(settings),
            Err(why) => unread.push(why),
        }
    }
    Ok((all, unread))
}

/// The system's settings where it has none.
fn nobodys() -> Settings {
    Settings { user: None, inherited: Arc::default(), own: Vec::new() }
}

async fn of_account(
    host: &Host,
    home: PodmanHome,
    system: &Arc<[Entry]>,
) -> Result<Settings, Unknown> {
    let own = read(host, home.folder.clone()).await?;
    // A file of one's own takes the place of all that the system has.
    let inherited = if own.has_main { Arc::default() } else { Arc::clone(system) };
    Ok(Settings { user: Some(home.user), inherited, own: own.registries })
}

/// The entry by which root's programs do not verify a registry; `name` is what its image names
/// start with.
pub async fn unverified(host: &Host, name: &str) -> Result<Option<Insecure>, Unknown> {
    let system = Settings { own: read(host, FOLDER.into()).await?.registries, ..nobodys() };
    let of_root = match homes(host).await?.into_iter().find(|home| home.folder == FOLDER_OF_ROOT) {
        Some(home) => of_account(host, home, &system.own.into()).await?,
        None => system,
    };
    Ok(of_root.unverified(name))
}

/// What a folder holds.
struct Folder {
    has_main: bool,
    registries: Vec<Entry>,
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
        let last: HashMap<&str, usize> =
            self.own.iter().enumerate().map(|(at, (_, it))| (it.prefix.as_str(), at)).collect();
        let mut found = Vec::new();
        for (at, (path, registry)) in self.own.iter().enumerate() {
            if last.get(registry.prefix.as_str()) != Some(&at) {
                continue;
            }
            let mut note = |place: &str, insecure: Option<&Located<bool>>| {
                // With a scheme the programs refuse the whole file.
                let is_name = !place.is_empty() && !place.contains("://");
                if let Some(insecure) = insecure.filter(|it| it.value && is_name) {
                    let prefix = place.to_owned();
                    found.push(Insecure { prefix, path: path.clone(), line: insecure.line });
                }
            };
            // It is about the server that is asked, whatever the images are called.
            let place = registry.location.as_ref().unwrap_or(&registry.prefix);
            note(place, registry.insecure.as_ref());
            for Mirror { location, insecure } in &registry.mirrors {
                note(location, insecure.as_ref());
            }
        }
        found
    }

    /// The entry by which a registry as a whole is not verified; `name` is what its image names
    /// start with.
    pub fn unverified(&self, name: &str) -> Option<Insecure> {
        let last_first = self.inherited.iter().chain(&self.own).rev();
        let fits = last_first.filter_map(|it| Some((covered(&it.1.prefix, name)?, it)));
        // Of equals the first is taken here, which is the last in the files.
        let longest = fits.reduce(|best, it| if it.0 > best.0 { it } else { best });
        let (_, (path, registry)) = longest?;
        let line = registry.insecure.as_ref().filter(|it| it.value)?.line;
        let place = registry.location.as_ref().unwrap_or(&registry.prefix);
        let entry = Insecure { prefix: place.clone(), path: path.clone(), line };
        // Its images may be asked for at another server.
        (entry.extent(name) != Extent::Nothing).then_some(entry)
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
        Settings { own: registries, ..nobodys() }
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
        let system = settings(&[("/etc/a", INSECURE)]).own;
        let own = Settings { inherited: system.into(), ..settings(&[("/home/b", INSECURE)]) };
        let [only] = &own.insecure()[..] else { panic!("{:?}", own.insecure()) };
        assert_eq!(only.path, "/home/b");
        let taken_back = INSECURE.replace("true", "false");
        let own = Settings { own: settings(&[("/home/b", &taken_back)]).own, ..own };
        assert_eq!((own.insecure(), own.unverified("git.test:5050")), (vec![], None));
    }

    #[test]
    fn what_is_not_verified_is_the_server_that_is_asked() {
        let moved = |prefix: &str, location: &str| {
            let text = format!("[[registry]]\nprefix = '{prefix}'\nlocation = '{location}'\n");
            settings(&[("/etc/a", &(text + "insecure = true\n"))])
        };
        let name = "git.test:5050";
        let here = moved("docker.io/a", "git.test:5050/a");
        assert_eq!(here.insecure()[0].extent(name), Extent::Part);
        let away = moved("git.test:5050", "mirror.test/a");
        assert_eq!(
            (away.insecure()[0].extent(name), away.unverified(name)),
            (Extent::Nothing, None)
        );
        assert!(moved("*.test", "git.test:5050").unverified(name).is_some());
    }

    #[test]
    fn many_entries_cost_little() {
        let table = |n: u32| format!("[[registry]]\nprefix='a{n}'\n");
        let text = (0..100_000).map(table).collect::<Vec<_>>().concat();
        let many = settings(&[("/etc/a", &text)]);
        assert!(many.insecure().is_empty());
    }
}
