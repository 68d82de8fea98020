//! Do containers find GitLab? They do not read this host's `/etc/hosts`.

use std::net::{IpAddr, SocketAddr};

use super::address::Address;
use crate::checks::path::Looked;
use crate::checks::reach::Reach;
use crate::checks::{Finding, Severity, Verdict, docs};
use crate::host::network::{NameQuery, NameReply};
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
    if endpoint.is_address() || matches!(looked.reached, Reach::NoName(_)) {
        return;
    }
    let blind: Vec<_> =
        address.runners.iter().filter(|runner| is_blind(runner, &endpoint.host)).collect();
    let Some(first) = blind.first() else { return };
    match unknown_there(host, first, &endpoint.host).await {
        Ok(Some((known_by, asked))) => {
            let finding = finding(config, &endpoint.host, &known_by, &asked);
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
    let told = docker.extra_hosts.iter().any(|entry| {
        entry.value.split([':', '=']).next().is_some_and(|it| it.eq_ignore_ascii_case(name))
    });
    is_docker && is_here && !told && matches!(network, "" | "default" | "bridge")
}

/// Where `/etc/hosts` knows the name and no name server of the containers does: both.
async fn unknown_there(
    host: &Host,
    runner: &Runner,
    name: &str,
) -> Result<Option<(Vec<Sourced<IpAddr>>, Vec<Asked>)>, Unknown> {
    let known_by = in_hosts(host, name).await?;
    if known_by.is_empty() {
        return Ok(None);
    }
    let told = runner.docker.iter().flat_map(|docker| &docker.dns);
    let servers = match names::addresses(told) {
        told if told.is_empty() => servers_of_containers(host).await?,
        told => told,
    };
    let asked = servers.into_iter().map(async |server| {
        let question = NameQuery { server: SocketAddr::new(server, PORT), name: name.to_owned() };
        Ok::<_, Unknown>((server, host.ask(question).await?))
    });
    let asked = futures::future::try_join_all(asked).await?;
    let is_known = asked.iter().any(|(_, reply)| *reply == NameReply::Known);
    Ok((!is_known).then_some((known_by, asked)))
}

fn finding(config: &Config, name: &str, known_by: &[Sourced<IpAddr>], asked: &[Asked]) -> Finding {
    let message = format!(
        "jobs in containers cannot resolve '{name}': only this host's /etc/hosts knows it, which \
         they do not read"
    );
    // A server that is silent to this host may be so for the moment.
    let is_sure = asked.iter().all(|(_, reply)| *reply == NameReply::NotKnown);
    let severity = if is_sure { Severity::Error } else { Severity::Warning };
    let finding = Finding::new(severity, "unresolved-in-containers", name, message);
    let finding = known_by
        .iter()
        .take(2)
        .fold(finding, |finding, address| finding.evidence(address.evidence("known only here")));
    let finding = asked.iter().fold(finding, |finding, (server, reply)| {
        finding.seen(format!("name server {server}"), words(reply))
    });
    let finding = if asked.is_empty() {
        finding.seen("name servers", "none that a container could ask")
    } else {
        finding
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
        let shell = runner_toml::read(b"[[runners]]\nexecutor = \"shell\"\n").unwrap();
        assert!(!is_blind(&shell.runners[0], "git.test"));
    }

    #[test]
    fn severity_follows_what_the_name_servers_say() {
        let config = Config { path: "/etc/gitlab-runner/config.toml".into(), toml: <_>::default() };
        let known =
            |address: &str| vec![Sourced::file(address.parse().unwrap(), "/etc/hosts", Some(3))];
        let server: IpAddr = "10.0.0.53".parse().unwrap();
        let told = |reply| finding(&config, "git.test", &known("10.0.0.5"), &[(server, reply)]);
        assert_eq!(told(NameReply::NotKnown).severity, Severity::Error);
        assert_eq!(told(NameReply::Refused(2)).severity, Severity::Warning);
        assert!(told(NameReply::NotKnown).remedy.advice.contains("[\"git.test:10.0.0.5\"]"));
        let nobody = finding(&config, "git.test", &known("127.0.1.1"), &[]);
        assert_eq!(nobody.severity, Severity::Error);
        assert!(nobody.remedy.advice.contains("git.test:ADDRESS"));
    }
}
