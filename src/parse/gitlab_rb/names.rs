//! The names that `gitlab.rb` knows without a receiver. Any other one stops reconfigure with
//! "Reading unsupported config value". And the methods of Ruby that matter to what is set.

/// Settings of the Linux package, versions 14 to 19, sorted. A name that was removed in between is
/// still a name: which version refuses it is for a check to say.
const SETTINGS: &[&str] = &[
    "actioncable",
    "alertmanager",
    "bootstrap",
    "consul",
    "crond",
    "edition",
    "external_url",
    "geo_logcursor",
    "geo_postgresql",
    "geo_primary_role",
    "geo_secondary",
    "geo_secondary_role",
    "git_data_dir",
    "git_data_dirs",
    "gitaly",
    "gitaly_client",
    "gitlab_backup_cli",
    "gitlab_ci",
    "gitlab_exporter",
    "gitlab_kas",
    "gitlab_kas_external_url",
    "gitlab_kas_nginx",
    "gitlab_pages",
    "gitlab_rails",
    "gitlab_shell",
    "gitlab_sshd",
    "gitlab_workhorse",
    "grafana",
    "high_availability",
    "letsencrypt",
    "logging",
    "logrotate",
    "mailroom",
    "manage_accounts",
    "manage_storage_directories",
    "mattermost",
    "mattermost_external_url",
    "mattermost_nginx",
    "nginx",
    "node_exporter",
    "oak",
    "omnibus_gitconfig",
    "package",
    "pages_external_url",
    "pages_nginx",
    "patroni",
    "pgbouncer",
    "pgbouncer_exporter",
    "postgres_exporter",
    "postgresql",
    "praefect",
    "prometheus",
    "prometheus_monitoring",
    "puma",
    "redis",
    "redis_exporter",
    "registry",
    "registry_external_url",
    "registry_nginx",
    "remote_syslog",
    "repmgr",
    "repmgrd",
    "roles",
    "runtime_dir",
    "sentinel",
    "sidekiq",
    "sidekiq_cluster",
    "spamcheck",
    "storage_check",
    "suggested_reviewers",
    "unicorn",
    "user",
    "web_server",
];

/// What every Ruby object, `Mixlib::Config` and the package's own code answer to, sorted. They set
/// nothing by themselves; what runs given text or blocks is treated apart.
const METHODS: &[&str] = &[
    "Array",
    "Float",
    "Integer",
    "Rational",
    "String",
    "__dir__",
    "__method__",
    "abort",
    "at_exit",
    "attr_accessor",
    "binding",
    "block_given?",
    "caller",
    "catch",
    "class",
    "config_context",
    "configurable",
    "default",
    "exit",
    "exit!",
    "fail",
    "format",
    "freeze",
    "gets",
    "hash",
    "inspect",
    "instance_variable_get",
    "instance_variable_set",
    "itself",
    "key?",
    "keys",
    "lambda",
    "loop",
    "method",
    "nil?",
    "node",
    "open",
    "p",
    "pp",
    "print",
    "printf",
    "private",
    "proc",
    "public",
    "putc",
    "puts",
    "raise",
    "rand",
    "require",
    "require_relative",
    "sleep",
    "spawn",
    "sprintf",
    "srand",
    "system",
    "tap",
    "test",
    "then",
    "throw",
    "to_s",
    "trap",
    "warn",
];

/// Methods that run what they are given, on whatever object, or reach settings by other ways.
pub(super) const EVALUATING: &[&str] = &[
    "__send__",
    "class_eval",
    "class_exec",
    "config",
    "configure",
    "define_method",
    "eval",
    "instance_eval",
    "instance_exec",
    "load",
    "merge!",
    "method_missing",
    "module_eval",
    "public_send",
    "reset",
    "restore",
    "send",
];

/// Methods that leave their receiver as it is. Blocks given to them are looked into.
pub(super) const READING: &[&str] = &[
    "!",
    "!=",
    "%",
    "&",
    "*",
    "**",
    "+",
    "-",
    "-@",
    "/",
    "<",
    "<=",
    "<=>",
    "==",
    "===",
    "=~",
    ">",
    ">=",
    "|",
    "all?",
    "any?",
    "chomp",
    "class",
    "clone",
    "compact",
    "count",
    "dig",
    "downcase",
    "dup",
    "each",
    "each_key",
    "each_pair",
    "each_value",
    "each_with_index",
    "each_with_object",
    "empty?",
    "end_with?",
    "eql?",
    "except",
    "fetch",
    "filter",
    "find",
    "first",
    "flat_map",
    "flatten",
    "freeze",
    "frozen?",
    "gsub",
    "has_key?",
    "hash",
    "include?",
    "index",
    "inject",
    "inspect",
    "is_a?",
    "itself",
    "join",
    "key?",
    "keys",
    "last",
    "length",
    "lines",
    "lstrip",
    "map",
    "match",
    "match?",
    "max",
    "merge",
    "min",
    "nil?",
    "reduce",
    "reject",
    "respond_to?",
    "reverse",
    "rstrip",
    "select",
    "size",
    "slice",
    "sort",
    "split",
    "start_with?",
    "strip",
    "sub",
    "sum",
    "tap",
    "then",
    "times",
    "to_a",
    "to_f",
    "to_h",
    "to_i",
    "to_json",
    "to_s",
    "to_str",
    "to_sym",
    "to_yaml",
    "transform_values",
    "uniq",
    "upcase",
    "values",
    "values_at",
    "zip",
];

/// Constants of Ruby's library whose methods compute something and change nothing.
pub(super) const PURE: &[&[u8]] = &[
    b"Base64",
    b"BigDecimal",
    b"Date",
    b"DateTime",
    b"Digest",
    b"Etc",
    b"IPAddr",
    b"JSON",
    b"Random",
    b"Range",
    b"Regexp",
    b"SecureRandom",
    b"Set",
    b"Shellwords",
    b"Socket",
    b"Time",
    b"URI",
];

/// Whether `name` is a setting or a section of settings.
pub(super) fn is_setting(name: &str) -> bool {
    SETTINGS.binary_search(&name).is_ok() || name.ends_with("_role")
}

/// Whether Ruby or the package answers to `name` without setting anything.
pub(super) fn is_method(name: &str) -> bool {
    METHODS.binary_search(&name).is_ok()
}

/// The setting that `name` was probably meant to be.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // A name that is much longer than the longest setting is near to none, and costly to compare.
    if name.len() > 40 {
        return None;
    }
    let tolerated = (name.len() / 4).min(3);
    SETTINGS
        .iter()
        .map(|setting| (distance(name.as_bytes(), setting.as_bytes()), *setting))
        .min()
        .filter(|(distance, _)| *distance <= tolerated)
        .map(|(_, setting)| setting)
}

/// The Levenshtein distance.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(SETTINGS.is_sorted());
        assert!(METHODS.is_sorted());
    }

    #[test]
    fn near_names_are_found() {
        assert_eq!(nearest("externl_url"), Some("external_url"));
        assert_eq!(nearest("gitlab_rail"), Some("gitlab_rails"));
        assert_eq!(nearest("External_url"), Some("external_url"));
        assert_eq!(nearest("regisrty"), Some("registry"));
        assert_eq!(nearest("frobnicate"), None);
        assert_eq!(nearest("x"), None);
    }
}
