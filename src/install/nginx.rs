//! What reconfigure made of nginx for GitLab and the registry.

use camino::Utf8PathBuf;

use super::certificates::own_nginx;
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
        let nginx = host.ask(ReadFile::<Nginx>::at(path)).await?.or_unknown(path)?;
        let found = nginx.into_iter().flat_map(|nginx| nginx.servers);
        servers.extend(found.map(|server| Server {
            names: server.names.into_iter().map(|name| name.value).collect(),
            listen: server.listen,
            source: Source::File { path: Utf8PathBuf::from(path), line: Some(server.line) },
        }));
    }
    Ok(servers)
}

/// The nodes among which an nginx of one's own shares out the requests for what listens on `port`;
/// `None` where it knows no more than one.
pub async fn nodes_behind(host: &Host, port: u16) -> Result<Option<Sourced<String>>, Unknown> {
    for path in own_nginx::files(host).await? {
        let File::Read(nginx) = host.ask(ReadFile::<Nginx>::at(path.clone())).await? else {
            continue;
        };
        for upstream in nginx.upstreams {
            let nodes: Vec<_> = upstream.servers.iter().map(|it| it.value.as_str()).collect();
            let is_on =
                |node: &str| node.rsplit_once(':').is_some_and(|(_, it)| it.parse() == Ok(port));
            if nodes.len() > 1 && nodes.iter().all(|node| is_on(node)) {
                return Ok(Some(Sourced::file(nodes.join(", "), path, Some(upstream.line))));
            }
        }
    }
    Ok(None)
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
