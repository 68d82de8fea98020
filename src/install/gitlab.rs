//! GitLab itself: its address, its version, what reconfigure made of its settings.

use camino::Utf8PathBuf;

use super::{Endpoint, Kind, Source, Sourced, kind, settings};
use crate::host::files::ReadFile;
use crate::host::request::Requested;
use crate::host::version::InstalledVersion;
use crate::host::{Host, Unknown};
use crate::parse::gitlab_yml::GitlabYml;
use crate::parse::setting::{Located, Scalar};

/// Where the Linux package writes Rails' settings.
const PACKAGE_YML: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab.yml";

/// Where a self-compiled GitLab has them.
const SELF_COMPILED_YML: &str = "/home/git/gitlab/config/gitlab.yml";

/// The settings that Rails runs with, and their file; `None` where there are none.
pub async fn generated(host: &Host) -> Result<Option<(Utf8PathBuf, GitlabYml)>, Unknown> {
    let path = match kind(host).await? {
        None => return Ok(None),
        Some(Kind::LinuxPackage) => PACKAGE_YML,
        Some(Kind::SelfCompiled) => SELF_COMPILED_YML,
    };
    let file = host.ask(ReadFile::<GitlabYml>::at(path)).await?;
    Ok(file.or_unknown(path)?.map(|settings| (path.into(), settings)))
}

/// The address under which users reach GitLab: `--url`, what is written in `gitlab.rb`, or else
/// what Rails runs with.
pub async fn external_url(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    if let Some(url) = host.ask(Requested).await?.url {
        let endpoint = Endpoint::parse(&url).map_err(Unknown::Unreadable)?;
        return Ok(Some(Sourced::flag(endpoint, "--url")));
    }
    configured_url(host).await
}

/// The same without `--url`: the address that this host's own GitLab is set up for.
pub async fn configured_url(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let written = match settings(host).await {
        Ok(Some(settings)) => settings.url(&["external_url"]).told(),
        Ok(None) => Ok(None),
        Err(unknown) => Err(unknown),
    };
    match written {
        Ok(Some(endpoint)) => Ok(Some(endpoint)),
        // What nobody can tell from gitlab.rb, reconfigure may have written out.
        untold => match generated(host).await {
            Ok(Some((path, yml))) => url_of(&path, &yml).map_or(untold, |it| Ok(Some(it))),
            Ok(None) => untold,
            Err(unknown) => untold.and(Err(unknown)),
        },
    }
}

fn url_of(path: &Utf8PathBuf, yml: &GitlabYml) -> Option<Sourced<Endpoint>> {
    let host = yml.gitlab.host.as_ref()?;
    let https = scalar(yml.gitlab.https.as_ref()).and_then(Scalar::as_bool).unwrap_or(false);
    let root = scalar(yml.gitlab.relative_url_root.as_ref()).map(ToString::to_string);
    let port = port(yml.gitlab.port.as_ref()).unwrap_or(if https { 443 } else { 80 });
    let endpoint = Endpoint {
        https,
        host: host.value.to_string().to_ascii_lowercase(),
        port,
        path: root.unwrap_or_default(),
    };
    Some(Sourced::file(endpoint, path, host.line))
}

/// The version of GitLab that is installed here.
pub async fn version(host: &Host) -> Result<Option<String>, Unknown> {
    host.ask(InstalledVersion).await
}

/// The value of a setting that was found.
pub(super) fn scalar(setting: Option<&Located<Scalar>>) -> Option<&Scalar> {
    setting.map(|located| &located.value)
}

/// A port, whether it is written as a number or as text.
pub(super) fn port(setting: Option<&Located<Scalar>>) -> Option<u16> {
    scalar(setting)?.to_string().parse().ok()
}

/// A value found in a file.
pub(crate) fn found<T>(path: &Utf8PathBuf, located: &Located<T>) -> Source {
    match &located.variable {
        Some(variable) => Source::of_variable(variable),
        None => Source::File { path: path.clone(), line: located.line },
    }
}
