//! Do the exports lie where GitLab reads them?

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::{join, join_all};

use super::access::{self, Reader};
use super::exports::Exported;
use super::places::{Places, STRAY};
use super::words::{DataType, FETCH};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::account::{Account, AccountOf};
use crate::host::files::{Directory, ExportTree, Exports, Listing, MetadataCrontabs, MetadataTree};
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::install::accounts::{self, Service};
use crate::install::rails_root;

check! {
    /// Package metadata exports lie where GitLab reads them.
    ///
    /// ## Why it matters
    ///
    /// Offline, license scanning and dependency scanning know only what the exports tell them.
    /// GitLab reads them from one exact place and passes over everything else without a word: a
    /// folder too many, a folder named after the package type, or a copy at the wrong root, and
    /// licenses and vulnerabilities are simply missing.
    ///
    /// ## What is looked at
    ///
    /// Below `vendor/package_metadata` of the Rails root, the folders `licenses`, `advisories` and
    /// `cve_enrichment`. GitLab reads `v2/<registry id>/<sequence>/<chunk>.ndjson`
    /// (`v2/<sequence>/<chunk>.ndjson` for `cve_enrichment`), exactly so deep, although the guide
    /// shows `**`. A registry id is not always the package type of GitLab's settings: `rubygem` is
    /// for `gem`, `packagist` for `composer`, `go` for `golang`. An existing folder, even an empty
    /// one, makes GitLab look there and nowhere else. Until `licenses` exists, the old folder
    /// `vendor/package_metadata_db` is read for licenses.
    ///
    /// Also `/vendor/package_metadata` at the root of the file system, where a copy lands if
    /// `GITLAB_RAILS_ROOT_DIR` is not set, and the crontabs that mention package metadata: cron
    /// does not know the variable that the guide's lines use. And whether GitLab's account,
    /// `git` unless it is told another, may read it all, since the first unreadable file ends
    /// every run.
    ///
    /// Not looked at: what is in the files, which package types are enabled, and how far GitLab
    /// has read. A missing `cve_enrichment` is no finding.
    ///
    /// ## How to fix it
    ///
    /// Copy the buckets as they are, with the Google Cloud tools or rsync, and rename nothing.
    /// GitLab reads on from where it stopped, in the order of the names: older sequences that are
    /// added later are passed over. To have a data type read from the beginning, delete its
    /// checkpoints: `gitlab-rails runner "PackageMetadata::Checkpoint.where(data_type:
    /// 'licenses').delete_all"`.
    "metadata/layout": "exports lie where GitLab reads them"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(rails) = rails_root(host).await? else {
        return Err(Stop::not_applicable("GitLab is not on this host"));
    };
    let home = rails.value.join("vendor/package_metadata");
    let old = rails.value.join("vendor/package_metadata_db");
    let stray = Utf8Path::new(STRAY);
    let ((own, strayed), (cron, old)) = join(
        join(Folder::look(host, &home), Folder::look(host, stray)),
        join(host.ask(MetadataCrontabs), old_licenses(host, &home, old)),
    )
    .await;
    let (own, strayed) = (own?, strayed?);
    let mentioned = cron.as_ref().is_ok_and(|cron| !cron.lines.is_empty());
    if !own.exists() && !strayed.exists() && old.is_none() && !mentioned {
        let why = format!("no exports here: neither {home} nor {stray} exists");
        return Err(Stop::not_applicable(why));
    }
    let mut verdict = Verdict::default();
    let name = accounts::name(host, Service::Gitlab).await;
    let account = account(host, &name).await;
    let account = verdict.told(&format!("the account {name}"), account).flatten();
    let reader = Reader { name: &name, account: account.as_ref() };
    let cron = verdict.told("crontabs", cron).unwrap_or_default();
    for unread in cron.unread {
        verdict.untold("crontabs", unread.why);
    }
    let places =
        Places { rails: &rails.value, home: &home, home_exists: own.exists(), cron: &cron.lines };
    if let Listing::NotADirectory(kind) = own.listing {
        let message = format!("it is {kind}, and GitLab needs a folder there");
        verdict.add([Finding::error("not-a-folder", home.as_str(), message)
            .remedy::<String>("Put the exports there as a folder.", [])
            .docs(docs::OFFLINE_METADATA)]);
    }
    verdict.add(places.misnamed(&own.listing));
    verdict.add(elsewhere(&places, &own, &strayed));
    // An old folder that nobody could look at may or may not be there.
    if old.as_ref().is_none_or(|old| old.found.is_ok()) {
        verdict.add(one_sided(&home, &own, &strayed, old.is_some()));
    }
    let read = own.exports.into_iter().chain(old);
    for export in read {
        judge(&mut verdict, &places, reader, export);
    }
    Ok(verdict)
}

/// One data type's folder and what is in it.
struct Export {
    data: DataType,
    path: Utf8PathBuf,
    found: Result<Exports, Unknown>,
}

/// A folder of exports.
struct Folder {
    listing: Listing,
    exports: Vec<Export>,
}

impl Folder {
    async fn look(host: &Host, path: &Utf8Path) -> Result<Self, Unknown> {
        let listing = host.ask(Directory::at(path)).await?;
        let names: Vec<_> = DataType::ALL
            .into_iter()
            .filter(|data| listing.names().any(|it| it == data.name()))
            .collect();
        let exports =
            names.into_iter().map(|data| Export::look(host, data, path.join(data.name())));
        let exports = join_all(exports).await;
        Ok(Self { listing, exports })
    }

    fn exists(&self) -> bool {
        self.listing != Listing::Missing
    }

    fn has(&self, data: DataType) -> bool {
        self.exports.iter().any(|it| it.data == data)
    }

    fn trees(&self) -> impl Iterator<Item = (&Export, &ExportTree)> {
        self.exports.iter().filter_map(|it| Some((it, it.found.as_ref().ok()?.tree()?)))
    }
}

impl Export {
    async fn look(host: &Host, data: DataType, path: Utf8PathBuf) -> Self {
        let found = host.ask(MetadataTree::of(&path, data.levels())).await;
        Self { data, path, found }
    }
}

/// The old folder, which GitLab reads as long as the new one does not exist.
async fn old_licenses(host: &Host, home: &Utf8Path, old: Utf8PathBuf) -> Option<Export> {
    let new = host.ask(Directory::at(home)).await.ok()?;
    if new.names().any(|name| name == DataType::Licenses.name()) {
        return None;
    }
    let export = Export::look(host, DataType::Licenses, old).await;
    (export.found != Ok(Exports::Missing)).then_some(export)
}

/// GitLab's account. Not told where the owners of the files are not the server's: an ordinary user
/// who unpacks an archive owns all of it.
async fn account(host: &Host, name: &str) -> Result<Option<Account>, Unknown> {
    let system = host.ask(System).await?;
    if !system.running && system.uid != 0 {
        return Ok(None);
    }
    host.ask(AccountOf::name(name)).await
}

fn judge(verdict: &mut Verdict, places: &Places<'_>, reader: Reader<'_>, export: Export) {
    let Export { data, path, found } = export;
    let tree = match verdict.told(path.as_str(), found) {
        Some(Exports::Walked(tree)) => tree,
        Some(Exports::NotADirectory(kind)) => {
            let message = format!("it is {kind}, and GitLab needs a folder there");
            let finding = Finding::error("not-a-folder", path.as_str(), message);
            verdict.add([finding.remedy(FETCH, data.fetch(&path)).docs(docs::OFFLINE_METADATA)]);
            return;
        }
        // A link that leads nowhere is no folder to GitLab either.
        Some(Exports::Missing) | None => return,
    };
    verdict.add(Exported { data, folder: &path, tree: &tree }.judge());
    verdict.add(places.v1(data, &path, &tree));
    let access = access::judge(data, &path, &tree, reader);
    verdict.add(access.findings);
    verdict.untold.extend(access.untold);
    if let Some(first) = tree.unread.first.first() {
        verdict.untold(path.as_str(), first.why.clone());
    }
}

/// What lies at the root of the file system, or will.
fn elsewhere(places: &Places<'_>, own: &Folder, strayed: &Folder) -> Vec<Finding> {
    // A link from the Rails root to a disk of its own, or back, is somebody's plan.
    let at_home = |tree: &ExportTree| own.trees().any(|(_, it)| it.place == tree.place);
    let trees: Vec<_> = strayed.trees().filter(|(_, tree)| !at_home(tree)).collect();
    if trees.is_empty() {
        return places.cron().into_iter().collect();
    }
    let told: Vec<_> = trees.iter().map(|(export, tree)| (export.data, *tree)).collect();
    let v1 = trees.iter().filter_map(|(export, tree)| places.v1(export.data, &export.path, tree));
    [places.stray(&told)].into_iter().chain(v1).collect()
}

/// Licenses without advisories, or the reverse. Enrichment is younger than the guide.
fn one_sided(home: &Utf8Path, own: &Folder, strayed: &Folder, old: bool) -> Option<Finding> {
    let licenses = own.has(DataType::Licenses) || old;
    let (here, missing) = match (licenses, own.has(DataType::Advisories)) {
        (true, false) => (DataType::Licenses, DataType::Advisories),
        (false, true) => (DataType::Advisories, DataType::Licenses),
        _ => return None,
    };
    if strayed.has(missing) {
        return None;
    }
    let (here, name) = (here.name(), missing.name());
    let folder = home.join(name);
    let message = format!(
        "there is a folder for {here} but none for {name}, so GitLab asks the internet for {name}"
    );
    let finding = Finding::notice("one-sided", folder.as_str(), message);
    let advice = format!("If {name} are wanted, fetch them too. {FETCH}");
    let fetch = missing.fetch(&folder);
    Some(finding.remedy(advice, fetch).docs(docs::OFFLINE_METADATA))
}
