//! The keys that some version of the registry reads.

use crate::parse::setting::Located;
use crate::parse::yaml::Section;

/// The keys of a section, each list of all versions together. Sections whose keys are free
/// (headers, drivers, options) are not here.
const KNOWN: [(&[&str], &[&str]); 14] = [
    (
        &[],
        &[
            "version",
            "log",
            "loglevel",
            "storage",
            "auth",
            "middleware",
            "reporting",
            "http",
            "notifications",
            "redis",
            "health",
            "catalog",
            "tags",
            "proxy",
            "compatibility",
            "validation",
            "policy",
            "database",
            "gc",
            "profiling",
            "rate_limiter",
        ],
    ),
    (&["log"], &["level", "formatter", "output", "fields", "accesslog", "hooks", "reportcaller"]),
    (
        &["http"],
        &[
            "addr",
            "net",
            "host",
            "prefix",
            "secret",
            "relativeurls",
            "draintimeout",
            "tls",
            "headers",
            "debug",
            "http2",
            "h2c",
        ],
    ),
    (
        &["http", "tls"],
        &[
            "certificate",
            "key",
            "clientcas",
            "clientauth",
            "minimumtls",
            "ciphersuites",
            "letsencrypt",
        ],
    ),
    (&["http", "debug"], &["addr", "prometheus", "tls", "pprof"]),
    (
        &["auth", "token"],
        &[
            "realm",
            "service",
            "issuer",
            "rootcertbundle",
            "autoredirect",
            "autoredirectpath",
            "jwks",
            "signingalgorithms",
        ],
    ),
    (&["storage", "delete"], &["enabled"]),
    (&["storage", "redirect"], &["disable", "expirydelay"]),
    (&["storage", "cache"], &["blobdescriptor", "blobdescriptorsize", "layerinfo"]),
    (&["storage", "maintenance"], &["uploadpurging", "readonly"]),
    (&["storage", "maintenance", "uploadpurging"], &["enabled", "age", "interval", "dryrun"]),
    (&["health"], &["storagedriver", "database", "file", "http", "tcp"]),
    (&["health", "storagedriver"], &["enabled", "interval", "threshold"]),
    (&["notifications"], &["events", "endpoints", "fanouttimeout"]),
];

/// The keys that only Distribution 3 reads.
const OF_DISTRIBUTION_3: [&[&str]; 7] = [
    &["auth", "token", "autoredirectpath"],
    &["auth", "token", "jwks"],
    &["auth", "token", "signingalgorithms"],
    &["http", "h2c"],
    &["http", "tls", "clientauth"],
    &["log", "reportcaller"],
    &["tags"],
];

/// Those of them that are written, as dotted paths.
pub(super) fn of_distribution_3(root: Section<'_>) -> Vec<Located<String>> {
    let written = |path: &&[&str]| {
        let section = path.iter().fold(root, |section, key| section.get(key));
        (!section.is_null()).then(|| section.located(path.join(".")))
    };
    OF_DISTRIBUTION_3.iter().filter_map(written).collect()
}

/// More than anybody misspells: every check is handed the list.
pub(super) const MOST: usize = 64;

/// The keys that are not on the lists, as dotted paths; of too many the first.
pub(super) fn unknown(root: Section<'_>) -> Vec<Located<String>> {
    let mut unknown = Vec::new();
    for (path, known) in KNOWN {
        let section = path.iter().fold(root, |section, key| section.get(key));
        for name in section.names() {
            if unknown.len() < MOST && !known.contains(&name.value.as_str()) {
                let dotted = [path, &[name.value.as_str()]].concat().join(".");
                unknown.push(Located { value: dotted, ..name });
            }
        }
    }
    unknown
}
