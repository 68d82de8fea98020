//! Check `clock/gitaly`: the time server that Praefect and Gitaly themselves ask.

use super::hearing::{Heard, hear, servers};
use super::trouble::{Trouble, is_public};
use super::words::{compared, margin};
use crate::checks::{Cause, Finding, Stop, Verdict, check, docs};
use crate::host::network::NtpReply;
use crate::host::{Host, Unknown};
use crate::install::clock::{TimeServer, time_servers};
use crate::install::{self, GITLAB_RB, Settings, Sourced, Written};

check! {
    /// Praefect and Gitaly can reach the time server that they compare their clocks with.
    ///
    /// ## Why it matters
    ///
    /// From GitLab 14.8 on `gitlab-ctl praefect check` asks a time server over NTP, from the Praefect
    /// node and from every Gitaly node. Unless it is told another one, it asks `pool.ntp.org`, which
    /// no offline site reaches: the check then ends with a fatal `clock is not synced` or `query ntp
    /// host`, and hides what else is wrong with the cluster. In 15.4 and 15.5 the readiness check of
    /// Praefect fails with it.
    ///
    /// ## What is looked at
    ///
    /// On Praefect nodes and on nodes that run Gitaly alone, by the roles and services in
    /// `gitlab.rb`: `NTP_HOST` in `praefect['env']` and `gitaly['env']`. A server that is written
    /// there is asked once over NTP, as those programs ask it; they tolerate 1 minute. The default is
    /// not asked, for it is on the internet.
    ///
    /// ## How to fix it
    ///
    /// Name the time server of your own site on every Praefect and Gitaly node, then run
    /// `sudo gitlab-ctl reconfigure`:
    ///
    /// ```ruby
    /// praefect['env'] = { "NTP_HOST" => "ntp.internal" }
    /// gitaly['env'] = { "NTP_HOST" => "ntp.internal" }
    /// ```
    "clock/gitaly": "Gitaly Cluster's time server is reachable"
}

/// The drift that Praefect tolerates unless `DRIFT_THRESHOLD` says otherwise, in microseconds.
const DRIFT_US: u64 = 60_000_000;

/// A program that asks a time server, and the one it is told to ask.
struct Asker {
    /// `praefect` or `gitaly`, as in `gitlab.rb`.
    section: &'static str,
    name: &'static str,
    server: Written<String>,
    /// Whether `DRIFT_THRESHOLD` is written, too.
    has_own_threshold: bool,
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(settings) = install::settings(host).await? else {
        return Err(Stop::not_applicable("no gitlab.rb here: this is no node of Gitaly Cluster"));
    };
    let mut verdict = Verdict::default();
    let askers = askers(&settings, &mut verdict);
    if askers.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("neither a Praefect node nor one for Gitaly alone"));
    }
    let version = install::gitlab::version(host).await?;
    if let Some(version) = version.filter(|version| !asks(version)) {
        return Err(Stop::NotApplicable(format!("GitLab {version} asks no time server here")));
    }
    let mut left_out = None;
    for asker in askers {
        match &asker.server {
            Written::Unset => verdict.add([asker.default_left(own_server(host).await.as_deref())]),
            Written::Untold(why) => {
                let why = Unknown::Unreadable(format!("{}: {}", why.source, why.value));
                verdict.untold(asker.setting(), why);
            }
            Written::Known(name) => match hear(host, servers(vec![time_server(name)])).await {
                Ok(heard) => heard.iter().for_each(|it| asker.judge(&mut verdict, name, it)),
                Err(Unknown::LeftOut(why)) => left_out = Some(why),
                Err(why) => verdict.untold(asker.setting(), why),
            },
        }
    }
    match left_out.filter(|_| verdict.findings.is_empty() && verdict.untold.is_empty()) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => Ok(verdict),
    }
}

/// The programs on this node that ask. On a host that runs all of GitLab nobody asks: there is no
/// cluster.
fn askers(settings: &Settings, verdict: &mut Verdict) -> Vec<Asker> {
    let roles = verdict.told("roles", settings.texts(&["roles"]).told()).flatten();
    let roles = roles.map(|roles| roles.value).unwrap_or_default();
    let has_role = |name: &str| roles.iter().any(|role| role == name);
    let mut flag = |section: &str| {
        let told = settings.flag(&[section, "enable"]).told();
        let what = format!("{section}['enable']");
        verdict.told(&what, told).flatten().map(|flag| flag.value)
    };
    let praefect = flag("praefect").unwrap_or_else(|| has_role("praefect_role"));
    let alone = has_role("gitaly_role") || flag("puma") == Some(false);
    let gitaly = alone && flag("gitaly").unwrap_or_else(|| has_role("gitaly_role"));
    [("praefect", "Praefect", praefect), ("gitaly", "Gitaly", gitaly)]
        .into_iter()
        .filter(|(.., runs)| *runs)
        .map(|(section, name, _)| Asker {
            section,
            name,
            server: settings.text(&[section, "env", "NTP_HOST"]),
            has_own_threshold: settings.text(&[section, "env", "DRIFT_THRESHOLD"])
                != Written::Unset,
        })
        .collect()
}

fn time_server(name: &Sourced<String>) -> TimeServer {
    TimeServer {
        host: name.value.clone(),
        port: 123,
        client: "gitlab.rb".to_owned(),
        source: name.source.clone(),
    }
}

/// A time server of this site, to be named instead of the default.
async fn own_server(host: &Host) -> Option<String> {
    let followed = time_servers(host).await.ok()?.servers.into_iter();
    let mut own = followed.filter(|server| !server.is_default() && !is_public(&server.host));
    // Neither program can be told another port.
    own.find(|server| server.port == 123).map(|server| server.host)
}

/// Whether this version of GitLab asks: 14.8 was the first, and 19.0 no longer does.
fn asks(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (14, 8) <= (major, minor) && major < 19,
        _ => true,
    }
}

impl Asker {
    fn setting(&self) -> String {
        format!("{}['env']['NTP_HOST']", self.section)
    }

    /// Nobody named a server.
    fn default_left(&self, own: Option<&str>) -> Finding {
        let own = own.unwrap_or("ntp.internal");
        let message = format!("{} asks pool.ntp.org for the time: no NTP_HOST is set", self.name);
        Finding::notice("default-pool", self.setting(), message)
            .seen("what it breaks", "gitlab-ctl praefect check, on a site without internet")
            .remedy(
                format!(
                    "Name a time server of your own site: {}['env'] = {{ \"NTP_HOST\" => \"{own}\" }}.",
                    self.section
                ),
                edit(),
            )
            .docs(docs::OFFLINE_NTP)
    }

    /// The server that is named, as it answered.
    fn judge(&self, verdict: &mut Verdict, name: &Sourced<String>, heard: &Heard) {
        let finding = |code, message: String| {
            Finding::warning(code, heard.server.endpoint(), message)
                .evidence(name.evidence(self.setting()))
                .seen("what it breaks", "gitlab-ctl praefect check")
                .docs(docs::OFFLINE_NTP)
        };
        let advice = "Start that server or let UDP port 123 pass to it, or name another one.";
        match Trouble::of(heard) {
            Some(Trouble::Untold(why)) => verdict.untold(heard.server.endpoint(), why.clone()),
            Some(trouble @ Trouble::Useless(_)) => {
                let message =
                    format!("{} gets no time: {}", self.name, trouble.told_of(&heard.server));
                verdict.add([finding("no-time", message)
                    .remedy("Mend that server, or name another one.", edit())]);
            }
            Some(trouble) => {
                let message =
                    format!("{} gets no time: {}", self.name, trouble.told_of(&heard.server));
                verdict.add([finding("unreachable", message)
                    .remedy(advice, edit())
                    .follows(Cause::Name(heard.server.host.clone()))
                    .follows(Cause::TimeServer(heard.server.endpoint()))]);
            }
            None => verdict.add(self.drift(heard).map(|message| {
                finding("drift", message)
                    .remedy("Set the clock that is wrong.", ["gldoctor run --only clock/offset"])
                    .follows(Cause::Clock)
            })),
        }
    }

    /// That the two clocks differ by more than is tolerated, for certain.
    fn drift(&self, heard: &Heard) -> Option<String> {
        let times = heard.replies.iter().filter_map(|(_, reply)| match reply {
            Ok(NtpReply::Time { timing, .. }) => Some(timing),
            _ => None,
        });
        let nearest = times.min_by_key(|timing| timing.offset_us.unsigned_abs())?;
        let doubt = nearest.round_trip_us / 2;
        let certain = nearest.offset_us.unsigned_abs().saturating_sub(doubt);
        (!self.has_own_threshold && certain > DRIFT_US).then(|| {
            format!(
                "the clock is {} (+-{}), and {} tolerates 1 min",
                compared(nearest.offset_us, &heard.server.name()),
                margin(doubt),
                self.name
            )
        })
    }
}

fn edit() -> [String; 2] {
    [format!("sudoedit {GITLAB_RB}"), "sudo gitlab-ctl reconfigure".to_owned()]
}

#[test]
fn the_versions_that_ask_are_known() {
    for version in ["14.8.0", "15.4.6-ee.0", "18.11.2", "unknown", "18"] {
        assert!(asks(version), "{version}");
    }
    for version in ["14.7.7", "13.12.0", "19.0.1", "20.1"] {
        assert!(!asks(version), "{version}");
    }
}
