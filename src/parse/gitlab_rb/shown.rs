//! Which texts of `gitlab.rb` may be shown, and how.
//!
//! Whatever is recorded ends up in support bundles, so this is a list of what is allowed: a text at
//! any other path is recorded as "set, not shown". Truth values are always shown, and numbers are,
//! unless their key or a parent's name sounds like a secret.
//!
//! A pattern is a path with dots between its keys. `*` stands for any one key, a trailing `**` for
//! any number of further ones. Lists add no key: the elements of `roles` are at `roles`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How a text that may be shown is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// As it stands: a path, an address, a port, a driver, a duration.
    Text,
    /// As a URL without user, password, query and fragment.
    Url,
    /// Scheme, host and port of a URL: the path may hold a token, as those of web hooks do.
    Origin,
}

const TEXTS: &[&str] = &[
    "roles",
    "edition",
    "runtime_dir",
    "git_data_dir",
    "git_data_dirs.*.path",
    // What most services have in common.
    "*.dir",
    "*.env_directory",
    "*.group",
    "*.home",
    "*.listen",
    "*.listen_addr",
    "*.listen_address",
    "*.listen_network",
    "*.log_directory",
    "*.log_format",
    "*.log_formatter",
    "*.log_level",
    "*.shell",
    "*.username",
    // Environments of processes.
    "*.env.DRIFT_THRESHOLD",
    "*.env.GODEBUG",
    "*.env.NO_PROXY",
    "*.env.NTP_HOST",
    "*.env.NTP_PORT",
    "*.env.NTP_TIMEOUT",
    "*.env.REGISTRY_FF_ENFORCE_LOCKFILES",
    "*.env.REGISTRY_HTTP_TLS_CERTIFICATE",
    "*.env.REGISTRY_HTTP_TLS_KEY",
    "*.env.SSL_CERT_DIR",
    "*.env.SSL_CERT_FILE",
    "*.env.TZ",
    "*.env.no_proxy",
    // The registry.
    "registry.debug_addr",
    "registry.default_notifications_backoff",
    "registry.default_notifications_maxretries",
    "registry.default_notifications_threshold",
    "registry.default_notifications_timeout",
    "registry.gc.**",
    "registry.http_draintimeout",
    "registry.middleware.*.name",
    "registry.notifications.backoff",
    "registry.notifications.ignoredmediatypes",
    "registry.notifications.maxretries",
    "registry.notifications.name",
    "registry.notifications.threshold",
    "registry.notifications.timeout",
    "registry.registry_http_addr",
    "registry.rootcertbundle",
    "registry.redis.*.addr",
    "registry.redis.*.mainname",
    "registry.redis.addr",
    "registry.redis.mainname",
    "registry.reporting.sentry.environment",
    // Its database.
    "registry.database.connecttimeout",
    "registry.database.dbname",
    "registry.database.draintimeout",
    "registry.database.enabled",
    "registry.database.host",
    "registry.database.pool.*",
    "registry.database.port",
    "registry.database.primary",
    "registry.database.sslcert",
    "registry.database.sslkey",
    "registry.database.sslmode",
    "registry.database.sslrootcert",
    "registry.database.user",
    // Its storage.
    "registry.storage.*.accountname",
    "registry.storage.*.blobdescriptor",
    "registry.storage.*.bucket",
    "registry.storage.*.checksum_algorithm",
    "registry.storage.*.checksum_disabled",
    "registry.storage.*.chunksize",
    "registry.storage.*.container",
    "registry.storage.*.credentials_type",
    "registry.storage.*.enabled",
    "registry.storage.*.encrypt",
    "registry.storage.*.expirydelay",
    "registry.storage.*.keyfile",
    "registry.storage.*.legacyrootprefix",
    "registry.storage.*.loglevel",
    "registry.storage.*.maxconcurrency",
    "registry.storage.*.maxrequestspersecond",
    "registry.storage.*.maxretries",
    "registry.storage.*.maxthreads",
    "registry.storage.*.multipartcopychunksize",
    "registry.storage.*.multipartcopymaxconcurrency",
    "registry.storage.*.multipartcopythresholdsize",
    "registry.storage.*.objectacl",
    "registry.storage.*.objectownership",
    "registry.storage.*.parallelwalk",
    "registry.storage.*.pathstyle",
    "registry.storage.*.realm",
    "registry.storage.*.region",
    "registry.storage.*.rootdirectory",
    "registry.storage.*.secure",
    "registry.storage.*.skipverify",
    "registry.storage.*.storageclass",
    "registry.storage.*.trimlegacyrootprefix",
    "registry.storage.*.v4auth",
    "registry.storage.maintenance.*.*",
    "registry.storage.redirect.disable",
    // NGINX, of GitLab and of everything beside it.
    "NGINX.client_max_body_size",
    "NGINX.hsts_max_age",
    "NGINX.http2_enabled",
    "NGINX.keepalive_timeout",
    "NGINX.listen_addresses",
    "NGINX.listen_port",
    "NGINX.proxy_cache",
    "NGINX.proxy_connect_timeout",
    "NGINX.proxy_protocol",
    "NGINX.proxy_read_timeout",
    "NGINX.proxy_send_timeout",
    "NGINX.proxy_set_headers.Connection",
    "NGINX.proxy_set_headers.Host",
    "NGINX.proxy_set_headers.Upgrade",
    "NGINX.proxy_set_headers.X-Forwarded-For",
    "NGINX.proxy_set_headers.X-Forwarded-Proto",
    "NGINX.proxy_set_headers.X-Forwarded-Ssl",
    "NGINX.proxy_set_headers.X-Real-IP",
    "NGINX.real_ip_header",
    "NGINX.real_ip_trusted_addresses",
    "NGINX.redirect_http_to_https_port",
    "NGINX.ssl_certificate",
    "NGINX.ssl_certificate_key",
    "NGINX.ssl_ciphers",
    "NGINX.ssl_client_certificate",
    "NGINX.ssl_dhparam",
    "NGINX.ssl_password_file",
    "NGINX.ssl_protocols",
    "NGINX.ssl_verify_client",
    "NGINX.status.fqdn",
    "NGINX.status.listen_addresses",
    "NGINX.status.options.allow",
    "NGINX.status.options.deny",
    // Rails.
    "gitlab_rails.allowed_hosts",
    "gitlab_rails.artifacts_path",
    "gitlab_rails.backup_path",
    "gitlab_rails.backup_upload_remote_directory",
    "gitlab_rails.db_adapter",
    "gitlab_rails.db_database",
    "gitlab_rails.db_host",
    "gitlab_rails.db_port",
    "gitlab_rails.db_sslmode",
    "gitlab_rails.db_sslrootcert",
    "gitlab_rails.gitlab_host",
    "gitlab_rails.gitlab_shell_ssh_port",
    "gitlab_rails.gitlab_ssh_host",
    "gitlab_rails.incoming_email_host",
    "gitlab_rails.incoming_email_port",
    "gitlab_rails.monitoring_whitelist",
    "gitlab_rails.object_store.objects.*.bucket",
    "gitlab_rails.packages_storage_path",
    "gitlab_rails.redis_host",
    "gitlab_rails.redis_port",
    "gitlab_rails.redis_socket",
    "gitlab_rails.registry_host",
    "gitlab_rails.registry_issuer",
    "gitlab_rails.registry_key_path",
    "gitlab_rails.registry_path",
    "gitlab_rails.registry_port",
    "gitlab_rails.shared_path",
    "gitlab_rails.smtp_address",
    "gitlab_rails.smtp_authentication",
    "gitlab_rails.smtp_ca_file",
    "gitlab_rails.smtp_ca_path",
    "gitlab_rails.smtp_domain",
    "gitlab_rails.smtp_openssl_verify_mode",
    "gitlab_rails.smtp_port",
    "gitlab_rails.time_zone",
    "gitlab_rails.trusted_proxies",
    "gitlab_rails.uploads_directory",
    "gitlab_rails.ldap_servers.*.ca_file",
    "gitlab_rails.ldap_servers.*.encryption",
    "gitlab_rails.ldap_servers.*.host",
    "gitlab_rails.ldap_servers.*.port",
    "gitlab_rails.ldap_servers.*.tls_options.ca_file",
    // Object stores of Rails. `CONNECTION` stands for each of their many settings.
    "CONNECTION.azure_storage_domain",
    "CONNECTION.host",
    "CONNECTION.path_style",
    "CONNECTION.provider",
    "CONNECTION.region",
    // Gitaly and Praefect.
    "gitaly.configuration.listen_addr",
    "gitaly.configuration.prometheus_listen_addr",
    "gitaly.configuration.runtime_dir",
    "gitaly.configuration.socket_path",
    "gitaly.configuration.storage.name",
    "gitaly.configuration.storage.path",
    "gitaly.configuration.tls.certificate_path",
    "gitaly.configuration.tls.key_path",
    "gitaly.configuration.tls_listen_addr",
    "praefect.configuration.listen_addr",
    "praefect.configuration.prometheus_listen_addr",
    "praefect.configuration.tls.certificate_path",
    "praefect.configuration.tls.key_path",
    "praefect.configuration.tls_listen_addr",
    "praefect.configuration.virtual_storage.name",
    "praefect.configuration.virtual_storage.node.storage",
    // The rest.
    "gitlab_pages.external_http",
    "gitlab_pages.external_https",
    "high_availability.mountpoint",
    "letsencrypt.alt_names",
    "letsencrypt.auto_renew_day_of_month",
    "letsencrypt.auto_renew_hour",
    "letsencrypt.auto_renew_minute",
    "pgbouncer.databases.*.host",
    "postgresql.custom_pg_hba_entries.*.cidr",
    "postgresql.md5_auth_cidr_addresses",
    "postgresql.ssl_ca_file",
    "postgresql.ssl_cert_file",
    "postgresql.ssl_key_file",
    "postgresql.trust_auth_cidr_addresses",
    "puma.port",
    "redis.bind",
    "redis.master_ip",
    "redis.unixsocket",
    "sentinel.bind",
    "user.gid",
    "user.uid",
    "web_server.external_users",
];

const URLS: &[&str] = &[
    "external_url",
    "registry_external_url",
    "pages_external_url",
    "mattermost_external_url",
    "gitlab_kas_external_url",
    "git_data_dirs.*.gitaly_address",
    "registry.storage.*.regionendpoint",
    "registry.storage.*.serviceurl",
    "registry.token_realm",
    "gitlab_rails.gitlab_kas_external_url",
    "gitlab_rails.gitlab_kas_internal_url",
    "gitlab_rails.registry_api_url",
    "gitlab_pages.gitlab_server",
    "gitlab_pages.internal_gitlab_server",
    "gitlab_kas.gitlab_address",
    "gitlab_workhorse.auth_backend",
    "CONNECTION.endpoint",
    "letsencrypt.acme_production_endpoint",
    "letsencrypt.acme_staging_endpoint",
    "praefect.configuration.virtual_storage.node.address",
    "gitlab_rails.gravatar_plain_url",
    "gitlab_rails.gravatar_ssl_url",
];

const ORIGINS: &[&str] = &[
    "*.env.ALL_PROXY",
    "*.env.HTTPS_PROXY",
    "*.env.HTTP_PROXY",
    "*.env.all_proxy",
    "*.env.http_proxy",
    "*.env.https_proxy",
    "registry.middleware.*.options.baseurl",
    "registry.notifications.url",
];

/// Parts of names that announce a secret. A number under them is not shown.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "cookie",
    "credential",
    "credentials",
    "dsn",
    "headers",
    "key",
    "keys",
    "omniauth",
    "otp",
    "pass",
    "passphrase",
    "password",
    "passwords",
    "passwd",
    "pin",
    "private",
    "providers",
    "pwd",
    "salt",
    "secret",
    "secrets",
    "token",
    "tokens",
    "env",
    "accesskey",
    "accountkey",
    "secretkey",
    "sessiontoken",
    "webhook",
];

/// A pattern, taken apart at its dots.
type Pattern = Vec<&'static str>;

/// The patterns by their last key, since files may have millions of texts.
static LISTED: LazyLock<BTreeMap<&str, Vec<(Pattern, Show)>>> = LazyLock::new(|| {
    let lists = [(URLS, Show::Url), (ORIGINS, Show::Origin), (TEXTS, Show::Text)];
    let mut by_last_key = BTreeMap::<&str, Vec<_>>::new();
    for (pattern, show) in lists.iter().flat_map(|(list, show)| list.iter().map(|p| (*p, *show))) {
        let keys: Pattern = pattern.split('.').collect();
        let last = keys.last().copied().unwrap_or_default();
        by_last_key.entry(last).or_default().push((keys, show));
    }
    by_last_key
});

/// How a text at `path` may be shown. `None`: not at all.
pub(super) fn show(path: &[&str]) -> Option<Show> {
    let path = normalized(path);
    [*path.last()?, "*", "**"]
        .into_iter()
        .filter_map(|last| LISTED.get(last))
        .flatten()
        .find(|(pattern, _)| matches(pattern, &path))
        .map(|(_, show)| *show)
}

/// Whether a number at `path` may be shown.
pub(super) fn shows_number(path: &[&str]) -> bool {
    show(path).is_some()
        || !path
            .iter()
            .flat_map(|key| key.split(|character: char| !character.is_ascii_alphanumeric()))
            .any(|word| SECRET_WORDS.iter().any(|secret| secret.eq_ignore_ascii_case(word)))
}

/// Whether a key may be shown. Keys name things, but nothing keeps anyone from using a token as one,
/// so none is shown that has a part as long and mixed as tokens are.
pub(super) fn shows_key(key: &str) -> bool {
    let words = || key.split(|character: char| !character.is_ascii_alphanumeric());
    let starts_well = key.starts_with(|first: char| first.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/ ".contains(&byte);
    starts_well
        && key.len() <= 64
        && key.bytes().all(allowed)
        && words().all(|word| {
            let digits = word.bytes().filter(u8::is_ascii_digit).count();
            word.len() <= 8 || (digits == 0 && word.len() <= 20)
        })
}

/// One spelling for what has several: NGINX sections, and the connections of object stores.
fn normalized<'a>(path: &[&'a str]) -> Vec<&'a str> {
    match path {
        [
            "nginx" | "registry_nginx" | "pages_nginx" | "mattermost_nginx" | "gitlab_kas_nginx",
            rest @ ..,
        ]
        | ["registry" | "gitlab_rails", "nginx", rest @ ..]
            if !rest.first().is_some_and(|key| ["dir", "log_directory"].contains(key)) =>
        {
            [&["NGINX"], rest].concat()
        }
        ["gitlab_rails", "object_store", "connection", rest @ ..] => {
            [&["CONNECTION"], rest].concat()
        }
        ["gitlab_rails", key, rest @ ..]
            if key.ends_with("object_store_connection") || key.ends_with("upload_connection") =>
        {
            [&["CONNECTION"], rest].concat()
        }
        ["gitlab_rails", key] if key.ends_with("object_store_remote_directory") => {
            vec!["gitlab_rails", "backup_upload_remote_directory"]
        }
        _ => path.to_vec(),
    }
}

fn matches(pattern: &[&str], path: &[&str]) -> bool {
    let fits = |(expected, key): (&&str, &&str)| *expected == "*" || expected == key;
    match pattern {
        [parents @ .., "**"] => path.len() >= pattern.len() && parents.iter().zip(path).all(fits),
        _ => path.len() == pattern.len() && pattern.iter().zip(path).all(fits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_the_spellings_of_a_setting() {
        assert_eq!(show(&["external_url"]), Some(Show::Url));
        assert_eq!(show(&["registry", "storage", "s3_v2", "bucket"]), Some(Show::Text));
        assert_eq!(show(&["registry", "nginx", "ssl_certificate"]), Some(Show::Text));
        assert_eq!(show(&["registry_nginx", "ssl_certificate"]), Some(Show::Text));
        assert_eq!(show(&["gitaly", "env", "NTP_HOST"]), Some(Show::Text));
        assert_eq!(
            show(&["gitlab_rails", "lfs_object_store_connection", "region"]),
            Some(Show::Text)
        );
        assert_eq!(show(&["registry", "gc", "blobs", "interval"]), Some(Show::Text));
        assert_eq!(show(&["registry", "storage", "s3", "secretkey"]), None);
        assert_eq!(show(&["registry", "storage"]), None);
        assert_eq!(show(&["nginx", "custom_gitlab_server_config"]), None);
        assert_eq!(show(&["gitlab_rails", "env", "AWS_SECRET_ACCESS_KEY"]), None);
    }

    #[test]
    fn numbers_under_secret_names_are_not_shown() {
        assert!(shows_number(&["puma", "worker_processes"]));
        assert!(!shows_number(&["gitlab_rails", "smtp_password"]));
        assert!(!shows_number(&["gitlab_rails", "env", "PIN"]));
    }

    #[test]
    fn keys_that_look_like_tokens_are_not_shown() {
        for key in
            ["s3_v2", "X-Forwarded-Proto", "NTP_HOST", "gitaly-1", "127.0.0.1", "log_directory"]
        {
            assert!(shows_key(key), "{key}");
        }
        for key in ["glpat-ABCDEFGHIJ0123456789", "", "a b\nc", "$", "MIIEpAIBAAKCAQEA0Z3VS5JJcds3"]
        {
            assert!(!shows_key(key), "{key}");
        }
    }

    /// No pattern may name a key that sounds like a secret, unless it names a file or a switch.
    #[test]
    fn no_pattern_shows_a_secret() {
        let innocent = [
            "registry.database.sslkey",
            "*.env.REGISTRY_HTTP_TLS_KEY",
            "NGINX.ssl_certificate_key",
            "gitlab_rails.registry_key_path",
            "gitaly.configuration.tls.key_path",
            "praefect.configuration.tls.key_path",
            "postgresql.ssl_key_file",
            "NGINX.ssl_password_file",
        ];
        for pattern in TEXTS.iter().chain(URLS).chain(ORIGINS) {
            let last = pattern.rsplit('.').next().unwrap().to_lowercase();
            let sounds = ["secret", "password", "token", "key", "credential"];
            let suspicious = sounds.iter().any(|sound| last.contains(sound))
                && !["keyfile", "token_realm", "keepalive_timeout", "credentials_type"]
                    .contains(&last.as_str());
            assert!(!suspicious || innocent.contains(pattern), "{pattern}");
        }
    }
}
