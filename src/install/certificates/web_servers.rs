//! The web servers of the Linux package, and the files with which they speak TLS.

use camino::{Utf8Path, Utf8PathBuf};

use super::own_nginx;
use super::{Pair, SSL_FOLDER, User};
use crate::host::files::{File, FileFacts, ReadFile};
use crate::host::{Host, Unknown};
use crate::install::gitlab::configured_url;
use crate::install::{
    Endpoint, Kind, Settings, Source, Sourced, Written, kind, registry, settings, spelled,
};
use crate::parse::gitlab_rb::Setting;
use crate::parse::nginx::Nginx;
use crate::parse::value::Value;

/// Where the Linux package generates nginx' files: up to 18.4, and from 18.5 on.
const NGINX_FOLDERS: [&str; 2] =
    ["/var/opt/gitlab/nginx/conf", "/var/opt/gitlab/nginx/conf/service_conf"];

/// The roles of a node with Rails, and so with nginx in front of it.
const ROLES_WITH_RAILS: [&str; 3] = ["application_role", "geo_primary_role", "geo_secondary_role"];

/// A web server of the Linux package: the setting of its address, and the sections in which its
/// certificate may be named (from 19.2 on the longer ones).
struct WebServer {
    user: User,
    url: &'static str,
    /// What it stands in front of: nginx has no server for a service that is switched off here.
    service: &'static str,
    /// The names of its generated file.
    generated: &'static [&'static str],
    sections: &'static [&'static [&'static str]],
}

impl WebServer {
    /// Where reconfigure may have written its file.
    fn generated_files(&self) -> impl Iterator<Item = Utf8PathBuf> {
        let names = self.generated.iter();
        names.flat_map(|name| NGINX_FOLDERS.map(|folder| Utf8Path::new(folder).join(name)))
    }
}

const WEB_SERVERS: [WebServer; 5] = [
    WebServer {
        user: User::GitlabNginx,
        url: "external_url",
        service: "gitlab_rails",
        generated: &["gitlab-http.conf", "gitlab-rails.conf"],
        sections: &[&["gitlab_rails", "nginx"], &["nginx"]],
    },
    WebServer {
        user: User::RegistryNginx,
        url: "registry_external_url",
        service: "registry",
        generated: &["gitlab-registry.conf"],
        sections: &[&["registry", "nginx"], &["registry_nginx"]],
    },
    WebServer {
        user: User::OtherNginx,
        url: "pages_external_url",
        service: "gitlab_pages",
        generated: &["gitlab-pages.conf"],
        sections: &[&["gitlab_pages", "nginx"], &["pages_nginx"]],
    },
    WebServer {
        user: User::OtherNginx,
        url: "gitlab_kas_external_url",
        service: "gitlab_kas",
        generated: &["gitlab-kas.conf"],
        sections: &[&["gitlab_kas", "nginx"], &["gitlab_kas_nginx"]],
    },
    WebServer {
        user: User::OtherNginx,
        url: "mattermost_external_url",
        service: "mattermost",
        generated: &["gitlab-mattermost-http.conf"],
        sections: &[&["mattermost_nginx"]],
    },
];

/// Settings with directives of the administrator's own, which may name a password file as well.
const CUSTOM_DIRECTIVES: [&[&str]; 2] =
    [&["custom_gitlab_server_config"], &["custom_gitlab_mattermost_server_config"]];

/// The file from which nginx learns the passphrases of this user's key; `None` where it is told
/// none. Where its directives are not all known, neither is this.
pub async fn password_file(
    host: &Host,
    user: User,
) -> Result<Option<Sourced<Utf8PathBuf>>, Unknown> {
    let Some(settings) = settings(host).await?.filter(|settings| !brings_no_nginx(settings)) else {
        return own_nginx::password_file(host, user).await;
    };
    let sections = WEB_SERVERS.iter().filter(|it| it.user == user).flat_map(|it| it.sections);
    let mut obstacle = None;
    for section in sections {
        let path = settings.text(&[section, &["ssl_password_file"][..]].concat()).told()?;
        if let Some(path) = path.filter(|path| !path.value.is_empty()) {
            return Ok(Some(path.map(Utf8PathBuf::from)));
        }
        for custom in CUSTOM_DIRECTIVES {
            obstacle = obstacle.or(hidden_directives(&settings, &[section, custom].concat()));
        }
    }
    obstacle
        .or(hidden_directives(&settings, &["nginx", "custom_nginx_config"]))
        .map_or(Ok(None), Err)
}

/// Directives are not shown, because they may hold secrets. So nobody can tell what is among them.
fn hidden_directives(settings: &Settings, path: &[&str]) -> Option<Unknown> {
    match settings.text(path) {
        Written::Unset => None,
        Written::Known(text) if text.value.is_empty() => None,
        Written::Known(Sourced { source, .. }) | Written::Untold(Sourced { source, .. }) => {
            let name = spelled(path);
            Some(Unknown::Unreadable(format!("{source}: {name} may name an ssl_password_file")))
        }
    }
}

/// The pairs that nginx uses, the package's or another one in its stead.
pub(super) async fn pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    let Some(settings) = settings(host).await? else {
        return match kind(host).await? {
            Some(Kind::SelfCompiled) => own_nginx::pairs(host).await,
            _ => Ok(Vec::new()),
        };
    };
    if brings_no_nginx(&settings) {
        return own_nginx::pairs(host).await;
    }
    let mut pairs = Vec::new();
    for server in &WEB_SERVERS {
        let Some(url) = url_of(host, &settings, server).await? else { continue };
        if !is_here(host, &settings, server).await? {
            continue;
        }
        let name = name_of_files(&settings, server.url, &url.value);
        let certificate = named_file(host, &settings, server, "ssl_certificate").await?;
        let key = named_file(host, &settings, server, "ssl_certificate_key").await?;
        pairs.push(Pair {
            user: server.user,
            certificate: certificate.unwrap_or_else(|| default_path(&url.value, &name, "crt")),
            key: key.unwrap_or_else(|| default_path(&url.value, &name, "key")),
        });
    }
    Ok(pairs)
}

/// The file that a setting names; `None` where nobody wrote one. What nobody can tell from
/// `gitlab.rb`, such as its own template's `"/etc/gitlab/ssl/#{node['fqdn']}.crt"`, reconfigure has
/// written out.
async fn named_file(
    host: &Host,
    settings: &Settings,
    server: &WebServer,
    key: &str,
) -> Result<Option<Sourced<Utf8PathBuf>>, Unknown> {
    for section in server.sections {
        let path = match settings.text(&[section, &[key][..]].concat()) {
            untold @ Written::Untold(_) => match written_out(host, server, key).await {
                Some(path) => return Ok(Some(path)),
                None => untold.told()?,
            },
            written => written.told()?,
        };
        if let Some(path) = path {
            return Ok(Some(path.map(Utf8PathBuf::from)));
        }
    }
    // Whoever wrote the server's address elsewhere may have named its files there as well.
    if matches!(settings.text(&[server.url]), Written::Unset) {
        return Ok(written_out(host, server, key).await);
    }
    Ok(None)
}

/// The file that a directive names in what reconfigure made of nginx for a server.
async fn written_out(
    host: &Host,
    server: &WebServer,
    directive: &str,
) -> Option<Sourced<Utf8PathBuf>> {
    for path in server.generated_files() {
        let Ok(File::Read(nginx)) = host.ask(ReadFile::<Nginx>::at(path.clone())).await else {
            continue;
        };
        let named = nginx.servers.iter().find_map(|server| match directive {
            "ssl_certificate" => server.scope.ssl_certificate.first(),
            _ => server.scope.ssl_certificate_key.first(),
        });
        if let Some(named) = named {
            let source = Source::File { path, line: named.line };
            return Some(Sourced { value: named.value.clone().into(), source });
        }
    }
    None
}

/// The address of a server, if it is https.
async fn url_of(
    host: &Host,
    settings: &Settings,
    server: &WebServer,
) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let url = match server.url {
        "external_url" => configured_url(host).await?,
        // Rails may know a registry on another node, which takes other settings. Whoever has the
        // settings in GITLAB_OMNIBUS_CONFIG, as containers do, writes none into the file.
        name @ "registry_external_url" => match settings.url(&[name]) {
            Written::Unset if !is_generated(host, server).await? => None,
            _ => registry::configured(host).await?,
        },
        other => other_url(settings, other)?,
    };
    Ok(url.filter(|url| url.value.https))
}

/// Whether nginx on this node speaks TLS for a service.
async fn is_here(host: &Host, settings: &Settings, server: &WebServer) -> Result<bool, Unknown> {
    let off = |key| server.sections.iter().any(|it| is_off(settings, &[it, &[key][..]].concat()));
    // A balancer in front speaks TLS in nginx' stead.
    if off("enable") || off("listen_https") || is_off(settings, &[server.service, "enable"]) {
        return Ok(false);
    }
    if has_all_roles(settings) {
        return Ok(true);
    }
    // Which services the other roles bring along is the package's matter: its files tell.
    is_generated(host, server).await
}

/// Whether reconfigure gave nginx a server for the service.
async fn is_generated(host: &Host, server: &WebServer) -> Result<bool, Unknown> {
    for path in server.generated_files() {
        if host.ask(FileFacts::of(path)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether this node serves as all that GitLab needs, or at least as its web application.
fn has_all_roles(settings: &Settings) -> bool {
    match settings.all().get(&["roles"]) {
        Setting::Unset => true,
        Setting::Known { value, .. } => {
            let roles = match value {
                Value::Array(roles) => roles,
                other => vec![other],
            };
            let with_rails = |role: &Value| matches!(role, Value::String(name) if ROLES_WITH_RAILS.contains(&name.as_str()));
            roles.is_empty() || roles.iter().any(with_rails)
        }
        Setting::Unknown { .. } => false,
    }
}

/// Whether the nginx of the package is switched off, so that another one stands in its stead.
fn brings_no_nginx(settings: &Settings) -> bool {
    is_off(settings, &["nginx", "enable"])
}

fn is_off(settings: &Settings, path: &[&str]) -> bool {
    matches!(settings.flag(path), Written::Known(flag) if !flag.value)
}

/// The address of a service beside GitLab. The agent server's may be a `wss` URL.
fn other_url(settings: &Settings, name: &str) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(text) = settings.text(&[name]).told()? else { return Ok(None) };
    let url = text.value.trim();
    let url = match url.strip_prefix("ws") {
        Some(rest) if rest.starts_with("s://") || rest.starts_with("://") => format!("http{rest}"),
        _ => url.to_owned(),
    };
    Ok(Endpoint::parse(&url).ok().map(|endpoint| text.map(|_| endpoint)))
}

/// The host as the package puts it into the name of a file: as it was written. Only the host that
/// was looked up elsewhere is in lower case.
fn name_of_files(settings: &Settings, setting: &str, url: &Endpoint) -> String {
    let written = match settings.text(&[setting]) {
        Written::Known(text) => text.value,
        Written::Unset | Written::Untold(_) => String::new(),
    };
    let host = written_host(&written);
    let same = host.trim_matches(['[', ']']).eq_ignore_ascii_case(&url.host);
    if same { host.to_owned() } else { url.host.clone() }
}

/// The host in a URL, with the brackets of an IPv6 address.
fn written_host(url: &str) -> &str {
    let rest = url.trim().split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// The port never enters the name of the file.
pub(super) fn default_path(url: &Endpoint, name: &str, ending: &str) -> Sourced<Utf8PathBuf> {
    let path = Utf8PathBuf::from(SSL_FOLDER).join(format!("{name}.{ending}"));
    Sourced::default(path, &format!("the default for {url}"))
}

#[test]
fn hosts_are_taken_as_they_were_written() {
    for (url, host) in [
        ("https://Git.Example.test:8443/gitlab", "Git.Example.test"),
        ("https://user@git.example.test", "git.example.test"),
        ("https://[fd00::1]:4567", "[fd00::1]"),
        (" https://10.0.0.5/ ", "10.0.0.5"),
        ("git.example.test", ""),
    ] {
        assert_eq!(written_host(url), host);
    }
}
