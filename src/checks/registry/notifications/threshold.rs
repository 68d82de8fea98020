//! `threshold`, where the administrator wrote it: `maxretries` has taken its place.

use crate::checks::{Evidence, Finding, Severity, Verdict, docs};
use crate::host::Host;
use crate::install;
use crate::parse::gitlab_rb::{Setting, Source};
use crate::parse::value::Value;

/// What is to be said of `threshold` in `gitlab.rb`. What the Linux package itself puts into
/// `config.yml` is none of the administrator's doing.
pub(super) async fn findings(host: &Host, verdict: &mut Verdict) -> Vec<Finding> {
    let settings = verdict.told("what gitlab.rb sets", install::settings(host).await).flatten();
    let Some(settings) = settings else { return Vec::new() };
    let written: Vec<_> = written(
        settings.all().get(&["registry", "notifications"]),
        settings.all().get(&["registry", "default_notifications_threshold"]),
    );
    if written.is_empty() {
        return Vec::new();
    }
    let version = verdict.told("version of GitLab", install::gitlab::version(host).await);
    let version = version.flatten();
    written.iter().filter_map(|(what, place)| judge(what, place, version.as_deref())).collect()
}

/// Where it is written: the setting in words, and its line.
fn written(endpoints: Setting, default: Setting) -> Vec<(String, Source)> {
    let mut written = Vec::new();
    if let Setting::Known { value: Value::Array(endpoints), source, .. } = endpoints {
        let named = endpoints.iter().filter_map(|endpoint| match endpoint {
            Value::Hash(endpoint) if endpoint.contains_key("threshold") => Some(endpoint),
            _ => None,
        });
        written.extend(named.map(|endpoint| {
            let name = match endpoint.get("name") {
                Some(Value::String(name)) => format!(" of the endpoint '{name}'"),
                _ => " of an endpoint".to_owned(),
            };
            (format!("'threshold'{name}"), source.clone())
        }));
    }
    if let Setting::Known { value, source, .. } = default
        && value != Value::Nil
    {
        written.push(("registry['default_notifications_threshold']".to_owned(), source));
    }
    written
}

fn judge(what: &str, place: &Source, version: Option<&str>) -> Option<Finding> {
    let (severity, why) = match version.map(parts) {
        // Nothing else was there before 17.1.
        Some(version) if version < (17, 1, 0) => return None,
        Some((18, 0, 0 | 1)) => (Severity::Error, "this version stops reconfigure over it"),
        Some(version) if version < (18, 0, 0) => {
            (Severity::Warning, "it is deprecated, and 18.0.0 and 18.0.1 stop reconfigure over it")
        }
        _ => (Severity::Notice, "it is deprecated, and maxretries takes its place"),
    };
    let subject = format!("{}:{}", place.file, place.line);
    Some(
        Finding::new(severity, "threshold", subject, format!("{what} is set: {why}"))
            .evidence(Evidence::new("setting", what).at(place.file.as_str(), Some(place.line)))
            .seen("version", version.unwrap_or("unknown"))
            .remedy(
                "Write maxretries in place of threshold, and reconfigure.",
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            )
            .docs(docs::REGISTRY_NOTIFICATIONS),
    )
}

/// `18.0.1-ee.0` as three numbers; what is no number counts as 0.
fn parts(version: &str) -> (u32, u32, u32) {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[test]
fn severity_follows_the_version() {
    let place = Source { file: install::GITLAB_RB.into(), line: 7 };
    let severity = |version| judge("x", &place, version).map(|finding| finding.severity);
    assert_eq!(severity(Some("16.11.0")), None);
    assert_eq!(severity(Some("17.11.7")), Some(Severity::Warning));
    assert_eq!(severity(Some("18.0.0-ee")), Some(Severity::Error));
    assert_eq!(severity(Some("18.0.1")), Some(Severity::Error));
    assert_eq!(severity(Some("18.0.2")), Some(Severity::Notice));
    assert_eq!(severity(None), Some(Severity::Notice));
}
