//! Does the registry ask for a token, and for one that GitLab issues?

mod judge;

use super::asking::{Asking, Heard, Subject};
use crate::checks::{Finding, Stop, Verdict, check};
use crate::host::Host;
use crate::install;
use judge::{Case, Place, written};

check! {
    /// The registry asks clients without a token to fetch one from GitLab.
    ///
    /// ## Why it matters
    ///
    /// A registry that lets in everybody gives every image away, and lets everybody replace it.
    /// One that sends clients to a wrong place for their token looks healthy, and yet nobody can
    /// log in: `no basic auth credentials`, `unauthorized: authentication required`.
    ///
    /// ## What is looked at
    ///
    /// The answer of the registry to one `GET /v2/` without a token: its status, and the realm and
    /// service in its `WWW-Authenticate`. That header is read twice, as the standard has it and as
    /// Docker's own parser reads it, which stops at the first part that it does not understand. The
    /// realm is compared with GitLab's address. Without the network, `auth` in the registry's
    /// `config.yml` stands for the answer.
    ///
    /// ## How to fix it
    ///
    /// In the Linux package, take `registry['token_realm']` out of `/etc/gitlab/gitlab.rb`, so that
    /// it follows `external_url`, and run `gitlab-ctl reconfigure`. In a registry of your own, set
    /// `auth.token` in its `config.yml`: `realm` to GitLab's address with `/jwt/auth` behind it,
    /// `service` to `container_registry`. A proxy in front must pass `WWW-Authenticate` as it is.
    "registry/auth": "anonymous clients are asked for a token"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let subject = Subject::of(host).await?;
    let asking = subject.ask(host).await?;
    let mut verdict = Verdict::default();
    let gitlab = subject.gitlab(host).await;
    let gitlab = verdict.told("GitLab's address", gitlab).flatten();
    let config = if subject.is_own { install::registry::config(host).await? } else { None };
    if config.as_ref().is_some_and(|it| it.yml.proxy_remoteurl.is_some()) {
        return Err(Stop::not_applicable("this registry is a cache of another one"));
    }
    let realm = match install::settings(host).await {
        Ok(Some(settings)) if subject.is_own => settings.url(&["registry", "token_realm"]).told(),
        _ => Ok(None),
    };
    let has_rails = matches!(install::gitlab::generated(host).await, Ok(Some(_)));
    let case = |place| Case {
        place,
        gitlab: gitlab.as_ref(),
        config: config.as_ref(),
        wanted: realm.as_ref().ok().and_then(Option::as_ref),
        has_rails,
        keeper: subject.keeper,
    };
    if let Asking::Heard(all) = &asking {
        for heard in all {
            let place = Place::Heard { endpoint: &heard.endpoint, address: heard.address };
            add_unknown(&mut verdict, told(&case(place), heard));
        }
        return Ok(verdict);
    }
    if let Some(config) = &config {
        let (status, lines) = written(config);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        verdict.add(case(Place::Written).judge(status, &lines));
    }
    match unheard(asking, config.is_some()).filter(|_| verdict.findings.is_empty()) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => Ok(verdict),
    }
}

/// The findings on what the registry answers.
fn told(case: &Case<'_>, heard: &Heard) -> Vec<Finding> {
    let lines: Vec<_> = heard.response.all("www-authenticate").collect();
    case.judge(heard.response.status, &lines)
}

/// Several addresses of one name mostly say the same.
fn add_unknown(verdict: &mut Verdict, findings: Vec<Finding>) {
    for finding in findings {
        if verdict.findings.iter().all(|it| it.message != finding.message) {
            verdict.add([finding]);
        }
    }
}

/// Why nothing was heard. A file that says the right thing is enough only where nothing else was
/// wanted.
fn unheard(asking: Asking, has_config: bool) -> Option<String> {
    match asking {
        Asking::LeftOut(why) if !has_config => Some(why),
        Asking::Silent => Some("the registry does not answer (registry/api says why)".to_owned()),
        Asking::LeftOut(_) | Asking::Heard(_) => None,
    }
}
