//! The pairs of an nginx that GitLab did not bring along: beside a self-compiled GitLab, or where
//! the package's own is switched off.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Pair, User};
use crate::host::files::{Directory, File, ReadFile};
use crate::host::{Host, Unknown};
use crate::install::{Endpoint, Source, Sourced, gitlab, registry};
use crate::parse::nginx::{Nginx, Scope, Server, Within};
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

/// A server that goes by GitLab's or the registry's name.
struct Found {
    user: User,
    /// What holds for it, the nearest first, each with the file in which it stands.
    scopes: Vec<(Utf8PathBuf, Scope)>,
    /// Whether it includes other files, which are not read.
    includes: bool,
}

/// The pairs of the servers that go by GitLab's or the registry's name.
pub(super) async fn pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    Ok(servers(host).await?.iter().flat_map(Found::pairs).collect())
}

/// The file with the passphrases of this user's key; `None` where no server of its own is told one.
pub(super) async fn password_file(
    host: &Host,
    user: User,
) -> Result<Option<Sourced<Utf8PathBuf>>, Unknown> {
    let servers = servers(host).await?;
    let own = || servers.iter().filter(|server| server.user == user);
    if let Some(file) = own().find_map(Found::password_file) {
        return Ok(Some(file));
    }
    if own().any(|server| server.includes) {
        let why = "a file that nginx includes in the server may name an ssl_password_file";
        return Err(Unknown::Unreadable(why.to_owned()));
    }
    Ok(None)
}

async fn servers(host: &Host) -> Result<Vec<Found>, Unknown> {
    let addresses = Addresses {
        gitlab: gitlab::external_url(host).await?.map(|url| url.value),
        registry: registry::external(host).await?.map(|url| url.value),
    };
    let mut found = Vec::new();
    let main = Utf8Path::new(FOLDER).join(MAIN);
    let mut inherited = Scope::default();
    for path in files(host).await? {
        let File::Read(nginx) = host.ask(ReadFile::<Nginx>::at(path.clone())).await? else {
            continue;
        };
        found.extend(addresses.servers(&path, &nginx, (&main, &inherited)));
        // It is the first file, and all others inherit from it.
        if path == main {
            inherited = nginx.outside;
        }
    }
    Ok(found)
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
    /// The servers of a file that are meant, and what they inherit from the main file.
    fn servers(
        &self,
        path: &Utf8Path,
        nginx: &Nginx,
        (main, inherited): (&Utf8Path, &Scope),
    ) -> Vec<Found> {
        let servers = nginx.servers.iter().enumerate();
        let found = servers.filter_map(|(number, server)| {
            let near = [(path, &server.scope), (path, &nginx.outside), (main, inherited)];
            Some(Found {
                user: self.user(server)?,
                scopes: near.map(|(path, scope)| (path.to_owned(), scope.clone())).into(),
                includes: nginx.includes.iter().any(|it| it.within == Within::Server(number)),
            })
        });
        found.collect()
    }

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

impl Found {
    /// A server may have several pairs, one for each kind of key.
    fn pairs(&self) -> Vec<Pair> {
        let mut scopes = self.scopes.iter();
        let Some((path, scope)) = scopes.find(|(_, scope)| !scope.ssl_certificate.is_empty())
        else {
            return Vec::new();
        };
        let both = scope.ssl_certificate.iter().zip(&scope.ssl_certificate_key);
        both.filter(|(certificate, key)| is_path(certificate) && is_path(key))
            .map(|(certificate, key)| Pair {
                user: self.user,
                certificate: sourced(path, certificate),
                key: sourced(path, key),
            })
            .collect()
    }

    fn password_file(&self) -> Option<Sourced<Utf8PathBuf>> {
        let mut scopes = self.scopes.iter();
        scopes.find_map(|(path, scope)| {
            let file = scope.directives.get("ssl_password_file")?.first()?;
            Some(sourced(path, file))
        })
    }
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

    fn servers(text: &str) -> Vec<Found> {
        let nginx = read(text.as_bytes()).unwrap();
        let addresses = Addresses {
            gitlab: Some(Endpoint::parse("https://git.example.test").unwrap()),
            registry: Some(Endpoint::parse("https://git.example.test:5050").unwrap()),
        };
        let path = Utf8Path::new("/etc/nginx/nginx.conf");
        addresses.servers(path, &nginx, (path, &Scope::default()))
    }

    fn found(text: &str) -> Vec<(User, String, String)> {
        let pairs = servers(text).into_iter().flat_map(|server| server.pairs());
        pairs
            .map(|it| (it.user, it.certificate.value.to_string(), it.key.value.to_string()))
            .collect()
    }

    #[test]
    fn a_server_is_told_its_passphrases_by_the_nearest_directive() {
        let text = "http { ssl_password_file /outer;
            server { listen 443 ssl; server_name git.example.test; ssl_password_file /inner; }
            server { listen 5050 ssl; server_name git.example.test; include tls.conf; } }";
        let servers = servers(text);
        let files = servers.iter().map(|it| it.password_file().map(|it| it.value.into_string()));
        let files: Vec<_> = files.map(Option::unwrap).collect();
        assert_eq!(files, ["/inner", "/outer"]);
        assert_eq!(servers.iter().map(|it| it.includes).collect::<Vec<_>>(), [false, true]);
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
