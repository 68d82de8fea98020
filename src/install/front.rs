//! What stands in front of the registry on this host: the servers of nginx that pass requests on to
//! it, with all that they inherit and include.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Endpoint, Source, Sourced, nginx, registry};
use crate::host::files::{Directory, File, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::nginx::{Header, Listen, Location, Nginx, Scope, Server, Upstream};
use crate::parse::setting::Located;

/// The configuration of the Linux package's nginx, which includes the generated files.
const PACKAGE_MAIN: &str = "/var/opt/gitlab/nginx/conf/nginx.conf";

/// Where every distribution has its own nginx. Relative paths start here.
const OWN_FOLDER: &str = "/etc/nginx";

/// More files than any configuration includes at one place.
const MOST_INCLUDED: usize = 100;

/// A location of nginx that passes requests on to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// The file in which the server stands.
    pub path: Utf8PathBuf,
    /// The line of the location, or of the server.
    pub line: u32,
    /// Whether the Linux package wrote the file.
    pub generated: bool,
    /// Where the server listens.
    pub listen: Vec<Listen>,
    /// Where it passes requests on to.
    pub proxy_pass: Sourced<String>,
    /// The headers that it sets, by their names in lower case. Those of the innermost level that
    /// sets any: nginx inherits all or none.
    headers: BTreeMap<String, Sourced<Option<String>>>,
    /// The limit for what clients send, where it is set.
    pub body_limit: Option<Sourced<String>>,
    /// Whether a file that it includes could not be read: what is not set here may be set there.
    pub unclear: bool,
}

impl Front {
    /// The value of a header for the registry; `None` where it is not set. A value that is not
    /// shown is none that tells an address.
    pub fn header(&self, name: &str) -> Option<&Sourced<Option<String>>> {
        self.headers.get(name)
    }

    /// Whether clients speak TLS to it.
    pub fn speaks_tls(&self) -> bool {
        self.listen.iter().any(|listen| listen.ssl)
    }
}

/// The files of one nginx.
struct Files {
    main: Scope,
    main_path: Utf8PathBuf,
    read: Vec<(Utf8PathBuf, Nginx)>,
    /// Where relative paths start.
    folder: Utf8PathBuf,
    generated: bool,
}

/// The locations of nginx on this host that pass requests on to the registry.
pub async fn fronts(host: &Host) -> Result<Vec<Front>, Unknown> {
    let internal = registry::internal(host).await?.map(|it| Backend::Tcp(it.value));
    let internal = match internal {
        Some(tcp) => Some(tcp),
        None => registry::unix_socket(host).await?.map(Backend::Unix),
    };
    let external = registry::configured(host).await?.map(|it| it.value);
    let mut fronts = Vec::new();
    for files in [package(host).await?, own(host).await?] {
        for (path, nginx) in &files.read {
            for server in nginx.servers.iter().filter(|server| !server.stream) {
                let is_meant = external.as_ref().is_some_and(|it| is_named(server, it));
                for (levels, line, pass) in passing(server) {
                    let leads = internal.as_ref().map(|it| leads_to(&files, &pass.value, it));
                    // Without a registry here the public address has to tell.
                    if leads.unwrap_or(is_meant) {
                        fronts.push(front(host, &files, path, server, &levels, line, pass).await?);
                    }
                }
            }
        }
    }
    Ok(fronts)
}

async fn package(host: &Host) -> Result<Files, Unknown> {
    let mut read = Vec::new();
    for path in nginx::GENERATED {
        if let Some(nginx) = generated_file(host, path).await? {
            read.push((Utf8PathBuf::from(path), nginx));
        }
    }
    let main = if read.is_empty() { None } else { generated_file(host, PACKAGE_MAIN).await? };
    Ok(Files {
        main: main.unwrap_or_default().outside,
        main_path: PACKAGE_MAIN.into(),
        read,
        folder: "/var/opt/gitlab/nginx".into(),
        generated: true,
    })
}

/// `nginx.conf` and what it usually includes.
async fn own(host: &Host) -> Result<Files, Unknown> {
    let folder = Utf8PathBuf::from(OWN_FOLDER);
    let main_path = folder.join("nginx.conf");
    let mut read = Vec::new();
    let main = nginx_file(host, main_path.clone()).await?;
    let outside = main.as_ref().map(|it| it.outside.clone()).unwrap_or_default();
    read.extend(main.map(|it| (main_path.clone(), it)));
    for (name, ending) in [("conf.d", ".conf"), ("sites-enabled", "")] {
        let listing = host.ask(Directory::at(folder.join(name))).await?;
        for file in listing.names().filter(|file| file.ends_with(ending)) {
            let path = folder.join(name).join(file);
            if let Some(nginx) = nginx_file(host, path.clone()).await? {
                read.push((path, nginx));
            }
        }
    }
    Ok(Files { main: outside, main_path, read, folder, generated: false })
}

/// A file that reconfigure wrote. One that cannot be read leaves the way to the registry open.
async fn generated_file(host: &Host, path: &str) -> Result<Option<Nginx>, Unknown> {
    host.ask(ReadFile::<Nginx>::at(path)).await?.or_unknown(path)
}

/// `None` where there is no such file, or where nginx would not read it either.
async fn nginx_file(host: &Host, path: Utf8PathBuf) -> Result<Option<Nginx>, Unknown> {
    Ok(match host.ask(ReadFile::<Nginx>::at(path)).await? {
        File::Read(nginx) => Some(nginx),
        _ => None,
    })
}

/// Whether the server goes by a public address.
fn is_named(server: &Server, endpoint: &Endpoint) -> bool {
    let named = server.names.iter().any(|it| it.value.eq_ignore_ascii_case(&endpoint.host));
    named && server.listen.iter().any(|it| it.port == Some(endpoint.port))
}

/// The levels of a server from the inside out, down to where requests for `/v2/` are passed on.
type Passing<'a> = (Vec<&'a Scope>, u32, &'a Located<String>);

fn passing(server: &Server) -> Vec<Passing<'_>> {
    let mut found = Vec::new();
    // In the order of the file, so that equal files give equal answers.
    let mut pending: Vec<(Vec<&Scope>, &Location)> =
        server.scope.locations.iter().rev().map(|it| (vec![&server.scope], it)).collect();
    while let Some((above, location)) = pending.pop() {
        if !takes_requests(location) {
            continue;
        }
        let levels: Vec<&Scope> = std::iter::once(&location.scope).chain(above).collect();
        if let Some(pass) = &location.scope.proxy_pass {
            found.push((levels.clone(), location.line, pass));
        }
        pending.extend(location.scope.locations.iter().rev().map(|it| (levels.clone(), it)));
    }
    found
}

/// Whether requests of Docker can come here: below `/v2/`, or where all the others go.
fn takes_requests(location: &Location) -> bool {
    let path = location.path.as_str();
    match location.modifier.as_str() {
        // One path alone: an upload has longer ones.
        "=" => false,
        "~" | "~*" => path.contains("v2") || path.contains(".*"),
        _ => path == "/" || path.starts_with("/v2"),
    }
}

/// Where the registry listens.
enum Backend {
    Tcp(Endpoint),
    /// As `unix:/path`.
    Unix(String),
}

impl Backend {
    /// Whether this is where an address of nginx leads, without scheme and path.
    fn is_at(&self, address: &str) -> bool {
        match self {
            Self::Unix(socket) => one_name(address) == one_name(socket),
            Self::Tcp(internal) => Endpoint::listening(address).is_some_and(|it| {
                it.port == internal.port
                    && (it.host == internal.host || it.is_loopback() && internal.is_loopback())
            }),
        }
    }
}

/// `/var/run` has long been another name of `/run`.
fn one_name(socket: &str) -> String {
    socket.replacen("unix:/var/run/", "unix:/run/", 1)
}

/// Whether `proxy_pass` leads to the registry.
fn leads_to(files: &Files, pass: &str, internal: &Backend) -> bool {
    let Some((_, target)) = pass.split_once("://") else { return false };
    // The path of a socket ends where that of the request begins.
    if target.starts_with("unix:") {
        let ended = target.match_indices(':').nth(1).map_or(target, |(end, _)| &target[..end]);
        return internal.is_at(ended);
    }
    let Ok(target) = Endpoint::parse(pass) else { return false };
    if internal.is_at(&target.socket()) {
        return true;
    }
    let upstreams = files.read.iter().flat_map(|(_, nginx)| &nginx.upstreams);
    let named: Vec<&Upstream> =
        upstreams.filter(|it| it.name.eq_ignore_ascii_case(&target.host)).collect();
    named.iter().flat_map(|it| &it.servers).any(|server| internal.is_at(&server.value))
}

async fn front(
    host: &Host,
    files: &Files,
    path: &Utf8Path,
    server: &Server,
    levels: &[&Scope],
    line: u32,
    pass: &Located<String>,
) -> Result<Front, Unknown> {
    let mut all: Vec<Vec<Part>> = Vec::new();
    let mut unclear = false;
    let own = levels.iter().map(|scope| (path, *scope, true));
    for (path, scope, decides) in own.chain([(&*files.main_path, &files.main, false)]) {
        let mut parts = vec![Part { path: path.to_owned(), at: None, scope: scope.clone() }];
        for include in &scope.includes {
            match included(host, &files.folder, &include.value).await? {
                Some(included) => parts.extend(included.into_iter().map(|(path, nginx)| Part {
                    path,
                    at: include.line,
                    scope: nginx.outside,
                })),
                // For all servers nginx includes types and modules, which say nothing here.
                None => unclear |= decides,
            }
        }
        all.push(parts);
    }
    Ok(Front {
        path: path.to_owned(),
        line,
        generated: files.generated,
        listen: server.listen.clone(),
        proxy_pass: Sourced::file(pass.value.clone(), path, pass.line),
        headers: headers(&all),
        body_limit: body_limit(&all),
        unclear,
    })
}

/// The files that an `include` names, and those that they include; `None` where one of them cannot
/// be read.
async fn included(
    host: &Host,
    folder: &Utf8Path,
    pattern: &str,
) -> Result<Option<Vec<(Utf8PathBuf, Nginx)>>, Unknown> {
    let mut patterns = vec![folder.join(pattern)];
    let mut read = Vec::new();
    while let Some(pattern) = patterns.pop() {
        let Some(paths) = named(host, &pattern).await? else { return Ok(None) };
        for path in paths {
            let Some(nginx) = nginx_file(host, path.clone()).await? else { return Ok(None) };
            patterns.extend(nginx.outside.includes.iter().map(|it| folder.join(&it.value)));
            read.push((path, nginx));
        }
        // Files that include each other would never end.
        if read.len() + patterns.len() > MOST_INCLUDED {
            return Ok(None);
        }
    }
    Ok(Some(read))
}

/// The files that a pattern names, if it is one that is understood.
async fn named(host: &Host, pattern: &Utf8Path) -> Result<Option<Vec<Utf8PathBuf>>, Unknown> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Ok(None);
    };
    let Some((start, end)) = name.split_once('*') else {
        return Ok(Some(vec![pattern.to_owned()]));
    };
    if end.contains('*') || folder.as_str().contains('*') {
        return Ok(None);
    }
    let listing = host.ask(Directory::at(folder)).await?;
    let fits = |name: &&str| {
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    Ok(Some(listing.names().filter(fits).map(|name| folder.join(name)).collect()))
}

/// A part of a level: what stands in the file itself, or what it includes in one line.
struct Part {
    path: Utf8PathBuf,
    at: Option<u32>,
    scope: Scope,
}

/// Of equal headers nginx sends both, and the registry takes the first.
fn headers(all: &[Vec<Part>]) -> BTreeMap<String, Sourced<Option<String>>> {
    let set = |part: &Part| {
        let header = |header: &Header| {
            let source = Source::File { path: part.path.clone(), line: Some(header.line) };
            let value = Sourced { value: header.value.clone(), source };
            (part.at.unwrap_or(header.line), header.name.to_ascii_lowercase(), value)
        };
        part.scope.proxy_set_header.iter().map(header).collect::<Vec<_>>()
    };
    for level in all {
        let mut lines: Vec<_> = level.iter().flat_map(set).collect();
        lines.sort_by_key(|(line, ..)| *line);
        let mut headers = BTreeMap::new();
        for (_, name, value) in lines {
            headers.entry(name).or_insert(value);
        }
        if !headers.is_empty() {
            return headers;
        }
    }
    BTreeMap::new()
}

fn body_limit(all: &[Vec<Part>]) -> Option<Sourced<String>> {
    all.iter().flatten().find_map(|part| {
        let limit = part.scope.directives.get("client_max_body_size")?.last()?;
        Some(Sourced::file(limit.value.clone(), &part.path, limit.line))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::parse::nginx::read;

    /// What the Linux package writes.
    pub(crate) const HEALTHY: &str =
        "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;";

    pub(crate) fn found(text: &str) -> Vec<Front> {
        found_before(&Backend::Tcp(Endpoint::listening("127.0.0.1:5000").unwrap()), text)
    }

    /// The same before a registry that listens on a Unix socket.
    pub(crate) fn found_before_socket(text: &str) -> Vec<Front> {
        found_before(&Backend::Unix("unix:/run/registry.sock".to_owned()), text)
    }

    fn found_before(internal: &Backend, text: &str) -> Vec<Front> {
        let nginx = read(text.as_bytes()).unwrap();
        let path = Utf8PathBuf::from("/etc/nginx/nginx.conf");
        let files = Files {
            main: nginx.outside.clone(),
            main_path: path.clone(),
            read: vec![(path.clone(), nginx.clone())],
            folder: OWN_FOLDER.into(),
            generated: false,
        };
        let host = Host::recorded(<_>::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut fronts = Vec::new();
        for server in &nginx.servers {
            for (levels, line, pass) in passing(server) {
                if leads_to(&files, &pass.value, internal) {
                    let front = front(&host, &files, &path, server, &levels, line, pass);
                    fronts.push(runtime.block_on(front).unwrap());
                }
            }
        }
        fronts
    }

    #[test]
    fn headers_are_inherited_whole_or_not_at_all() {
        let fronts = found(
            "http { client_max_body_size 1g; upstream reg { server localhost:5000; }
             server { listen 443 ssl; proxy_set_header Host $http_host;
               location /v2/ { proxy_pass http://reg; }
               location / { proxy_pass http://127.0.0.1:5000; proxy_set_header X-Forwarded-Proto $scheme;
                 client_max_body_size 0; }
               location /other { proxy_pass http://127.0.0.1:8080; }
               location = /v2/ { proxy_pass http://127.0.0.1:5000; } } }",
        );
        let [v2, all] = &fronts[..] else { panic!("{fronts:?}") };
        assert_eq!(v2.header("host").unwrap().value.as_deref(), Some("$http_host"));
        assert_eq!(v2.body_limit.as_ref().unwrap().value, "1g");
        assert_eq!(all.header("host"), None);
        assert_eq!(all.body_limit.as_ref().unwrap().value, "0");
        assert!(all.speaks_tls());
    }

    #[test]
    fn a_unix_socket_is_a_way_to_the_registry() {
        for pass in
            ["http://unix:/run/registry.sock", "http://unix:/var/run/registry.sock:/", "http://reg"]
        {
            let text = format!(
                "http {{ upstream reg {{ server unix:/run/registry.sock fail_timeout=0; }}
                 server {{ location / {{ proxy_pass {pass}; }} }} }}"
            );
            assert_eq!(found_before_socket(&text).len(), 1, "{pass}");
            assert_eq!(found(&text), [], "{pass}");
        }
        for pass in ["http://unix:/run/other.sock", "http://127.0.0.1:5000", "http://unix", "unix:"]
        {
            let text = format!("server {{ location / {{ proxy_pass {pass}; }} }}");
            assert_eq!(found_before_socket(&text), [], "{pass}");
        }
    }

    #[test]
    fn other_servers_are_none_of_the_registry() {
        let other = "server { location / { proxy_pass http://127.0.0.1:5001; } }";
        assert_eq!(found(other), []);
        let stream = "stream { server { listen 1; proxy_pass 127.0.0.1:5000; } }";
        assert_eq!(found(stream), []);
    }
}
