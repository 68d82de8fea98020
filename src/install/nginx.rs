//! What reconfigure made of nginx for GitLab and the registry.

use camino::Utf8PathBuf;

use super::{Source, Sourced};
use crate::host::files::{File, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::nginx::{Listen, Nginx};

/// The generated files with servers: up to 18.4, and from 18.5 on.
pub(super) const GENERATED: [&str; 4] = [
    "/var/opt/gitlab/nginx/conf/gitlab-http.conf",
    "/var/opt/gitlab/nginx/conf/gitlab-registry.conf",
    "/var/opt/gitlab/nginx/conf/service_conf/gitlab-rails.conf",
    "/var/opt/gitlab/nginx/conf/service_conf/gitlab-registry.conf",
];

/// A `server` block of a generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its names.
    pub names: Vec<String>,
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Where it stands.
    pub source: Source,
}

/// The servers in the generated files, in order.
pub async fn servers(host: &Host) -> Result<Vec<Server>, Unknown> {
    let mut servers = Vec::new();
    for path in GENERATED {
        match host.ask(ReadFile::<Nginx>::at(path)).await? {
            File::Missing => {}
            File::Read(nginx) => {
                servers.extend(nginx.servers.into_iter().map(|server| Server {
                    names: server.names.into_iter().map(|name| name.value).collect(),
                    listen: server.listen,
                    source: Source::File { path: Utf8PathBuf::from(path), line: Some(server.line) },
                }));
            }
            other => {
                let obstacle = other.obstacle().unwrap_or_default();
                return Err(Unknown::Unreadable(format!("{path}: {obstacle}")));
            }
        }
    }
    Ok(servers)
}

impl Server {
    /// `name on *:443 (TLS)`, with its place.
    pub fn described(&self) -> Sourced<String> {
        let listen = self.listen.iter().map(|listen| {
            let port = listen.port.map(|port| format!(":{port}")).unwrap_or_default();
            let tls = if listen.ssl { " (TLS)" } else { "" };
            format!("{}{port}{tls}", listen.address)
        });
        let on: Vec<_> = listen.collect();
        Sourced {
            value: format!("{} on {}", self.names.join(", "), on.join(", ")),
            source: self.source.clone(),
        }
    }
}
