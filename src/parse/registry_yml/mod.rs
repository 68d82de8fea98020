//! The container registry's `config.yml`, of Distribution 2 and 3 and of GitLab's own registry.
//!
//! The registry parses it without complaint about keys it does not know, so those are listed
//! here. Only settings on a fixed list are shown with their value.

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::setting::{Located, Secret, Setting};
use super::yaml::{Dialect, Document, Section};

mod environment;
mod fields;
mod keys;
mod storage;
#[cfg(test)]
mod tests;
mod types;

pub use environment::{Environment, Variables};
pub(crate) use storage::NOT_DRIVERS;
pub use storage::{Driver, Storage, UploadPurging};
pub use types::{Found, Mistyped, Wanted};

/// The settings of a registry. Names are those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistryYml {
    /// `version`, which has to be the number 0.1.
    pub version: Setting,
    /// `log`.
    pub log: Log,
    /// `storage`.
    pub storage: Storage,
    /// `http`.
    pub http: Http,
    /// `auth`.
    pub auth: Auth,
    /// `health`.
    pub health: Health,
    /// `notifications.endpoints`, in the order of the file.
    pub notifications: Vec<Endpoint>,
    /// `database`.
    pub database: Database,
    /// `validation`.
    pub validation: Validation,
    /// `compatibility.schema1.enabled`.
    pub compatibility_schema1_enabled: Setting,
    /// `middleware`, all kinds.
    pub middleware: Vec<Middleware>,
    /// `gc.disabled`.
    pub gc_disabled: Setting,
    /// `gc.blobs.disabled`.
    pub gc_blobs_disabled: Setting,
    /// `gc.manifests.disabled`.
    pub gc_manifests_disabled: Setting,
    /// `redis`: there if the section is.
    pub redis: Setting,
    /// `proxy`: there if the section is. The registry is then a pull-through cache.
    pub proxy: Setting,
    /// `proxy.remoteurl`.
    pub proxy_remoteurl: Setting,
    /// The names of the services below `reporting`, all of them outside this host.
    pub reporting: Vec<Located<String>>,
    /// Keys that no known registry reads, as dotted paths: misspelt, misplaced, or newer than
    /// this list.
    pub unknown_keys: Vec<Located<String>>,
    /// Keys that Distribution 3 alone reads, as dotted paths.
    pub distribution_3_keys: Vec<Located<String>>,
    /// Values of a type for which the registry refuses to start.
    pub mistyped: Vec<Mistyped>,
    /// What the variables did of which [`read_with`] was told.
    pub environment: Environment,
}

/// The section `log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `log.level`.
    pub level: Setting,
    /// `log.formatter`.
    pub formatter: Setting,
    /// `log.output`.
    pub output: Setting,
    /// `log.accesslog.disabled`.
    pub accesslog_disabled: Setting,
    /// `log.accesslog.formatter`.
    pub accesslog_formatter: Setting,
    /// The deprecated `loglevel` at the top.
    pub loglevel: Setting,
}

/// The section `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Http {
    /// `http.addr`.
    pub addr: Setting,
    /// `http.net`.
    pub net: Setting,
    /// `http.host`, scrubbed.
    pub host: Setting,
    /// `http.prefix`.
    pub prefix: Setting,
    /// `http.relativeurls`.
    pub relativeurls: Setting,
    /// `http.draintimeout`.
    pub draintimeout: Setting,
    /// `http.secret`.
    pub secret: Option<Located<Secret>>,
    /// `http.tls.certificate`.
    pub tls_certificate: Setting,
    /// `http.tls.key`: the path.
    pub tls_key: Setting,
    /// `http.tls.clientcas`.
    pub tls_clientcas: Vec<Located<String>>,
    /// `http.tls.minimumtls`.
    pub tls_minimumtls: Setting,
    /// `http.tls.letsencrypt`: there if the section is.
    pub tls_letsencrypt: Setting,
    /// `http.debug.addr`.
    pub debug_addr: Setting,
    /// `http.debug.prometheus.enabled`.
    pub debug_prometheus_enabled: Setting,
    /// `http.debug.prometheus.path`.
    pub debug_prometheus_path: Setting,
    /// `http.debug.pprof.enabled`.
    pub debug_pprof_enabled: Setting,
    /// `http.debug.tls.enabled`.
    pub debug_tls_enabled: Setting,
    /// `http.http2.disabled`.
    pub http2_disabled: Setting,
    /// `http.h2c.enabled`.
    pub h2c_enabled: Setting,
    /// `http.headers`.
    pub headers: Vec<Header>,
}

/// A header that is set, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name.
    pub name: String,
    /// Whether the value is a list. The registry refuses anything else.
    pub list: bool,
    /// The line.
    pub line: Option<u32>,
}

/// The section `auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// The types, by name. None: everybody may pull and push. Several: the registry refuses.
    pub types: Vec<Located<String>>,
    /// `auth.token.realm`.
    pub token_realm: Setting,
    /// `auth.token.service`.
    pub token_service: Setting,
    /// `auth.token.issuer`.
    pub token_issuer: Setting,
    /// `auth.token.rootcertbundle`: the path.
    pub token_rootcertbundle: Setting,
    /// `auth.token.autoredirect`.
    pub token_autoredirect: Setting,
    /// `auth.token.jwks` of Distribution 3: the path of a file with public keys.
    pub token_jwks: Setting,
}

/// The section `health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `health.storagedriver.enabled`.
    pub storagedriver_enabled: Setting,
    /// `health.storagedriver.interval`.
    pub storagedriver_interval: Setting,
    /// `health.storagedriver.threshold`.
    pub storagedriver_threshold: Setting,
    /// `health.database.enabled`.
    pub database_enabled: Setting,
    /// The `file` of each element of `health.file`. The registry is unhealthy while it exists.
    pub files: Vec<Located<String>>,
    /// The `uri` of each element of `health.http`, scrubbed.
    pub uris: Vec<Located<String>>,
    /// The `addr` of each element of `health.tcp`.
    pub addresses: Vec<Located<String>>,
}

/// An element of `notifications.endpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// The line it starts on.
    pub line: Option<u32>,
    /// The environment variable that supplied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// `name`.
    pub name: Setting,
    /// `disabled`.
    pub disabled: Setting,
    /// `url`, scrubbed.
    pub url: Setting,
    /// `timeout`. A number without unit is nanoseconds.
    pub timeout: Setting,
    /// `threshold`.
    pub threshold: Setting,
    /// `maxretries`.
    pub maxretries: Setting,
    /// `backoff`. A number without unit is nanoseconds.
    pub backoff: Setting,
    /// `headers`.
    pub headers: Vec<Header>,
}

/// The section `database`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `database.enabled`: a boolean, or one of the texts `true`, `false`, `prefer`.
    pub enabled: Setting,
    /// `database.host`.
    pub host: Setting,
    /// `database.port`.
    pub port: Setting,
    /// `database.dbname`.
    pub dbname: Setting,
    /// `database.sslmode`.
    pub sslmode: Setting,
    /// `database.password`.
    pub password: Option<Located<Secret>>,
}

/// The section `validation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Validation {
    /// `validation.enabled`, of old versions.
    pub enabled: Setting,
    /// `validation.disabled`.
    pub disabled: Setting,
    /// `validation.manifests.referencelimit`.
    pub referencelimit: Setting,
    /// `validation.manifests.payloadsizelimit`.
    pub payloadsizelimit: Setting,
}

/// An element of `middleware.registry`, `.repository` or `.storage`, without its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Middleware {
    /// `registry`, `repository` or `storage`.
    pub kind: String,
    /// `name`.
    pub name: Setting,
    /// `disabled`.
    pub disabled: Setting,
    /// The line it starts on.
    pub line: Option<u32>,
}

/// Reads a `config.yml`. Like the registry, it takes the first document, tolerates a byte order
/// mark and CRLF, and of equal keys takes the last.
pub fn read(bytes: &[u8]) -> Result<RegistryYml, Malformed> {
    read_with(bytes, &Variables::default())
}

/// The same for a registry that runs with these variables in its environment.
pub fn read_with(bytes: &[u8], variables: &Variables) -> Result<RegistryYml, Malformed> {
    let mut document = Document::read(bytes, Dialect::Go)?;
    let environment = environment::apply(&mut document, variables);
    let root = document.root();
    let proxy = root.get("proxy");
    Ok(RegistryYml {
        version: root.scalar("version"),
        log: log(root),
        storage: storage::storage(root.get("storage")),
        http: http(root.get("http")),
        auth: auth(root.get("auth")),
        health: health(root.get("health")),
        notifications: root
            .get("notifications")
            .get("endpoints")
            .elements()
            .map(endpoint)
            .collect(),
        database: database(root.get("database")),
        validation: validation(root.get("validation")),
        compatibility_schema1_enabled: root.get("compatibility").get("schema1").scalar("enabled"),
        middleware: middleware(root.get("middleware")),
        gc_disabled: root.get("gc").scalar("disabled"),
        gc_blobs_disabled: root.get("gc").get("blobs").scalar("disabled"),
        gc_manifests_disabled: root.get("gc").get("manifests").scalar("disabled"),
        redis: root.scalar("redis"),
        proxy: proxy.setting(),
        proxy_remoteurl: proxy.url("remoteurl"),
        reporting: root.get("reporting").names(),
        unknown_keys: keys::unknown(root),
        distribution_3_keys: keys::of_distribution_3(root),
        mistyped: types::mistyped(root),
        environment,
    })
}

fn log(root: Section<'_>) -> Log {
    let log = root.get("log");
    let accesslog = log.get("accesslog");
    Log {
        level: log.scalar("level"),
        formatter: log.scalar("formatter"),
        output: log.scalar("output"),
        accesslog_disabled: accesslog.scalar("disabled"),
        accesslog_formatter: accesslog.scalar("formatter"),
        loglevel: root.scalar("loglevel"),
    }
}

fn http(http: Section<'_>) -> Http {
    let (tls, debug) = (http.get("tls"), http.get("debug"));
    let prometheus = debug.get("prometheus");
    Http {
        addr: http.scalar("addr"),
        net: http.scalar("net"),
        host: http.url("host"),
        prefix: http.scalar("prefix"),
        relativeurls: http.scalar("relativeurls"),
        draintimeout: http.scalar("draintimeout"),
        secret: http.secret("secret"),
        tls_certificate: tls.scalar("certificate"),
        tls_key: tls.scalar("key"),
        tls_clientcas: tls.get("clientcas").texts(),
        tls_minimumtls: tls.scalar("minimumtls"),
        tls_letsencrypt: tls.scalar("letsencrypt"),
        debug_addr: debug.scalar("addr"),
        debug_prometheus_enabled: prometheus.scalar("enabled"),
        debug_prometheus_path: prometheus.scalar("path"),
        debug_pprof_enabled: debug.get("pprof").scalar("enabled"),
        debug_tls_enabled: debug.get("tls").scalar("enabled"),
        http2_disabled: http.get("http2").scalar("disabled"),
        h2c_enabled: http.get("h2c").scalar("enabled"),
        headers: headers(http.get("headers")),
    }
}

fn headers(section: Section<'_>) -> Vec<Header> {
    let header = |(name, value): (&str, Section<'_>)| Header {
        name: name.to_owned(),
        list: value.is_list(),
        line: value.line(),
    };
    section.entries().map(header).collect()
}

fn auth(auth: Section<'_>) -> Auth {
    let token = auth.get("token");
    Auth {
        types: auth.choices(),
        token_realm: token.url("realm"),
        token_service: token.scalar("service"),
        token_issuer: token.scalar("issuer"),
        token_rootcertbundle: token.scalar("rootcertbundle"),
        token_autoredirect: token.scalar("autoredirect"),
        token_jwks: token.scalar("jwks"),
    }
}

fn health(health: Section<'_>) -> Health {
    let storagedriver = health.get("storagedriver");
    let each = |checker: &str, key: &str| {
        health.get(checker).elements().flat_map(|element| element.get(key).texts()).collect()
    };
    Health {
        storagedriver_enabled: storagedriver.scalar("enabled"),
        storagedriver_interval: storagedriver.scalar("interval"),
        storagedriver_threshold: storagedriver.scalar("threshold"),
        database_enabled: health.get("database").scalar("enabled"),
        files: each("file", "file"),
        uris: each("http", "uri"),
        addresses: each("tcp", "addr"),
    }
}

fn endpoint(endpoint: Section<'_>) -> Endpoint {
    let Located { line, variable, value: () } = endpoint.located(());
    Endpoint {
        line,
        variable,
        name: endpoint.scalar("name"),
        disabled: endpoint.scalar("disabled"),
        url: endpoint.url("url"),
        timeout: endpoint.scalar("timeout"),
        threshold: endpoint.scalar("threshold"),
        maxretries: endpoint.scalar("maxretries"),
        backoff: endpoint.scalar("backoff"),
        headers: headers(endpoint.get("headers")),
    }
}

fn database(database: Section<'_>) -> Database {
    Database {
        enabled: database.scalar("enabled"),
        host: database.url("host"),
        port: database.scalar("port"),
        dbname: database.scalar("dbname"),
        sslmode: database.scalar("sslmode"),
        password: database.secret("password"),
    }
}

fn validation(validation: Section<'_>) -> Validation {
    let manifests = validation.get("manifests");
    Validation {
        enabled: validation.scalar("enabled"),
        disabled: validation.scalar("disabled"),
        referencelimit: manifests.scalar("referencelimit"),
        payloadsizelimit: manifests.scalar("payloadsizelimit"),
    }
}

fn middleware(middleware: Section<'_>) -> Vec<Middleware> {
    let of_kind = |(kind, list): (&str, Section<'_>)| {
        let one = |element: Section<'_>| Middleware {
            kind: kind.to_owned(),
            name: element.scalar("name"),
            disabled: element.scalar("disabled"),
            line: element.line(),
        };
        list.elements().map(one).collect::<Vec<_>>()
    };
    middleware.entries().flat_map(of_kind).collect()
}
