//! What nginx tells the registry of its outside address.

use super::{Public, settings};
use crate::checks::shell::word;
use crate::checks::{Cause, Finding, Severity, docs};
use crate::install::front::Front;
use crate::install::registry::Config;
use crate::install::{Source, Sourced};

/// The limit of nginx for what clients send, where nobody sets one.
const NGINX_LIMIT: &str = "1m";

/// Layers up to this size are usual enough.
const USUAL_LAYER: u64 = 10 << 30;

/// A proxy in front.
pub(super) fn judge(
    front: &Front,
    config: Option<&Config>,
    public: Option<&Public<'_>>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let relative = config.and_then(|it| it.yml.http.relativeurls.as_ref());
    let relative = relative.and_then(|it| it.value.as_bool()) == Some(true);
    let fixed = config.is_some_and(|config| settings::fixed(config).is_some());
    if !relative && !fixed {
        let proxy = Proxy { front, public };
        findings.extend(proxy.scheme());
        findings.extend(proxy.host());
    }
    findings.extend(authorization(front));
    findings.extend(body_limit(front));
    findings
}

struct Proxy<'a> {
    front: &'a Front,
    public: Option<&'a Public<'a>>,
}

/// What a header comes to at the registry.
enum Told<'a> {
    /// Nothing is sent.
    Nothing,
    /// This, a text with or without variables.
    Text(&'a str, &'a Source),
}

impl Proxy<'_> {
    fn header(&self, name: &str) -> Told<'_> {
        match self.front.header(name) {
            // nginx does not send a header with an empty value. One that is not shown is none of
            // those that are asked for here.
            Some(Sourced { value: Some(text), source }) if !text.is_empty() => {
                Told::Text(text, source)
            }
            Some(_) | None => Told::Nothing,
        }
    }

    /// Whether clients speak https; nginx' own word where no address is known.
    fn is_https(&self) -> bool {
        self.public.map_or_else(|| self.front.speaks_tls(), |public| public.endpoint.https)
    }

    fn port(&self) -> Option<u16> {
        match self.public {
            Some(public) => Some(public.endpoint.port),
            None => self.front.listen.first().map_or(Some(80), |listen| listen.port),
        }
    }

    /// As clients would see the registry's URLs.
    fn address(&self) -> String {
        let scheme = if self.is_https() { "https" } else { "http" };
        match self.public {
            Some(public) => public.endpoint.server().to_string(),
            None => format!("{scheme}://REGISTRY"),
        }
    }

    fn finding(&self, code: &'static str, why: &str, wrong: &str) -> Finding {
        let message = format!(
            "{why}: the registry sends pushes to {wrong} instead of {}, and they fail",
            self.address()
        );
        let front = self.front;
        let finding = Finding::error(code, front.path.as_str(), message)
            .docs(docs::REGISTRY_TROUBLE)
            .evidence(front.proxy_pass.evidence("proxy_pass"));
        match self.public {
            Some(public) => finding.evidence(public.evidence()),
            None => finding,
        }
    }

    fn mended(&self, finding: Finding, name: &str, value: &str) -> Finding {
        mended(self.front, finding, name, value)
    }

    fn scheme(&self) -> Option<Finding> {
        const NAME: &str = "X-Forwarded-Proto";
        // Where nginx speaks TLS to the registry, that tells it the scheme.
        let inner_tls = self.front.proxy_pass.value.starts_with("https://");
        let https = self.is_https();
        let (scheme, other) = if https { ("https", "http") } else { ("http", "https") };
        let wrong = self.address().replacen(scheme, other, 1);
        let forwarded = self.front.header("forwarded").is_some();
        match self.header("x-forwarded-proto") {
            Told::Nothing if !https || inner_tls || forwarded || self.front.unclear => None,
            Told::Nothing => {
                let why = format!("nginx does not tell the registry the scheme ({NAME})");
                Some(self.mended(self.finding("proto-missing", &why, &wrong), NAME, "https"))
            }
            Told::Text("$scheme", source) => {
                if self.front.speaks_tls() == https {
                    return None;
                }
                let why =
                    format!("nginx tells the registry the scheme of its own port ({NAME} $scheme)");
                let finding = self.finding("proto-overwritten", &why, &wrong);
                Some(self.mended(finding.evidence(source.evidence(NAME, "$scheme")), NAME, scheme))
            }
            Told::Text("$http_x_forwarded_proto", source) => {
                // Who speaks TLS here has no proxy in front that would have set it.
                if !(https && self.front.speaks_tls()) {
                    return None;
                }
                let why = format!("nginx passes on a header that no client sends ({NAME})");
                let finding = self.finding("proto-missing", &why, &wrong);
                let place = source.evidence(NAME, "$http_x_forwarded_proto");
                Some(self.mended(finding.evidence(place), NAME, scheme))
            }
            Told::Text(text, _) if text.starts_with('$') || text.eq_ignore_ascii_case(scheme) => {
                None
            }
            Told::Text(text, source) => {
                let why = format!("nginx tells the registry another scheme ({NAME} {text})");
                let finding = self.finding("proto-wrong", &why, &wrong);
                Some(self.mended(finding.evidence(source.evidence(NAME, text)), NAME, scheme))
            }
        }
    }

    fn host(&self) -> Option<Finding> {
        let (name, told) = match self.header("x-forwarded-host") {
            Told::Nothing => ("Host", self.header("host")),
            told @ Told::Text(..) => ("X-Forwarded-Host", told),
        };
        if self.front.header("forwarded").is_some() {
            return None;
        }
        match told {
            Told::Nothing if self.front.unclear => None,
            Told::Text("$proxy_host", _) | Told::Nothing => Some(self.host_missing(name)),
            Told::Text(text, source) => {
                let (code, why, wrong) = self.wrong_host(name, text)?;
                let wrong = format!("{}://{wrong}", self.client_scheme());
                let finding = self.finding(code, &why, &wrong);
                let finding = finding.evidence(source.evidence(name, text));
                Some(self.mended(finding, "Host", "$http_host"))
            }
        }
    }

    fn client_scheme(&self) -> &'static str {
        if self.is_https() { "https" } else { "http" }
    }

    /// The registry then takes the name that nginx has for it.
    fn host_missing(&self, name: &str) -> Finding {
        let inside = self.front.proxy_pass.value.split_once("://").map_or("", |(_, rest)| rest);
        // What nginx calls a Unix socket.
        let inside = if inside.starts_with("unix:") { "localhost" } else { inside };
        let inside = inside.split('/').next().unwrap_or_default();
        let why = format!("nginx does not tell the registry which host was asked ({name})");
        let wrong = format!("{}://{inside}", self.client_scheme());
        self.mended(self.finding("host-missing", &why, &wrong), "Host", "$http_host")
    }

    /// What is wrong with the host that nginx tells: the finding's code, why, and the host and port
    /// that the registry takes for its own.
    fn wrong_host(&self, name: &str, text: &str) -> Option<(&'static str, String, String)> {
        let port = self.port()?;
        let default = port == if self.is_https() { 443 } else { 80 };
        let bare = matches!(text, "$host" | "$server_name" | "$hostname" | "$http_name");
        let host = self.public.map_or("REGISTRY", |public| public.endpoint.host.as_str());
        if bare {
            if default {
                return None;
            }
            let why = format!("nginx drops the port of the host that was asked ({name} {text})");
            return Some(("port-dropped", why, host.to_owned()));
        }
        if let Some((_, "$server_port")) = text.rsplit_once(':') {
            let listens = self.front.listen.iter().any(|it| it.port == Some(port));
            if listens || self.front.listen.is_empty() {
                return None;
            }
            let own = self.front.listen.first().and_then(|it| it.port).unwrap_or(80);
            let why = format!("nginx tells the registry its own port ({name} {text})");
            return Some(("port-wrong", why, format!("{host}:{own}")));
        }
        // Some other variable, which a map may fill.
        if text.contains('$') {
            return None;
        }
        let public = self.public?;
        let right = public.endpoint.authority();
        if text.eq_ignore_ascii_case(&right) || text.eq_ignore_ascii_case(&public.endpoint.socket())
        {
            return None;
        }
        let why = format!("nginx tells the registry another host ({name} {text})");
        Some(("host-wrong", why, text.to_owned()))
    }
}

/// How a header is set, or anything else in the file of nginx.
fn mended(front: &Front, finding: Finding, name: &str, value: &str) -> Finding {
    if front.generated {
        return finding.remedy(
            format!(
                "Let registry_nginx['proxy_set_headers'] in gitlab.rb hold '{name}' => '{value}', and \
                 reconfigure, which writes this file anew."
            ),
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        );
    }
    let advice = format!(
        "Write 'proxy_set_header {name} {value};' into the location in line {}, beside all the other \
         headers that it needs.",
        front.line
    );
    finding.remedy(advice, reload(front))
}

/// Clients show their tokens in it.
fn authorization(front: &Front) -> Option<Finding> {
    let header = front.header("authorization")?;
    let (code, does) = match header.value.as_deref() {
        Some("") => ("authorization-dropped", "takes the token out of every request"),
        // Whatever it is: nothing of it is shown.
        None => ("authorization-replaced", "puts a login of its own in place of every token"),
        Some(_) => return None,
    };
    let message = format!(
        "nginx {does} (Authorization): the registry answers 401 to everybody, so docker login, \
         push and pull fail"
    );
    let value = if code == "authorization-dropped" { "\"\"" } else { "set, not shown" };
    let finding = Finding::error(code, front.path.as_str(), message)
        .explains(Cause::Tokens)
        .docs(docs::REGISTRY_TROUBLE)
        .evidence(header.source.evidence("proxy_set_header Authorization", value));
    Some(if front.generated {
        finding.remedy(
            "Take 'Authorization' out of registry_nginx['proxy_set_headers'] in gitlab.rb, and \
             reconfigure, which writes this file anew.",
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        )
    } else {
        finding.remedy("Take that line out; nginx then passes the header on.", reload(front))
    })
}

fn reload(front: &Front) -> [String; 2] {
    [
        format!("sudoedit {}", word(front.path.as_str())),
        "sudo nginx -t && sudo systemctl reload nginx".to_owned(),
    ]
}

/// nginx refuses what is larger, before the registry hears of it.
fn body_limit(front: &Front) -> Option<Finding> {
    if front.body_limit.is_none() && front.unclear {
        return None;
    }
    let text = front.body_limit.as_ref().map_or(NGINX_LIMIT, |limit| limit.value.as_str());
    let bytes = bytes(text)?;
    if bytes == 0 {
        return None;
    }
    let severity = if bytes < USUAL_LAYER { Severity::Error } else { Severity::Notice };
    let what = if front.body_limit.is_some() { "" } else { ", which is nginx' own limit" };
    let unit = if text.ends_with(|c: char| c.is_ascii_digit()) { " bytes" } else { "" };
    let message = format!("layers over {text}{unit} cannot be pushed: nginx answers 413{what}");
    let finding = Finding::new(severity, "body-limit", front.path.as_str(), message)
        .docs(docs::REGISTRY_TROUBLE);
    let finding = match &front.body_limit {
        Some(limit) => finding.evidence(limit.evidence("client_max_body_size")),
        None => finding.evidence(front.proxy_pass.evidence("proxy_pass")),
    };
    Some(if front.generated {
        finding.remedy(
            "Let reconfigure write the file anew: it sets client_max_body_size to 0 for the registry.",
            ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl hup nginx"],
        )
    } else {
        let advice = "Write 'client_max_body_size 0;' into the server of the registry.";
        finding.remedy(advice, reload(front))
    })
}

/// A size as nginx writes it; `None` for anything else.
fn bytes(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[test]
fn sizes_are_read_as_nginx_reads_them() {
    assert_eq!(bytes("0"), Some(0));
    assert_eq!(bytes("1m"), Some(1 << 20));
    assert_eq!(bytes("2G"), Some(2 << 30));
    assert_eq!(bytes("100"), Some(100));
    for odd in ["", "m", "1t", "$limit", "99999999999999999999g"] {
        assert_eq!(bytes(odd), None, "{odd}");
    }
}
