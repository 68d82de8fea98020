//! GitLab itself, at the address that something else was told: a runner, the registry.

use super::{Answerer, GITLAB, Service, Words};
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding};
use crate::host::Host;
use crate::host::network::{Body, Response};
use crate::install::{self, Endpoint, Kind};

/// A request that GitLab's API refuses to everybody without a token, which proves that nginx,
/// Workhorse and Rails work.
pub const API: &str = "/api/v4/version";

/// GitLab at an address.
#[derive(Debug, Clone)]
pub struct Gitlab {
    /// The address.
    pub endpoint: Endpoint,
    /// What is asked for below it.
    pub asked: String,
    /// Which answers show that GitLab does its work.
    pub is_own: fn(&Response) -> bool,
    /// Where the address stands; `None` where the subject says it already.
    pub written: Option<Evidence>,
    /// How the address is mended where that itself is wrong.
    pub mend: Mend,
    /// Where GitLab runs.
    pub place: Place,
    /// The page of the documentation on the address.
    pub docs: &'static str,
}

/// How an address is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// What holds the address, such as `url in /etc/gitlab-runner/config.toml`, or a flag of
    /// gldoctor, such as `--url`.
    pub what: String,
    /// What to type.
    pub commands: Vec<String>,
}

/// Where GitLab runs, which decides the words of a mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this host.
    Here(Kind),
    /// On another one, as far as can be told.
    Elsewhere,
}

impl Place {
    /// Where the GitLab at `endpoint` runs: here, if it is the one that this host is set up for.
    /// What cannot be looked at does not count: the answer decides words, never a verdict.
    pub async fn of(host: &Host, endpoint: &Endpoint) -> Self {
        let own = install::gitlab::configured_url(host).await.ok().flatten();
        let is_own = own.is_some_and(|own| own.value.host == endpoint.host);
        match install::kind(host).await {
            Ok(Some(kind)) if is_own => Self::Here(kind),
            _ => Self::Elsewhere,
        }
    }

    /// What to do, as a sentence that names GitLab's host where that is another one; `what` is a
    /// clause.
    pub fn advice(self, what: &str) -> String {
        match (self, what.split_at_checked(1)) {
            (Self::Here(_), Some((first, rest))) => {
                format!("{}{rest}.", first.to_ascii_uppercase())
            }
            _ => format!("On GitLab's host, {what}."),
        }
    }
}

/// Whether GitLab's API gave this answer.
pub fn is_api(response: &Response) -> bool {
    let is_known = matches!(response.body, Body::Json(_)) || response.status == 429;
    is_known && Answerer::of(response) == Answerer::Gitlab
}

/// Whether these are the words of `Rack::Attack` for a client that failed to log in too often. Other
/// servers have the same.
fn is_banned(response: &Response) -> bool {
    let words = matches!(&response.body, Body::Text(text) if text.trim() == "Forbidden");
    response.status == 403 && words
}

impl Service for Gitlab {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn asked(&self) -> &str {
        &self.asked
    }

    fn words(&self) -> &'static Words {
        &GITLAB
    }

    fn is_own(&self, response: &Response) -> bool {
        (self.is_own)(response)
    }

    fn strange(&self, response: &Response) -> Option<Finding> {
        if is_banned(response) {
            let message = "answers 403 Forbidden: GitLab has banned this host's address for a \
                           while, or a proxy in front refuses it";
            return Some(self.error("forbidden", message.to_owned()).remedy(
                self.place.advice(
                    "look for this host's address; GitLab lets it in again after an hour, unless \
                     logins go on failing",
                ),
                ["sudo grep Rack_Attack /var/log/gitlab/gitlab-rails/auth.log"],
            ));
        }
        if Answerer::of(response) != Answerer::Gitlab {
            return None;
        }
        let status = response.status;
        Some(match status {
            502..=504 => {
                let message = format!(
                    "GitLab's web server answers {status}: GitLab behind it is down, or still \
                     starting"
                );
                self.start(self.error(GITLAB.down, message))
            }
            500.. => {
                let message = format!("GitLab answers {status} on {}: it fails itself", self.asked);
                let finding = self.error("gitlab-error", message);
                finding.remedy(
                    self.place.advice("look for the reason in the log of Rails"),
                    ["sudo tail -n 50 /var/log/gitlab/gitlab-rails/exceptions_json.log"],
                )
            }
            _ => {
                let message = format!(
                    "GitLab answers {status}, but with its web pages: {} is not there",
                    self.asked
                );
                let right = "the address that users type, with its path if it has one";
                self.rewrite(self.error("wrong-path", message), right, None)
            }
        })
    }

    fn docs(&self) -> &'static str {
        self.docs
    }

    fn placed(&self, finding: Finding) -> Finding {
        let finding = finding.docs(self.docs);
        match &self.written {
            Some(written) => finding.evidence(written.clone()),
            None => finding,
        }
    }

    fn advice(&self, what: &str) -> String {
        self.place.advice(what)
    }

    fn web_servers(&self) -> Option<&str> {
        (self.place == Place::Here(Kind::LinuxPackage))
            .then_some("sudo grep -rnE 'listen |server_name ' /var/opt/gitlab/nginx/conf")
    }

    fn start(&self, finding: Finding) -> Finding {
        let advice = self.place.advice(
            "see whether GitLab is up: Puma takes some minutes to start, and its log says what \
             stops it",
        );
        match self.place {
            Place::Here(Kind::SelfCompiled) => finding.remedy(
                advice,
                ["systemctl status gitlab.target", "sudo systemctl start gitlab.target"],
            ),
            Place::Here(Kind::LinuxPackage) | Place::Elsewhere => finding.remedy(
                advice,
                ["sudo gitlab-ctl status", "sudo gitlab-ctl start", "sudo gitlab-ctl tail puma"],
            ),
        }
    }

    fn listen(&self, finding: Finding) -> Finding {
        let port = self.endpoint.port;
        let listening = format!("sudo ss -ltnp 'sport = :{port}'");
        match self.place {
            Place::Here(Kind::LinuxPackage) => finding.remedy(
                format!("Start nginx; if it runs, let it listen on port {port}."),
                ["sudo gitlab-ctl status nginx", &listening, "sudo gitlab-ctl reconfigure"],
            ),
            Place::Here(Kind::SelfCompiled) => finding.remedy(
                format!("Start nginx; if it runs, let it listen on port {port}."),
                ["systemctl status nginx", &listening],
            ),
            Place::Elsewhere => finding.remedy(
                self.place.advice("see whether nginx runs and listens on this port"),
                ["sudo gitlab-ctl status nginx", &listening],
            ),
        }
    }

    fn encrypt(&self, finding: Finding) -> Finding {
        let otherwise = match self.mend.what.as_str() {
            flag if flag.starts_with("--") => "ask at the port that speaks TLS".to_owned(),
            what => format!("let {what} name the port that speaks TLS"),
        };
        let what = format!(
            "let external_url start with https:// and reconfigure; if it does, {otherwise}"
        );
        finding.remedy(
            self.place.advice(&what),
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        )
    }

    fn rewrite(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding {
        let flag = &self.mend.what;
        if flag.starts_with("--") {
            let again = |url: &str| format!("gldoctor run {flag} {}", word(url));
            return finding.remedy(
                format!(
                    "Ask for {right}; if this is the address that users are told, mend \
                     external_url in gitlab.rb on GitLab's host."
                ),
                [url.map_or_else(|| self.curl(), again)],
            );
        }
        // What is told a realm or a target is told the whole of it.
        let rest = if self.asked == API || url.is_none() { "" } else { &self.asked };
        let rest = rest.split('?').next().unwrap_or_default();
        let advice = format!("Let {} be {right}{rest}.", self.mend.what);
        finding.remedy(advice, self.mend.commands.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::response;
    use super::super::{Looked, judge};
    use super::*;
    use crate::checks::reach::{Reach, Stage, Way};
    use crate::checks::{Severity, docs};

    fn gitlab() -> Gitlab {
        let what = "url in /etc/gitlab-runner/config.toml".to_owned();
        Gitlab {
            endpoint: Endpoint::parse("https://git.test").unwrap(),
            asked: API.to_owned(),
            is_own: is_api,
            written: None,
            mend: Mend { what, commands: Vec::new() },
            place: Place::Elsewhere,
            docs: docs::OFFLINE,
        }
    }

    fn judged(status: u16, fields: &[(&str, &str)], body: Body) -> Option<Finding> {
        let stage = Stage::Answered(response(status, fields, body));
        let way = Way { address: "10.0.0.1:443".parse().unwrap(), stage };
        judge(&gitlab(), &Looked { reached: Reach::Ways(vec![way]), spoken: None })
    }

    fn page(title: &str) -> Body {
        Body::Html { title: Some(title.to_owned()) }
    }

    #[test]
    fn the_api_s_refusal_is_a_good_answer() {
        let refusal = Body::Json(json!({ "message": "401 Unauthorized" }));
        assert_eq!(judged(401, &[], refusal), None);
        assert_eq!(judged(429, &[], Body::Text("Retry later\n".to_owned())), None);
    }

    #[test]
    fn who_answers_in_place_of_gitlab_is_named() {
        let code = |status, fields: &[_], body| judged(status, fields, body).unwrap().code;
        assert_eq!(code(502, &[], page("GitLab is not responding (502)")), "gitlab-down");
        assert_eq!(code(502, &[("server", "nginx")], page("502 Bad Gateway")), "gitlab-down");
        assert_eq!(code(500, &[], page("Something went wrong (500) - GitLab")), "gitlab-error");
        assert_eq!(code(404, &[("x-gitlab-meta", "{}")], page("404")), "wrong-path");
        assert_eq!(code(302, &[("location", "/users/sign_in")], Body::Empty), "wrong-path");
        assert_eq!(code(200, &[], page("Welcome to nginx!")), "nginx-default");
        assert_eq!(code(404, &[], page("404 Not Found")), "not-gitlab");
        assert_eq!(code(403, &[], Body::Text("Forbidden\n".to_owned())), "forbidden");
        let registry = ("docker-distribution-api-version", "registry/2.0");
        assert_eq!(code(404, &[registry], Body::Text("404".to_owned())), "registry-answers");
        assert_eq!(
            code(301, &[("location", "https://git.test/api/v4/version")], Body::Empty),
            "redirect-loop"
        );
        let elsewhere = ("location", "https://gitlab.test/api/v4/version");
        let moved = judged(301, &[elsewhere], Body::Empty).unwrap();
        assert_eq!((moved.code, moved.severity), ("redirected", Severity::Warning));
        assert_eq!(
            moved.remedy.advice,
            "Let url in /etc/gitlab-runner/config.toml be https://gitlab.test."
        );
    }
}
