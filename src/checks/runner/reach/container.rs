//! Do containers find GitLab? They do not read this host's `/etc/hosts`.

use std::net::{IpAddr, SocketAddr};

use super::address::Address;
use crate::checks::path::Looked;
use crate::checks::reach::Reach;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, Verdict, docs};
use crate::host::network::{Connect, Connected, NameQuery, NameReply};
use crate::host::{Host, Unknown};
use crate::install::Sourced;
use crate::install::docker::servers_of_containers;
use crate::install::names::{self, in_hosts};
use crate::install::runner::Config;
use crate::parse::runner_toml::{Docker, Runner};

/// Where every name server listens.
const PORT: u16 = 53;

/// What a name server said.
type Asked = (IpAddr, NameReply);

/// Adds what is wrong for the containers of the runners at an address.
pub(super) async fn judge(
    host: &Host,
    config: &Config,
    address: &Address<'_>,
    looked: &Looked,
    verdict: &mut Verdict,
) {
    let endpoint = &address.gitlab.endpoint;
    if endpoint.is_address() {
        return;
    }
    match misled(host, config, address, looked).await {
        Ok(findings) => verdict.add(findings),
        Err(Unknown::LeftOut(_)) => {}
        Err(unknown) => verdict.untold("extra_hosts", unknown),
    }
    if matches!(looked.reached, Reach::NoName(_)) {
        return;
    }
    let blind: Vec<_> =
        address.runners.iter().filter(|runner| is_blind(runner, &endpoint.host)).collect();
    let Some(first) = blind.first() else { return };
    match unknown_there(host, first, &endpoint.host).await {
        Ok(Some(there)) => {
            let finding = finding(config, &endpoint.host, &there);
            let finding = Finding { subject: endpoint.to_string(), ..finding };
            verdict.add([address.with_runners(finding)]);
        }
        // Where the network was left out, the rest of the check says so.
        Ok(None) | Err(Unknown::LeftOut(_)) => {}
        Err(unknown) => verdict.untold(format!("{} in containers", endpoint.host), unknown),
    }
}

/// Whether jobs run in containers on this host that find the name by DNS alone. What other networks
/// than Docker's own know, such as the names of containers in them, nobody can tell from here.
fn is_blind(runner: &Runner, name: &str) -> bool {
    let is_docker = runner.executor.as_ref().is_some_and(|it| it.value == "docker");
    let default = Docker::default();
    let docker = runner.docker.as_ref().unwrap_or(&default);
    let is_here = docker.host.as_ref().is_none_or(|it| it.value.starts_with("unix:"));
    let network = docker.network_mode.as_ref().map_or("", |it| it.value.as_str());
    let told = docker.extra_hosts.iter().any(|entry| told_for(&entry.value, name).is_some());
    // That every container knows, as itself.
    let is_own = name == "localhost";
    is_docker && is_here && !told && !is_own && matches!(network, "" | "default" | "bridge")
}

/// What an entry of `extra_hosts` says of a name.
fn told_for<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    let (host, address) = entry.split_once([':', '='])?;
    host.eq_ignore_ascii_case(name).then_some(address.trim_matches(['[', ']']))
}

/// Where `extra_hosts` sends jobs to an address that this host does not know for the name, and
/// nothing accepts connections there.
async fn misled(
    host: &Host,
    config: &Config,
    address: &Address<'_>,
    looked: &Looked,
) -> Result<Vec<Finding>, Unknown> {
    let endpoint = &address.gitlab.endpoint;
    let known = |ip: IpAddr| match &looked.reached {
        Reach::NoName(_) => false,
        Reach::Ways(ways) => ways.iter().any(|way| way.address.ip() == ip),
    };
    let dockers = address.runners.iter().filter_map(|runner| runner.docker.as_ref());
    let mut findings: Vec<Finding> = Vec::new();
    for entry in dockers.flat_map(|docker| &docker.extra_hosts) {
        let told = told_for(&entry.value, &endpoint.host).and_then(|it| it.parse().ok());
        let Some(ip) = told.filter(|ip| !known(*ip)) else { continue };
        let socket = SocketAddr::new(ip, endpoint.port);
        let connected = host.ask(Connect { address: socket }).await?;
        let Connected::Failed(failure) = connected else { continue };
        let message = format!(
            "extra_hosts sends jobs in containers to {ip} for '{}', where no connection to port {} \
             comes about: {failure}",
            endpoint.host, endpoint.port
        );
        let finding = Finding::error("extra-hosts-dead", endpoint.to_string(), message);
        let path = config.path.as_str();
        let place = Evidence::new("extra_hosts", &entry.value).at(path, entry.line);
        let finding = address.with_runners(finding.evidence(place)).docs(docs::OFFLINE).remedy(
            "Write the right address there, or leave the name to DNS.",
            [format!("getent ahosts {}", word(&endpoint.host)), format!("sudoedit {}", word(path))],
        );
        if !findings.iter().any(|known| known.message == finding.message) {
            findings.push(finding);
        }
    }
    Ok(findings)
}

/// A name that `/etc/hosts` knows, and no name server of the containers.
struct There {
    known_by: Vec<Sourced<IpAddr>>,
    /// The name servers; `None` where no file tells which ones there are.
    asked: Option<Vec<Asked>>,
}

impl There {
    /// Whether every server was asked and does not know it. One that is silent to this host may be
    /// so for the moment, and proves nothing.
    fn is_sure(&self) -> bool {
        let does_not_know = |(_, reply): &Asked| *reply == NameReply::NotKnown;
        self.asked.as_ref().is_some_and(|asked| asked.iter().all(does_not_know))
    }
}

async fn unknown_there(host: &Host, runner: &Runner, name: &str) -> Result<Option<There>, Unknown> {
    let known_by = in_hosts(host, name).await?;
    if known_by.is_empty() {
        return Ok(None);
    }
    let told = runner.docker.iter().flat_map(|docker| &docker.dns);
    let servers = match names::addresses(told) {
        told if told.is_empty() => servers_of_containers(host).await?,
        told => Some(told),
    };
    let Some(servers) = servers else { return Ok(Some(There { known_by, asked: None })) };
    let asked = servers.into_iter().map(async |server| {
        let question = NameQuery { server: SocketAddr::new(server, PORT), name: name.to_owned() };
        Ok::<_, Unknown>((server, host.ask(question).await?))
    });
    let asked = futures::future::try_join_all(asked).await?;
    let is_known = asked.iter().any(|(_, reply)| *reply == NameReply::Known);
    Ok((!is_known).then_some(There { known_by, asked: Some(asked) }))
}

fn finding(config: &Config, name: &str, there: &There) -> Finding {
    let There { known_by, asked } = there;
    let (severity, cannot) = if there.is_sure() {
        (Severity::Error, "cannot")
    } else {
        (Severity::Notice, "may be unable to")
    };
    let message = format!(
        "jobs in containers {cannot} resolve '{name}': this host knows it from /etc/hosts, which \
         they do not read"
    );
    let finding = Finding::new(severity, "unresolved-in-containers", name, message);
    let finding = known_by
        .iter()
        .take(2)
        .fold(finding, |finding, address| finding.evidence(address.evidence("known here")));
    let finding = match asked.as_deref() {
        None => finding.seen("name servers", "no file on this host names any"),
        Some([]) => finding.seen("name servers", "none that a container could ask"),
        Some(asked) => asked.iter().fold(finding, |finding, (server, reply)| {
            finding.seen(format!("name server {server}"), words(reply))
        }),
    };
    let path = config.path.as_str();
    let reachable = known_by.iter().find(|it| !it.value.to_canonical().is_loopback());
    let (entry, hint) = match reachable {
        Some(address) => (format!("{name}:{}", address.value), ""),
        None => (
            format!("{name}:ADDRESS"),
            ", with an address that is not loopback, for that is the container itself",
        ),
    };
    finding
        .remedy(
            format!(
                "Enter {name} in the DNS of this site, or add extra_hosts = [\"{entry}\"] to \
                 [runners.docker] of these runners{hint}."
            ),
            [format!("sudoedit {path}")],
        )
        .docs(docs::OFFLINE)
}

fn words(reply: &NameReply) -> String {
    match reply {
        NameReply::Known => "knows it".to_owned(),
        NameReply::NotKnown => "does not know it".to_owned(),
        NameReply::Refused(code) => format!("does not tell (code {code})"),
        NameReply::Failed(failure) => failure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::runner_toml;

    fn blind(docker: &str) -> bool {
        let text = format!("[[runners]]\nexecutor = \"docker\"\n[runners.docker]\n{docker}\n");
        let toml = runner_toml::read(text.as_bytes()).unwrap();
        is_blind(&toml.runners[0], "git.test")
    }

    #[test]
    fn what_docker_is_told_is_enough() {
        assert!(blind(""));
        assert!(blind("extra_hosts = [\"other.test:10.0.0.5\"]"));
        assert!(blind("network_mode = \"bridge\""));
        assert!(!blind("extra_hosts = [\"Git.test:10.0.0.5\"]"));
        assert!(!blind("network_mode = \"host\""));
        assert!(!blind("network_mode = \"gitlab\""));
        assert!(!blind("host = \"tcp://docker.test:2376\""));
        let own = |name| {
            is_blind(
                &runner_toml::read(b"[[runners]]\nexecutor = \"docker\"\n").unwrap().runners[0],
                name,
            )
        };
        assert!(own("git.test") && !own("localhost"));
        let shell = runner_toml::read(b"[[runners]]\nexecutor = \"shell\"\n").unwrap();
        assert!(!is_blind(&shell.runners[0], "git.test"));
    }

    #[test]
    fn entries_have_a_name_and_an_address() {
        assert_eq!(told_for("git.test:10.0.0.5", "git.test"), Some("10.0.0.5"));
        assert_eq!(told_for("Git.test=10.0.0.5", "git.test"), Some("10.0.0.5"));
        assert_eq!(told_for("git.test:[fd00::1]", "git.test"), Some("fd00::1"));
        assert_eq!(told_for("git.test:fd00::1", "git.test"), Some("fd00::1"));
        for other in ["git.test.org:10.0.0.5", "git.test", ""] {
            assert_eq!(told_for(other, "git.test"), None, "{other}");
        }
    }

    #[test]
    fn severity_follows_what_the_name_servers_say() {
        let config = Config { path: "/etc/gitlab-runner/config.toml".into(), toml: <_>::default() };
        let known =
            |address: &str| vec![Sourced::file(address.parse().unwrap(), "/etc/hosts", Some(3))];
        let server: IpAddr = "10.0.0.53".parse().unwrap();
        let finding = |known_by, asked| finding(&config, "git.test", &There { known_by, asked });
        let told = |reply| finding(known("10.0.0.5"), Some(vec![(server, reply)]));
        assert_eq!(told(NameReply::NotKnown).severity, Severity::Error);
        // What cannot be asked proves nothing.
        assert_eq!(told(NameReply::Refused(2)).severity, Severity::Notice);
        assert_eq!(finding(known("10.0.0.5"), None).severity, Severity::Notice);
        assert!(told(NameReply::NotKnown).remedy.advice.contains("[\"git.test:10.0.0.5\"]"));
        let nobody = finding(known("127.0.1.1"), Some(Vec::new()));
        assert_eq!(nobody.severity, Severity::Error);
        assert!(nobody.remedy.advice.contains("git.test:ADDRESS"));
    }
}
