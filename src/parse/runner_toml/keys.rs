//! The keys that the runner knows, and what an unknown one was probably meant to be.

use serde::{Deserialize, Serialize};

use crate::parse::scrub;
use crate::parse::toml_tree::Table;

/// A key that the runner ignores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownKey {
    /// The key.
    pub key: String,
    /// The known key that it resembles: `tls-ca-file` for `tls_ca_file`.
    pub near: Option<String>,
    /// The line.
    pub line: u32,
}

/// At the top.
pub(super) const GLOBAL: [&str; 15] = [
    "check_interval",
    "concurrent",
    "connection_max_age",
    "experimental",
    "labels",
    "listen_address",
    "log_format",
    "log_level",
    "machine",
    "metrics_server",
    "runners",
    "sentry_dsn",
    "session_server",
    "shutdown_timeout",
    "user",
];

/// In `[[runners]]`.
pub(super) const RUNNER: [&str; 52] = [
    "artifact",
    "autoscaler",
    "builds_dir",
    "cache",
    "cache_dir",
    "clean_git_config",
    "clone_url",
    "custom",
    "custom_build_dir",
    "debug_trace_disabled",
    "docker",
    "environment",
    "executor",
    "experimental",
    "feature_flags",
    "get_sources_timeout",
    "id",
    "instance",
    "job_status_final_update_retry_limit",
    "kubernetes",
    "labels",
    "limit",
    "machine",
    "monitoring",
    "name",
    "output_limit",
    "parallels",
    "post_build_script",
    "post_get_sources_script",
    "pre_build_script",
    "pre_get_sources_script",
    "prepare_timeout",
    "proxy_exec",
    "referees",
    "request_concurrency",
    "safe_directory_checkout",
    "shell",
    "slot_cgroup_template",
    "ssh",
    "step_runner_image",
    "strict_check_interval",
    "tls-ca-file",
    "tls-cert-file",
    "tls-key-file",
    "token",
    "token_expires_at",
    "token_obtained_at",
    "unhealthy_interval",
    "unhealthy_requests_limit",
    "url",
    "use_slot_cgroups",
    "virtualbox",
];

/// In `[runners.docker]`.
pub(super) const DOCKER: [&str; 76] = [
    "allowed_images",
    "allowed_privileged_images",
    "allowed_privileged_services",
    "allowed_pull_policies",
    "allowed_services",
    "allowed_users",
    "cache_dir",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "container_labels",
    "cpu_shares",
    "cpus",
    "cpuset_cpus",
    "cpuset_mems",
    "device_cgroup_rules",
    "devices",
    "disable_cache",
    "disable_entrypoint_overwrite",
    "dns",
    "dns_search",
    "enable_ipv6",
    "extra_hosts",
    "gpus",
    "group_add",
    "helper_image",
    "helper_image_flavor",
    "host",
    "hostname",
    "image",
    "ipcmode",
    "isolation",
    "links",
    "log_options",
    "mac_address",
    "memory",
    "memory_reservation",
    "memory_swap",
    "network_mode",
    "network_mtu",
    "oom_kill_disable",
    "oom_score_adjust",
    "pid_mode",
    "privileged",
    "pull_policy",
    "runtime",
    "security_opt",
    "service_cgroup_parent",
    "service_cpu_shares",
    "service_cpus",
    "service_cpuset_cpus",
    "service_gpus",
    "service_memory",
    "service_memory_reservation",
    "service_memory_swap",
    "service_slot_cgroup_template",
    "services",
    "services_devices",
    "services_limit",
    "services_privileged",
    "services_security_opt",
    "services_tmpfs",
    "shm_size",
    "sysctls",
    "tls_cert_path",
    "tls_verify",
    "tmpfs",
    "ulimit",
    "user",
    "userns_mode",
    "volume_driver",
    "volume_driver_ops",
    "volume_keep",
    "volumes",
    "volumes_from",
    "wait_for_services_timeout",
];

/// Keys longer than this resemble nothing.
const LONGEST: usize = 48;

/// More unknown keys than a human writes. Beyond them none are noted.
pub(super) const MOST: usize = 100;

/// The keys of a table that are not among the known ones. Case does not matter to the runner.
pub(super) fn unknown(table: Table<'_>, known: &[&str]) -> Vec<UnknownKey> {
    let is_known = |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
    let unknown = table.entries().filter(|entry| !is_known(entry.key)).take(MOST);
    let describe = |key: &str, line| UnknownKey {
        key: scrub::value(key),
        near: near(key, known).map(str::to_owned),
        line,
    };
    unknown.map(|entry| describe(entry.key, entry.line)).collect()
}

/// The known key that differs by no more than hyphens, underscores, and two letters.
fn near<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.len() > LONGEST {
        return None;
    }
    let key = letters(key);
    let distances = known.iter().map(|name| (distance(&key, &letters(name)), *name));
    let (distance, name) = distances.min()?;
    // Two letters out of four would be a resemblance to everything.
    (distance <= 2 && distance * 3 <= key.len()).then_some(name)
}

fn letters(key: &str) -> Vec<char> {
    key.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// The edit distance (Levenshtein).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, a) in left.iter().enumerate() {
        let mut diagonal = number;
        row[0] = number + 1;
        for (column, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[test]
fn misspelt_keys_are_recognised() {
    let table = [
        ("tls_ca_file", &RUNNER[..], Some("tls-ca-file")),
        ("tlscafile", &RUNNER[..], Some("tls-ca-file")),
        ("pull-policy", &DOCKER[..], Some("pull_policy")),
        ("pull_polcy", &DOCKER[..], Some("pull_policy")),
        ("extra_host", &DOCKER[..], Some("extra_hosts")),
        ("concurent", &GLOBAL[..], Some("concurrent")),
        ("foo", &DOCKER[..], None),
        ("pre_clone_script", &RUNNER[..], None),
        ("", &RUNNER[..], None),
    ];
    for (key, known, expected) in table {
        assert_eq!(near(key, known), expected, "{key}");
    }
}
