//! The pairs of an nginx that GitLab did not bring along: beside a self-compiled GitLab, or where
//! the package's own is switched off.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Pair, User};
use crate::host::files::{Directory, File, ReadFile};
use crate::host::{Host, Unknown};
use crate::install::{Endpoint, Source, Sourced, gitlab, registry};
use crate::parse::nginx::{Nginx, Scope, Server};
use crate::parse::setting::Located;

/// Where every distribution has it. Relative paths start here.
const FOLDER: &str = "/etc/nginx";

/// The file that includes all others.
const MAIN: &str = "nginx.conf";

/// The addresses that users know.
struct Addresses {
    gitlab: Option<Endpoint>,
    registry: Option<Endpoint>,
}

/// The pairs of the servers that go by GitLab's or the registry's name.
pub(super) async fn pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    let addresses = Addresses {
        gitlab: gitlab::external_url(host).await?.map(|url| url.value),
        registry: registry::external(host).await?.map(|url| url.value),
    };
    let mut pairs = Vec::new();
    let main = Utf8Path::new(FOLDER).join(MAIN);
    let mut inherited = Scope::default();
    for path in files(host).await? {
        let File::Read(nginx) = host.ask(ReadFile::<Nginx>::at(path.clone())).await? else {
            continue;
        };
        for server in &nginx.servers {
            if let Some(user) = addresses.user(server) {
                let near = [(&*path, &server.scope), (&*path, &nginx.outside)];
                let scopes = near.into_iter().chain([(&*main, &inherited)]);
                pairs.extend(pairs_of(user, scopes));
            }
        }
        // It is the first file, and all others inherit from it.
        if path == main {
            inherited = nginx.outside;
        }
    }
    Ok(pairs)
}

/// `nginx.conf` and what it usually includes.
pub(in crate::install) async fn files(host: &Host) -> Result<Vec<Utf8PathBuf>, Unknown> {
    let folder = Utf8Path::new(FOLDER);
    let mut files = vec![folder.join(MAIN)];
    for (name, ending) in [("conf.d", ".conf"), ("sites-enabled", "")] {
        let listing = host.ask(Directory::at(folder.join(name))).await?;
        let names = listing.names().filter(|file| file.ends_with(ending));
        files.extend(names.map(|file| folder.join(name).join(file)));
    }
    Ok(files)
}

impl Addresses {
    /// Who is served here over TLS, if it is GitLab or its registry.
    fn user(&self, server: &Server) -> Option<User> {
        let listens = |port| server.listen.iter().any(|it| it.ssl && it.port == Some(port));
        let is_meant = |endpoint: &&Endpoint| {
            let named = server.names.iter().any(|it| it.value.eq_ignore_ascii_case(&endpoint.host));
            named && listens(endpoint.port)
        };
        if self.gitlab.iter().any(|it| is_meant(&it)) {
            return Some(User::GitlabNginx);
        }
        self.registry.iter().any(|it| is_meant(&it)).then_some(User::RegistryNginx)
    }
}

/// A server may have several pairs, one for each kind of key.
fn pairs_of<'a>(
    user: User,
    scopes: impl IntoIterator<Item = (&'a Utf8Path, &'a Scope)>,
) -> Vec<Pair> {
    let mut scopes = scopes.into_iter();
    let Some((path, scope)) = scopes.find(|(_, scope)| !scope.ssl_certificate.is_empty()) else {
        return Vec::new();
    };
    let both = scope.ssl_certificate.iter().zip(&scope.ssl_certificate_key);
    both.filter(|(certificate, key)| is_path(certificate) && is_path(key))
        .map(|(certificate, key)| Pair {
            user,
            certificate: sourced(path, certificate),
            key: sourced(path, key),
        })
        .collect()
}

/// Not a variable, and not a key in other storage (`data:`, `engine:`, `store:`).
fn is_path(written: &Located<String>) -> bool {
    !written.value.contains(['$', ':'])
}

fn sourced(path: &Utf8Path, written: &Located<String>) -> Sourced<Utf8PathBuf> {
    let source = Source::File { path: path.to_owned(), line: written.line };
    Sourced { value: Utf8Path::new(FOLDER).join(&written.value), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::nginx::read;

    fn found(text: &str) -> Vec<(User, String, String)> {
        let nginx = read(text.as_bytes()).unwrap();
        let addresses = Addresses {
            gitlab: Some(Endpoint::parse("https://git.example.test").unwrap()),
            registry: Some(Endpoint::parse("https://git.example.test:5050").unwrap()),
        };
        let servers = nginx.servers.iter();
        let users = servers.filter_map(|server| Some((addresses.user(server)?, server)));
        let path = Utf8Path::new("/etc/nginx/nginx.conf");
        let pairs = users.flat_map(|(user, server)| {
            pairs_of(user, [(path, &server.scope), (path, &nginx.outside)])
        });
        pairs
            .map(|it| (it.user, it.certificate.value.to_string(), it.key.value.to_string()))
            .collect()
    }

    #[test]
    fn servers_are_told_apart_by_name_and_port() {
        let text = "http { ssl_certificate all.crt; ssl_certificate_key all.key;
            server { listen 443 ssl; server_name Git.example.test; }
            server { listen 5050 ssl; server_name git.example.test;
                ssl_certificate /r.crt; ssl_certificate_key /r.key; }
            server { listen 443 ssl; server_name wiki.example.test; }
            server { listen 80; server_name git.example.test; } }";
        let gitlab = ("/etc/nginx/all.crt".to_owned(), "/etc/nginx/all.key".to_owned());
        let registry = ("/r.crt".to_owned(), "/r.key".to_owned());
        assert_eq!(
            found(text),
            [
                (User::GitlabNginx, gitlab.0, gitlab.1),
                (User::RegistryNginx, registry.0, registry.1)
            ]
        );
    }

    #[test]
    fn variables_and_engines_are_no_paths() {
        let text = "server { listen 443 ssl; server_name git.example.test;
            ssl_certificate $name.crt; ssl_certificate_key $name.key; }";
        assert_eq!(found(text), []);
        let text = "server { listen 443 ssl; server_name git.example.test;
            ssl_certificate /a.crt; ssl_certificate_key engine:pkcs11:key; }";
        assert_eq!(found(text), []);
    }
}
