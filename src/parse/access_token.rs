//! Which secrets may be access tokens for GitLab's API, as far as their looks tell.

/// The shortest access token, as GitLab made them before they had a prefix.
const SHORTEST: usize = 20;

/// Beginnings of GitLab's other tokens, which its API takes for nothing: of deployments, runners,
/// triggers, feeds, incoming mail, agents, SCIM, feature flags, jobs and OAuth applications.
const OTHERS: [&str; 11] = [
    "gldt-", "glrt-", "glrtr-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "glffct-",
    "glcbt-", "gloas-",
];

/// Whether this may be a personal, project or group access token. An administrator can choose
/// another prefix than GitLab's, so a long word of the right letters may be one, too.
pub(crate) fn opens_api(secret: &str) -> bool {
    if OTHERS.iter().any(|prefix| secret.starts_with(prefix)) {
        return false;
    }
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    secret.len() >= SHORTEST && secret.chars().all(letters)
}

#[test]
fn passwords_and_other_tokens_are_told_apart() {
    for token in
        ["glpat-AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA", "corp_AAAA-AAAA_AAAA.01.AAAAAAAAA"]
    {
        assert!(opens_api(token), "{token}");
    }
    for other in [
        "",
        "hush",
        "gldt-AAAAAAAAAAAAAAAAAAAA",
        "a long pass phrase of words",
        "AAAAAAAAAAAAAAAAAAA!",
    ] {
        assert!(!opens_api(other), "{other}");
    }
}
