//! The whole installation in one piece, for `gldoctor show`.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    Sourced, certificates, clock, docker, files, gitlab, kind, nginx, rails_root, registry, roles,
    runner, settings,
};
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::parse::gitlab_rb::Setting;
use crate::parse::value::Value;

/// Everything that gldoctor understood, each value with its place.
#[derive(Debug, Serialize)]
pub struct Installation {
    /// The version of this format: 1.
    version: u32,
    /// In the order in which they are shown.
    sections: Vec<Section>,
}

/// The facts on one subject.
#[derive(Debug, Serialize)]
struct Section {
    title: &'static str,
    facts: Vec<Fact>,
}

/// One thing that was understood, or why it was not.
#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

impl Installation {
    /// Asks for all of it.
    pub async fn of(host: &Host) -> Self {
        let sections = vec![
            about_host(host).await,
            about_gitlab(host).await,
            about_registry(host).await,
            about_nginx(host).await,
            about_certificates(host).await,
            about_docker(host).await,
            about_runner(host).await,
            about_clock(host).await,
            about_files(host).await,
            about_settings(host).await,
        ];
        Self { version: 1, sections }
    }

    /// For people: a line for each fact, with its place.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for section in self.sections.iter().filter(|section| !section.facts.is_empty()) {
            let _ = writeln!(out, "{}", section.title);
            for fact in &section.facts {
                let _ = writeln!(out, "  {}", fact.to_line());
            }
        }
        out
    }
}

impl Section {
    fn new(title: &'static str) -> Self {
        Self { title, facts: Vec::new() }
    }

    fn plain(&mut self, name: &str, value: impl Into<String>) {
        let value = Some(value.into());
        self.facts.push(Fact { name: name.to_owned(), value, source: None, unknown: None });
    }

    fn sourced<T: ToString>(&mut self, name: &str, value: &Sourced<T>) {
        self.facts.push(Fact {
            name: name.to_owned(),
            value: Some(value.value.to_string()),
            source: Some(value.source.to_string()),
            unknown: None,
        });
    }

    /// What was found, nothing for what is not there, and the reason for what is unknown.
    fn told<T: ToString>(&mut self, name: &str, answer: Result<Option<Sourced<T>>, Unknown>) {
        match answer {
            Ok(Some(value)) => self.sourced(name, &value),
            Ok(None) => {}
            Err(unknown) => self.unknown(name, &unknown),
        }
    }

    fn unknown(&mut self, name: &str, why: &Unknown) {
        self.facts.push(Fact {
            name: name.to_owned(),
            value: None,
            source: None,
            unknown: Some(why.to_string()),
        });
    }
}

impl Fact {
    fn to_line(&self) -> String {
        let name = &self.name;
        match (&self.value, &self.source, &self.unknown) {
            (Some(value), Some(source), _) => format!("{name}: {value}  ({source})"),
            (Some(value), None, _) => format!("{name}: {value}"),
            (None, _, why) => format!("{name}: unknown: {}", why.as_deref().unwrap_or_default()),
        }
    }
}

async fn about_host(host: &Host) -> Section {
    let mut section = Section::new("host");
    match host.ask(System).await {
        Ok(system) => {
            section.plain("name", &system.name);
            if let Some(os) = &system.os {
                section.plain("system", os);
            }
        }
        Err(unknown) => section.unknown("system", &unknown),
    }
    let roles: Vec<_> = roles(host).await.iter().map(ToString::to_string).collect();
    section.plain("roles", if roles.is_empty() { "none".to_owned() } else { roles.join(", ") });
    section
}

async fn about_gitlab(host: &Host) -> Section {
    let mut section = Section::new("GitLab");
    match kind(host).await {
        Ok(Some(super::Kind::LinuxPackage)) => section.plain("installed", "by Linux package"),
        Ok(Some(super::Kind::SelfCompiled)) => section.plain("installed", "from source"),
        Ok(None) => {}
        Err(unknown) => section.unknown("installed", &unknown),
    }
    if let Ok(Some(version)) = gitlab::version(host).await {
        section.plain("version", version);
    }
    section.told("address", gitlab::external_url(host).await);
    section.told("Rails root", rails_root(host).await);
    section
}

async fn about_registry(host: &Host) -> Section {
    let mut section = Section::new("registry");
    section.told("address", registry::external(host).await);
    section.told("own address", registry::internal(host).await);
    section.told("debug server", registry::debug_address(host).await);
    match registry::config(host).await {
        Ok(Some(config)) => section.plain("configuration", config.path),
        Ok(None) => {}
        Err(unknown) => section.unknown("configuration", &unknown),
    }
    match registry::storage(host).await {
        Ok(Some(registry::Storage::Filesystem(folder))) => section.sourced("storage", &folder),
        Ok(Some(registry::Storage::Other { driver, .. })) => section.sourced("storage", &driver),
        Ok(None) => {}
        Err(unknown) => section.unknown("storage", &unknown),
    }
    section
}

async fn about_nginx(host: &Host) -> Section {
    let mut section = Section::new("nginx");
    match nginx::servers(host).await {
        Ok(servers) => {
            for server in servers {
                section.sourced("server", &server.described());
            }
        }
        Err(unknown) => section.unknown("servers", &unknown),
    }
    section
}

async fn about_files(host: &Host) -> Section {
    let mut section = Section::new("files");
    for (path, facts) in files::present(host).await {
        match facts {
            Ok(facts) => section.plain(path, files::described(&facts)),
            Err(unknown) => section.unknown(path, &unknown),
        }
    }
    section
}

async fn about_certificates(host: &Host) -> Section {
    let mut section = Section::new("certificates and keys");
    match certificates::pairs(host).await {
        Ok(pairs) => {
            for pair in pairs {
                section.sourced(&format!("{} shows", pair.user), &pair.certificate);
                section.sourced(&format!("{} key", pair.user), &pair.key);
            }
        }
        Err(unknown) => section.unknown("pairs", &unknown),
    }
    section
}

async fn about_docker(host: &Host) -> Section {
    let mut section = Section::new("Docker");
    match docker::registry_folders(host).await {
        Ok(folders) => {
            for folder in folders {
                section.plain("trusts", folder.path);
            }
        }
        Err(unknown) => section.unknown("certs.d", &unknown),
    }
    match docker::settings(host).await {
        Ok(settings) => {
            for entry in settings.insecure_registries() {
                section.facts.push(Fact {
                    name: "trusts blindly".to_owned(),
                    value: Some(entry.value),
                    source: Some(entry.place.to_string()),
                    unknown: None,
                });
            }
        }
        Err(unknown) => section.unknown("settings", &unknown),
    }
    section
}

async fn about_runner(host: &Host) -> Section {
    let mut section = Section::new("runner");
    match runner::config(host).await {
        Ok(Some(config)) => {
            for runner in &config.toml.runners {
                for (name, value) in [("GitLab", &runner.url), ("executor", &runner.executor)] {
                    if let Some(it) = value {
                        section.sourced(name, &Sourced::file(&it.value, &config.path, it.line));
                    }
                }
            }
        }
        Ok(None) => {}
        Err(unknown) => section.unknown("configuration", &unknown),
    }
    section
}

async fn about_clock(host: &Host) -> Section {
    let mut section = Section::new("time servers");
    match clock::time_servers(host).await {
        Ok(found) => {
            for server in found.servers {
                let value = format!("{}:{}", server.host, server.port);
                section.sourced(&server.client, &Sourced { value, source: server.source });
            }
            for (what, why) in found.untold {
                section.unknown(&what, &why);
            }
        }
        Err(unknown) => section.unknown("time servers", &unknown),
    }
    section
}

/// Every setting in `gitlab.rb`; secrets are there only as "set".
async fn about_settings(host: &Host) -> Section {
    let mut section = Section::new("gitlab.rb");
    let settings = match settings(host).await {
        Ok(Some(settings)) => settings,
        Ok(None) => return section,
        Err(unknown) => {
            section.unknown("settings", &unknown);
            return section;
        }
    };
    let all = settings.all();
    let mut paths: Vec<&Vec<String>> = all.assignments.iter().map(|it| &it.path).collect();
    paths.sort();
    paths.dedup();
    for path in paths.into_iter().filter(|path| !path.is_empty()) {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = |source: &crate::parse::gitlab_rb::Source| super::Source::File {
            path: source.file.clone(),
            line: Some(source.line),
        };
        let name = super::spelled(&keys);
        match all.get(&keys) {
            Setting::Unset => {}
            Setting::Known { value, source, .. } => {
                let value = Sourced { value: written(&value), source: place(&source) };
                section.sourced(&name, &value);
            }
            Setting::Unknown { why, source } => section.facts.push(Fact {
                name,
                value: None,
                source: Some(place(&source).to_string()),
                unknown: Some(format!("{} ({})", why.as_str(), place(&source))),
            }),
        }
    }
    section
}

/// A value as JSON spells it, on one line; what is not shown is said in words.
fn written(value: &Value) -> String {
    match value {
        Value::Set => "(set, not shown)".to_owned(),
        Value::Empty => "\"\"".to_owned(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
