//! Can the registry deliver its events?

mod settings;
mod target;
mod threshold;

use self::settings::Settings;
use self::target::{Target, is_post_lost, without_events};
use super::keeper::Keeper;
use crate::checks::{Finding, Stop, Verdict, check, path};
use crate::host::{Host, Unknown};
use crate::install;
use crate::parse::registry_yml::Endpoint;
use crate::parse::setting::Scalar;

check! {
    /// Every endpoint to which the registry sends events can take them.
    ///
    /// ## Why it matters
    ///
    /// The registry tells GitLab, Geo or other receivers of every push and pull. While a receiver
    /// cannot be reached, events pile up in the registry's memory, the first one that fails holds
    /// up all behind it, and a restart loses them. Nobody sees more of it than a line in the
    /// registry's log.
    ///
    /// ## What is looked at
    ///
    /// `notifications.endpoints` in the registry's `config.yml`, with the environment variables
    /// that override it and without endpoints that are disabled, and in `/etc/gitlab/gitlab.rb` the
    /// deprecated `threshold`. Each URL is tried in stages: its name, a connection to every
    /// address, a TLS handshake, and one `GET`. No event is ever sent, so whether a receiver
    /// accepts one stays open: any answer of its own will do.
    ///
    /// ## How to fix it
    ///
    /// Set `registry['notifications']` in `/etc/gitlab/gitlab.rb`, with an https URL, durations with
    /// a unit such as `'500ms'`, and `maxretries` in place of `threshold`, and run
    /// `gitlab-ctl reconfigure`. GitLab itself takes events at
    /// `/api/v4/container_registry_event/events`, with `registry_notification_secret` in the header
    /// `Authorization`.
    "registry/notifications": "notification endpoints are sound"
}

/// What some versions of the registry change single endpoints with.
const VARIABLE: &str = "REGISTRY_NOTIFICATIONS_ENDPOINTS_";

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let config = install::registry::config(host).await;
    let config = verdict.told("the registry's configuration", config).flatten();
    let keeper = Keeper::of(host).await;
    let thresholds = threshold::findings(host, &mut verdict).await;
    verdict.add(thresholds);
    let Some(config) = config else {
        if verdict.findings.is_empty() && verdict.untold.is_empty() {
            return Err(Stop::not_applicable("no registry is configured on this host"));
        }
        return Ok(verdict);
    };
    let overruled = &config.yml.environment.not_interpreted;
    if let Some(name) = overruled.iter().find(|name| name.starts_with(VARIABLE)) {
        let why = format!("only some registries heed the environment variable {name}");
        verdict.untold("notification endpoints", Unknown::Unreadable(why));
    }
    let endpoints: Vec<_> = config.yml.notifications.iter().filter(|it| !is_disabled(it)).collect();
    if endpoints.is_empty() && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("the registry is told to send events to nobody"));
    }
    let settings = Settings::given(host, &config, keeper).await;
    let looks = endpoints.iter().map(|endpoint| delivery(host, &settings, endpoint));
    let mut left_out = None;
    for (endpoint, seen) in endpoints.iter().zip(futures::future::join_all(looks).await) {
        let found = match seen {
            Err(Unknown::LeftOut(why)) => {
                left_out = Some(why);
                None
            }
            seen => verdict.told(&settings::name(endpoint), seen).flatten(),
        };
        // Whoever follows the redirect to https need not be told of http as well.
        let is_redirected = found.as_ref().is_some_and(|it| it.code == "redirected");
        let written = settings.judge(endpoint).into_iter();
        verdict.add(written.filter(|it| !is_redirected || it.code != "unencrypted"));
        verdict.add(found);
    }
    match left_out.filter(|_| verdict.findings.is_empty() && verdict.untold.is_empty()) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => Ok(verdict),
    }
}

fn is_disabled(endpoint: &Endpoint) -> bool {
    endpoint.disabled.as_ref().map(|it| &it.value).and_then(Scalar::as_bool) == Some(true)
}

/// What is wrong on the way to an endpoint. A URL that is none is judged as it is written.
async fn delivery(
    host: &Host,
    settings: &Settings<'_>,
    endpoint: &Endpoint,
) -> Result<Option<Finding>, Unknown> {
    let Some(target) = Target::of(host, settings, endpoint).await else { return Ok(None) };
    if let Some(why) = install::registry::out_of_reach(host, target.server()).await {
        return Err(Unknown::LeftOut(why));
    }
    let looked = path::look(host, target.service()).await?;
    let finding = path::judge(target.service(), &looked);
    let (_, bad) = looked.split(target.service());
    let lost = bad.iter().filter_map(|way| way.response()).any(is_post_lost);
    Ok(finding.map(|finding| {
        let finding = finding.on_way_to(target.server());
        if lost && finding.code == "redirected" { without_events(finding) } else { finding }
    }))
}
