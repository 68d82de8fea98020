//! The addresses at which a runner, and its jobs, look for GitLab.

use crate::checks::path::Answerer;
use crate::checks::path::gitlab::{API, Gitlab, Mend, Place, is_api};
use crate::checks::{Evidence, Finding, Stop, Verdict, docs};
use crate::host::Host;
use crate::host::network::Response;
use crate::install::runner::Config;
use crate::install::{self, Endpoint, Source};
use crate::parse::runner_toml::Runner;
use crate::parse::setting::Located;

/// As many runners as a finding names.
const MOST_NAMED: usize = 5;

/// An address, and the runners that are told it.
pub(super) struct Address<'a> {
    pub(super) gitlab: Gitlab,
    /// Whether the runner itself asks there for jobs, rather than its jobs for sources alone.
    pub(super) is_api: bool,
    pub(super) runners: Vec<&'a Runner>,
    config: Option<&'a Config>,
}

/// Every address once, in the order of the file; without a runner here the one after `--url`.
pub(super) async fn addresses<'a>(
    host: &Host,
    config: Option<&'a Config>,
    verdict: &mut Verdict,
) -> Result<Vec<Address<'a>>, Stop> {
    let Some(config) = config else { return Ok(asked_for(host).await?.into_iter().collect()) };
    let mut addresses: Vec<Address<'a>> = Vec::new();
    for runner in &config.toml.runners {
        for (setting, is_api, url) in
            [("url", true, &runner.url), ("clone_url", false, &runner.clone_url)]
        {
            let Some(url) = url.as_ref().filter(|url| !url.value.is_empty()) else { continue };
            let asked = if is_api { without_ci(&url.value) } else { &url.value };
            let endpoint = match Endpoint::parse(asked) {
                Ok(endpoint) => endpoint,
                Err(wrong) => {
                    verdict.add([unusable(config, setting, url, &wrong)]);
                    continue;
                }
            };
            let known = addresses
                .iter_mut()
                .find(|known| known.gitlab.endpoint == endpoint && known.is_api == is_api);
            match known {
                Some(known) => known.runners.push(runner),
                None => addresses.push(Address {
                    gitlab: gitlab(host, config, setting, url, endpoint).await,
                    is_api,
                    runners: vec![runner],
                    config: Some(config),
                }),
            }
        }
    }
    Ok(addresses)
}

/// The address as the runner takes it: old ones end in the path of a GitLab CI of its own.
fn without_ci(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix("/ci").unwrap_or(url)
}

async fn gitlab(
    host: &Host,
    config: &Config,
    setting: &str,
    url: &Located<String>,
    endpoint: Endpoint,
) -> Gitlab {
    let path = config.path.as_str();
    Gitlab {
        place: Place::of(host, &endpoint).await,
        endpoint,
        asked: API.to_owned(),
        is_own: if setting == "url" { is_api } else { is_gitlab },
        written: Some(Evidence::new(setting, &url.value).at(path, url.line)),
        mend: Mend {
            what: format!("{setting} in {path}"),
            commands: vec![format!("sudoedit {path}")],
        },
        docs: docs::OFFLINE,
    }
}

/// `--url`, of which nothing is known here.
async fn asked_for<'a>(host: &Host) -> Result<Option<Address<'a>>, Stop> {
    let url = install::gitlab::external_url(host).await?;
    let Some(url) = url.filter(|url| matches!(url.source, Source::Flag(_))) else {
        return Ok(None);
    };
    let gitlab = Gitlab {
        place: Place::of(host, &url.value).await,
        endpoint: url.value,
        asked: API.to_owned(),
        is_own: is_api,
        written: None,
        mend: Mend { what: url.source.to_string(), commands: Vec::new() },
        docs: docs::OFFLINE,
    };
    Ok(Some(Address { gitlab, is_api: true, runners: Vec::new(), config: None }))
}

/// For cloning any part of GitLab will do.
fn is_gitlab(response: &Response) -> bool {
    response.status < 500 && Answerer::of(response) == Answerer::Gitlab
}

fn unusable(config: &Config, setting: &str, url: &Located<String>, wrong: &str) -> Finding {
    let path = config.path.as_str();
    Finding::error("url-unusable", &url.value, format!("{setting} leads nowhere: {wrong}"))
        .evidence(Evidence::new(setting, &url.value).at(path, url.line))
        .remedy(
            format!("Let {setting} be the whole address, such as https://gitlab.internal."),
            [format!("sudoedit {path}")],
        )
        .docs(docs::OFFLINE)
}

impl Address<'_> {
    /// Says which runners it is about.
    pub(super) fn with_runners(&self, finding: Finding) -> Finding {
        let Some(config) = self.config else { return finding };
        let named = self.runners.iter().take(MOST_NAMED).map(|runner| {
            let name = runner.name.as_ref().map_or("unnamed", |name| name.value.as_str());
            Evidence::new("runner", name).at(config.path.as_str(), runner.line)
        });
        let finding = named.fold(finding, Finding::evidence);
        if self.runners.len() > MOST_NAMED {
            return finding.seen("runners", format!("{} in all", self.runners.len()));
        }
        finding
    }
}

#[test]
fn the_runner_leaves_out_the_old_path() {
    assert_eq!(without_ci("https://git.test/ci"), "https://git.test");
    assert_eq!(without_ci("https://git.test/gitlab/ci/"), "https://git.test/gitlab");
    assert_eq!(without_ci("https://git.test/sci"), "https://git.test/sci");
}
