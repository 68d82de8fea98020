//! The fields of the registry's own structures, which give its environment variables their names.
//!
//! Those of Distribution 2 and 3 and of GitLab's registry together, as far as a setting that is
//! looked at lies there: what one of them does not know it ignores with a warning.

/// What a variable can do to a value of a type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Anything that is only replaced as a whole.
    Whole,
    /// The same, and text whatever it looks like.
    Text,
    /// A structure, with the names of its fields.
    Fields(&'static [Field]),
    /// A mapping with free keys.
    Keys(&'static Shape),
    /// The same, where a lone name stands for a mapping with that one key.
    Choice(&'static Shape),
    /// A list, whose elements some registries let variables reach by their numbers.
    List(&'static Shape),
    /// Whatever the file says. Variables do not reach into it.
    Any,
}

/// A field of a structure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its key in the file.
    pub(super) key: &'static str,
    /// Its name in variables, where that is not the key.
    name: Option<&'static str>,
    /// Its type.
    pub(super) shape: Shape,
}

impl Field {
    /// The field that a part of a variable's name stands for.
    pub(super) fn find(fields: &[Self], part: &str) -> Option<Self> {
        let named = |field: &&Self| match field.name {
            Some(name) => name == part,
            None => field.key.to_ascii_uppercase() == part,
        };
        fields.iter().find(named).copied()
    }
}

const fn field(key: &'static str, shape: Shape) -> Field {
    Field { key, name: None, shape }
}

const fn renamed(key: &'static str, name: &'static str, shape: Shape) -> Field {
    Field { key, name: Some(name), shape }
}

const fn text(key: &'static str) -> Field {
    field(key, Shape::Text)
}

const fn whole(key: &'static str) -> Field {
    field(key, Shape::Whole)
}

const fn section(key: &'static str, fields: &'static [Field]) -> Field {
    field(key, Shape::Fields(fields))
}

/// The parameters of a driver, of an authorizer, or of what stands beside a driver.
const PARAMETERS: Shape = Shape::Keys(&Shape::Any);

const HEADERS: Field = field("headers", Shape::Keys(&Shape::Whole));

/// The whole file. Its `version` is judged before variables are looked at.
pub(super) const ROOT: Shape = Shape::Fields(&[
    section("log", LOG),
    text("loglevel"),
    field("storage", Shape::Choice(&PARAMETERS)),
    field("auth", Shape::Choice(&PARAMETERS)),
    field("middleware", Shape::Keys(&Shape::List(&Shape::Fields(MIDDLEWARE)))),
    section("reporting", REPORTING),
    section("http", HTTP),
    section("notifications", NOTIFICATIONS),
    section("redis", REDIS),
    section("health", HEALTH),
    section("catalog", &[whole("maxentries")]),
    section("tags", &[whole("maxtags")]),
    section("proxy", &[text("remoteurl"), text("username"), text("password"), whole("ttl")]),
    section("compatibility", &[section("schema1", SCHEMA1)]),
    section("validation", VALIDATION),
    section("policy", &[section("repository", &[whole("classes")])]),
    section("database", DATABASE),
    section("gc", GC),
]);

const LOG: &[Field] = &[
    section("accesslog", &[whole("disabled"), text("formatter")]),
    text("level"),
    text("formatter"),
    text("output"),
    field("fields", PARAMETERS),
    whole("hooks"),
    whole("reportcaller"),
];

const MIDDLEWARE: &[Field] = &[text("name"), whole("disabled"), field("options", PARAMETERS)];

const REPORTING: &[Field] = &[
    section("bugsnag", &[text("apikey"), text("releasestage"), text("endpoint")]),
    section("newrelic", &[text("licensekey"), text("name"), whole("verbose")]),
    section("sentry", &[whole("enabled"), text("dsn"), text("environment")]),
];

const HTTP: &[Field] = &[
    text("addr"),
    text("net"),
    text("host"),
    text("prefix"),
    text("secret"),
    whole("relativeurls"),
    whole("draintimeout"),
    section("tls", TLS),
    HEADERS,
    section("debug", DEBUG),
    section("http2", &[whole("disabled")]),
    section("h2c", &[whole("enabled")]),
];

const TLS: &[Field] = &[
    whole("enabled"),
    text("certificate"),
    text("key"),
    whole("clientcas"),
    text("clientauth"),
    text("minimumtls"),
    whole("ciphersuites"),
    section(
        "letsencrypt",
        &[text("cachefile"), text("email"), whole("hosts"), text("directoryurl")],
    ),
];

const DEBUG: &[Field] = &[
    text("addr"),
    section("tls", TLS),
    section("prometheus", &[whole("enabled"), text("path")]),
    section("pprof", &[whole("enabled")]),
];

const NOTIFICATIONS: &[Field] = &[
    renamed("events", "EVENTCONFIG", Shape::Fields(&[whole("includereferences")])),
    field("endpoints", Shape::List(&Shape::Fields(ENDPOINT))),
    whole("fanouttimeout"),
];

const ENDPOINT: &[Field] = &[
    text("name"),
    whole("disabled"),
    text("url"),
    HEADERS,
    whole("timeout"),
    whole("threshold"),
    whole("maxretries"),
    whole("backoff"),
    whole("ignoredmediatypes"),
    section("ignore", &[whole("mediatypes"), whole("actions")]),
    whole("queuepurgetimeout"),
    whole("queuesizelimit"),
];

const REDIS: &[Field] = &[
    whole("enabled"),
    text("addr"),
    whole("addrs"),
    text("mainname"),
    text("mastername"),
    text("username"),
    text("password"),
    whole("db"),
    whole("dialtimeout"),
    whole("readtimeout"),
    whole("writetimeout"),
    section("tls", &[whole("enabled"), whole("insecure")]),
    section("pool", &[whole("size"), whole("maxlifetime"), whole("maxidle"), whole("idletimeout")]),
    text("sentinelusername"),
    text("sentinelpassword"),
    section("cache", REDIS_OF_ITS_OWN),
    section("ratelimiter", REDIS_OF_ITS_OWN),
    section("loadbalancing", REDIS_OF_ITS_OWN),
];

const REDIS_OF_ITS_OWN: &[Field] = &[whole("enabled"), text("addr"), text("password")];

const HEALTH: &[Field] = &[
    section("storagedriver", CHECKER),
    section("database", CHECKER),
    renamed("file", "FILECHECKERS", Shape::List(&Shape::Fields(CHECKER))),
    renamed("http", "HTTPCHECKERS", Shape::List(&Shape::Fields(CHECKER))),
    renamed("tcp", "TCPCHECKERS", Shape::List(&Shape::Fields(CHECKER))),
];

const CHECKER: &[Field] = &[
    whole("enabled"),
    whole("interval"),
    whole("threshold"),
    whole("timeout"),
    whole("statuscode"),
    text("file"),
    text("uri"),
    text("addr"),
    HEADERS,
];

const SCHEMA1: &[Field] = &[whole("enabled"), renamed("signingkeyfile", "TRUSTKEY", Shape::Text)];

const VALIDATION: &[Field] = &[
    whole("enabled"),
    whole("disabled"),
    section(
        "manifests",
        &[
            whole("referencelimit"),
            whole("payloadsizelimit"),
            section("urls", &[whole("allow"), whole("deny")]),
        ],
    ),
];

const DATABASE: &[Field] = &[
    whole("enabled"),
    text("host"),
    whole("port"),
    text("user"),
    text("password"),
    text("dbname"),
    text("sslmode"),
    text("sslcert"),
    text("sslkey"),
    text("sslrootcert"),
];

const GC: &[Field] = &[
    whole("disabled"),
    section("blobs", &[whole("disabled"), whole("interval")]),
    section("manifests", &[whole("disabled"), whole("interval")]),
];
