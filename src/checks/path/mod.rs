//! What stands between this host and a service: one root cause for each broken path.
//!
//! [`reach`](super::reach) goes the way to an endpoint in stages. This module says what the outcome
//! means, in the same words for every service: at which stage the way breaks, who answers at its
//! end and by what sign, and how the addresses of one name differ. What differs from service to
//! service (its name, where its address is written, the commands that mend it) a check tells by
//! implementing [`Service`].
//!
//! ```ignore
//! let looked = path::look(host, &service).await?;
//! verdict.add(path::judge(&service, &looked));
//! ```

mod addresses;
mod answerer;
mod broken;
pub mod gitlab;
mod stranger;

use super::reach::{Reach, Stage, Way, reach};
use super::shell::word;
use super::{Cause, Finding};
use crate::host::network::{Failure, Handshake, HttpGet, HttpReply, Response, TlsHandshake};
use crate::host::{Host, Unknown};
use crate::install::Endpoint;

pub use answerer::{Answerer, VERSION_HEADER, is_versioned, sign};
pub use stranger::cut;

#[cfg(test)]
pub(in crate::checks) use answerer::tests;

/// As many addresses of one name as are shown.
const SHOWN: usize = 8;

/// The service at the end of a path, as far as its check knows it.
pub trait Service: Sync {
    /// Where it should be; the path in it, if any, lies before [`asked`](Self::asked).
    fn endpoint(&self) -> &Endpoint;

    /// What is asked for there, starting with a slash.
    fn asked(&self) -> &str;

    /// How findings speak of it.
    fn words(&self) -> &'static Words;

    /// Whether this is an answer of the service itself, doing its work.
    fn is_own(&self, response: &Response) -> bool;

    /// What is wrong with an answer that only this service can give; `None` where anybody could
    /// have given it.
    fn strange(&self, _response: &Response) -> Option<Finding> {
        None
    }

    /// The page of the documentation on its address, see [`docs`](super::docs).
    fn docs(&self) -> &'static str;

    /// The finding with what all findings on this service have: where its address is written, and
    /// the documentation.
    fn placed(&self, finding: Finding) -> Finding;

    /// Whether it is asked behind its web server, on the host where it runs. There one of the two
    /// addresses of `localhost` is enough.
    fn is_inner(&self) -> bool {
        false
    }

    /// What to do, as a sentence that names the service's host where that is another one; `what`
    /// is a clause.
    fn advice(&self, what: &str) -> String;

    /// The command that shows its latest log lines, where there is one on this host.
    fn log(&self) -> Option<&str> {
        None
    }

    /// The command that shows which servers its web server knows, where that is on this host.
    fn web_servers(&self) -> Option<&str> {
        None
    }

    /// Adds how it is started, to be told where it does not run.
    fn start(&self, finding: Finding) -> Finding;

    /// What is wrong where nothing accepts connections, if the service knows more than that.
    fn refused(&self) -> Option<Finding> {
        None
    }

    /// Adds how its web server is made to listen, to be told where nothing does.
    fn listen(&self, finding: Finding) -> Finding;

    /// How its web server is made to listen on every address of its host: a clause, and the
    /// commands for it.
    fn listen_everywhere(&self) -> (&'static str, &'static [&'static str]) {
        ("let the server listen there, too", &[])
    }

    /// Adds how it comes to speak TLS, to be told where it speaks plain HTTP under an https URL.
    fn encrypt(&self, finding: Finding) -> Finding;

    /// Adds how its address is mended where that itself is wrong: `right` says what it should be,
    /// `url` where that is known.
    fn rewrite(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding;

    /// Says what goes wrong for others while this path is broken.
    fn dead(&self, finding: Finding) -> Finding {
        finding.explains(Cause::Service(self.endpoint().socket()))
    }

    /// Says what can be at the bottom of an answer that a web server gives in its place.
    fn because(&self, finding: Finding) -> Finding {
        finding
    }

    /// An error on this endpoint.
    fn error(&self, code: &'static str, message: String) -> Finding {
        self.placed(Finding::error(code, self.endpoint().to_string(), message))
    }

    /// A warning on this endpoint.
    fn warning(&self, code: &'static str, message: String) -> Finding {
        self.placed(Finding::warning(code, self.endpoint().to_string(), message))
    }

    /// The request by hand, headers shown, whatever the certificate.
    fn curl(&self) -> String {
        format!("curl -ksi --max-time 10 {}", word(&self.endpoint().url(self.asked())))
    }
}

/// How findings speak of a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// With its article: `the registry`.
    pub the: &'static str,
    /// Without it: `registry`.
    pub bare: &'static str,
    /// With the indefinite one: `a registry`.
    pub one: &'static str,
    /// The code of a finding that it does not run behind the server that answers.
    pub down: &'static str,
    /// The code of a finding that something else answers.
    pub foreign: &'static str,
    /// A header that only this service sends, whose absence is worth showing.
    pub header: Option<&'static str>,
}

/// The container registry.
pub static REGISTRY: Words = Words {
    the: "the registry",
    bare: "registry",
    one: "a registry",
    down: "registry-down",
    foreign: "not-a-registry",
    header: Some("Docker-Distribution-Api-Version"),
};

/// GitLab's own web server and Rails.
pub static GITLAB: Words = Words {
    the: "GitLab",
    bare: "GitLab",
    one: "GitLab",
    down: "gitlab-down",
    foreign: "not-gitlab",
    header: None,
};

/// What a server speaks that does not speak what the URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP without TLS, and the service itself answers.
    PlainService,
    /// HTTP without TLS.
    PlainHttp,
    /// TLS.
    Tls,
}

/// What was seen on the way to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// How far the way goes, address by address.
    pub reached: Reach,
    /// What the server speaks, where it broke off what the URL says.
    pub spoken: Option<Spoken>,
}

impl Looked {
    /// The ways on which the service itself answers, and the others.
    pub fn split(&self, service: &dyn Service) -> (Vec<&Way>, Vec<&Way>) {
        match &self.reached {
            Reach::NoName(_) => (Vec::new(), Vec::new()),
            Reach::Ways(ways) => ways.iter().partition(|way| is_good(service, way)),
        }
    }
}

/// Goes the way to a service; where its server speaks something else, also finds out what.
pub async fn look(host: &Host, service: &dyn Service) -> Result<Looked, Unknown> {
    let reached = reach(host, service.endpoint(), service.asked()).await?;
    let spoken = match &reached {
        Reach::Ways(ways) if !ways.iter().any(|way| is_good(service, way)) => {
            match farthest(ways) {
                Some(way) => spoken(host, service, way).await?,
                None => None,
            }
        }
        _ => None,
    };
    Ok(Looked { reached, spoken })
}

/// What is wrong on the way to a service; `None` where it answers at every address, or at one
/// where that is enough.
pub fn judge(service: &dyn Service, looked: &Looked) -> Option<Finding> {
    let endpoint = service.endpoint();
    let finding = judge_stages(service, looked)?.follows(Cause::Astray(endpoint.socket()));
    // A wrong path leads to a wrong answer, but not to a dead server.
    let answered = |way: &Way| way.response().is_some();
    if !matches!(&looked.reached, Reach::Ways(ways) if ways.iter().any(answered)) {
        return Some(finding);
    }
    let asked = service.asked().split('?').next().unwrap_or_default();
    Some(finding.follows(Cause::Astray(format!("{}{}{asked}", endpoint.socket(), endpoint.path))))
}

fn judge_stages(service: &dyn Service, looked: &Looked) -> Option<Finding> {
    if let Reach::NoName(resolved) = &looked.reached {
        return Some(broken::no_name(service, resolved));
    }
    let (good, bad) = looked.split(service);
    if good.is_empty() {
        let farthest = farthest(bad.iter().copied())?;
        let others = bad.iter().filter(|way| way.address != farthest.address).copied();
        let finding = shown(broken::broken(service, farthest, looked.spoken), others);
        return Some(if service.is_inner() { finding } else { unconnected(finding, &bad) });
    }
    // A service listens on one of the two addresses of `localhost`; its web server tries the other
    // one, is refused, and takes this one.
    let is_silent = bad.is_empty() || service.is_inner();
    (!is_silent).then(|| addresses::differing(service, &good, &bad))
}

/// Services of several names may have one web server: if nothing accepts connections at an address,
/// the first of them tells it for all.
fn unconnected(finding: Finding, ways: &[&Way]) -> Finding {
    if ways.iter().any(|way| !matches!(way.stage, Stage::Connection(_))) {
        return finding;
    }
    ways.iter().fold(finding, |finding, way| {
        finding.explains(Cause::Address(way.address)).follows(Cause::Address(way.address))
    })
}

/// How far a way went, in a few words.
pub fn describe(stage: &Stage) -> String {
    match stage {
        Stage::Connection(failure) => failure.to_string(),
        Stage::Tls(failure) => format!("connected, but no TLS: {failure}"),
        Stage::Http(failure) => format!("connected, but no HTTP answer: {failure}"),
        Stage::Answered(response) => format!("HTTP {}", response.status),
    }
}

/// What a server speaks that broke off what the URL says. A silent one is not asked twice.
async fn spoken(host: &Host, service: &dyn Service, way: &Way) -> Result<Option<Spoken>, Unknown> {
    let endpoint = service.endpoint();
    match &way.stage {
        Stage::Tls(Failure::Foreign(_) | Failure::Reset) => {
            let plain = Endpoint { https: false, ..endpoint.clone() };
            let url = plain.url(service.asked());
            match host.ask(HttpGet::new(url, way.address)).await? {
                HttpReply::Answered(response) if service.is_own(&response) => {
                    Ok(Some(Spoken::PlainService))
                }
                HttpReply::Answered(response) => Ok(match Answerer::of(&response) {
                    // A TLS server that refused the handshake says so in plain HTTP.
                    Answerer::TlsPort => None,
                    _ => Some(Spoken::PlainHttp),
                }),
                HttpReply::Failed(_) => Ok(None),
            }
        }
        Stage::Http(Failure::Foreign(_) | Failure::Reset) if !endpoint.https => {
            let name = endpoint.host.clone();
            match host.ask(TlsHandshake { address: way.address, name }).await? {
                Handshake::Shown { .. } => Ok(Some(Spoken::Tls)),
                Handshake::Failed(_) => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn is_good(service: &dyn Service, way: &Way) -> bool {
    way.response().is_some_and(|response| service.is_own(response))
}

/// The way that came farthest tells most: its fault is the one to mend.
fn farthest<'a>(ways: impl IntoIterator<Item = &'a Way>) -> Option<&'a Way> {
    let depth = |way: &&Way| match way.stage {
        Stage::Connection(_) => 0,
        Stage::Tls(_) => 1,
        Stage::Http(_) => 2,
        Stage::Answered(_) => 3,
    };
    // Of equals the first: max_by_key would take the last.
    let mut best: Option<&Way> = None;
    for way in ways {
        if best.is_none_or(|best| depth(&way) > depth(&best)) {
            best = Some(way);
        }
    }
    best
}

/// What each address came to, as evidence.
fn shown<'a>(finding: Finding, ways: impl IntoIterator<Item = &'a Way>) -> Finding {
    ways.into_iter().take(SHOWN).fold(finding, |finding, way| {
        finding.seen(format!("at {}", way.address), describe(&way.stage))
    })
}
