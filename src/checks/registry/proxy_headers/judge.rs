//! What the registry makes of its outside address, and what is wrong with it.

use crate::checks::registry::keeper::Keeper;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, docs};
use crate::install::front::Front;
use crate::install::registry::Config;
use crate::install::{Endpoint, Settings, Source, Sourced, Written, spelled};
use crate::parse::setting::{Located, Scalar};

/// The limit of nginx for what clients send, where nobody sets one.
const NGINX_LIMIT: &str = "1m";

/// Layers up to this size are usual enough.
const USUAL_LAYER: u64 = 10 << 30;

/// The address under which clients reach the registry.
pub(super) struct Public<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) source: &'a Source,
}

impl Public<'_> {
    fn evidence(&self) -> Evidence {
        self.source.evidence("address for clients", self.endpoint)
    }

    /// Whether `https://host:port` is this address.
    fn is(&self, other: &Endpoint) -> bool {
        self.endpoint.is_server(other)
    }
}

/// The registry's own settings.
pub(super) fn settings(
    config: &Config,
    public: Option<&Public<'_>>,
    keeper: Keeper,
    gitlab: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(fixed_host(config, public, keeper));
    findings.extend(autoredirect(config, keeper, gitlab));
    findings
}

/// What `http.host` says, if it is a whole URL: the registry ignores any other text. It wins over
/// all headers, and over `http.relativeurls`.
fn fixed(config: &Config) -> Option<(&Located<Scalar>, Endpoint)> {
    let setting = config.yml.http.host.as_ref()?;
    Some((setting, Endpoint::parse(setting.value.as_text()?).ok()?))
}

fn fixed_host(config: &Config, public: Option<&Public<'_>>, keeper: Keeper) -> Option<Finding> {
    let setting = config.yml.http.host.as_ref()?;
    let source = crate::install::source_of(&config.path, setting);
    let place = source.evidence("http.host", &setting.value);
    let path = config.path.as_str();
    let Some((_, fixed)) = fixed(config) else {
        let text = setting.value.to_string();
        if text.is_empty() {
            return None;
        }
        let message = format!("http.host is '{text}', which is no URL: the registry ignores it");
        let finding = Finding::notice("host-ignored", path, message).evidence(place);
        return Some(remove_host(finding.docs(docs::REGISTRY_TROUBLE), setting, keeper));
    };
    let public = public.filter(|public| !public.is(&fixed.server()))?;
    let message = format!(
        "pushes are sent to {}, because http.host says so: clients know the registry as {}",
        fixed.server(),
        public.endpoint.server()
    );
    let finding = Finding::error("host-differs", path, message)
        .evidence(place)
        .evidence(public.evidence())
        .docs(docs::REGISTRY_TROUBLE);
    Some(remove_host(finding, setting, keeper))
}

fn remove_host(finding: Finding, setting: &Located<Scalar>, keeper: Keeper) -> Finding {
    match (&setting.variable, keeper) {
        (Some(variable), Keeper::Package | Keeper::Elsewhere) => finding.remedy(
            keeper.advice(&format!(
                "take {variable} out of registry['env'] in /etc/gitlab/gitlab.rb and reconfigure"
            )),
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        ),
        (Some(variable), Keeper::Systemd) => finding.remedy(
            format!("Take {variable} out of the registry's environment, and restart it."),
            ["sudo systemctl restart docker-registry"],
        ),
        // The package has no setting for it, so somebody edited what it generated.
        (None, Keeper::Package | Keeper::Elsewhere) => finding.remedy(
            keeper.advice(
                "let reconfigure write the registry's configuration anew; it has no http.host",
            ),
            ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
        ),
        (None, Keeper::Systemd) => keeper.unset(finding, "", "http.host"),
    }
}

/// With it the registry makes the realm from the host that was asked, and a path that GitLab does
/// not serve.
fn autoredirect(config: &Config, keeper: Keeper, gitlab: bool) -> Option<Finding> {
    let setting = config.yml.auth.token_autoredirect.as_ref()?;
    if setting.value.as_bool() != Some(true) {
        return None;
    }
    let severity = if gitlab { Severity::Error } else { Severity::Warning };
    let message = "clients are told to fetch tokens from the registry's own host below \
                   /auth/token, where GitLab serves none: every login fails";
    let source = crate::install::source_of(&config.path, setting);
    let finding = Finding::new(severity, "autoredirect", config.path.as_str(), message)
        .evidence(source.evidence("auth.token.autoredirect", &setting.value))
        .docs(docs::REGISTRY_TROUBLE);
    Some(keeper.configure(
        finding,
        "let the realm be GitLab's",
        "registry['autoredirect'] = false",
        "auth.token.autoredirect: false",
    ))
}

/// A proxy in front.
pub(super) fn judge(
    front: &Front,
    config: Option<&Config>,
    public: Option<&Public<'_>>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let relative = config.and_then(|it| it.yml.http.relativeurls.as_ref());
    let relative = relative.and_then(|it| it.value.as_bool()) == Some(true);
    let fixed = config.is_some_and(|config| fixed(config).is_some());
    if !relative && !fixed {
        let proxy = Proxy { front, public };
        findings.extend(proxy.scheme());
        findings.extend(proxy.host());
    }
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
        let scheme = if self.is_https() { "https" } else { "http" };
        let (text, source) = match told {
            Told::Nothing if self.front.unclear => return None,
            Told::Text("$proxy_host", _) | Told::Nothing => {
                let inside =
                    self.front.proxy_pass.value.split_once("://").map_or("", |(_, rest)| rest);
                let inside = inside.split('/').next().unwrap_or_default();
                let why = format!("nginx does not tell the registry which host was asked ({name})");
                let finding = self.finding("host-missing", &why, &format!("{scheme}://{inside}"));
                return Some(self.mended(finding, "Host", "$http_host"));
            }
            Told::Text(text, source) => (text, source),
        };
        let port = self.port()?;
        let default = port == if self.is_https() { 443 } else { 80 };
        let bare = matches!(text, "$host" | "$server_name" | "$hostname" | "$http_name");
        let host = self.public.map_or("REGISTRY", |public| public.endpoint.host.as_str());
        if bare {
            if default {
                return None;
            }
            let why = format!("nginx drops the port of the host that was asked ({name} {text})");
            let finding = self.finding("port-dropped", &why, &format!("{scheme}://{host}"));
            return Some(self.mended(
                finding.evidence(source.evidence(name, text)),
                "Host",
                "$http_host",
            ));
        }
        if let Some((_, "$server_port")) = text.rsplit_once(':') {
            let listens = self.front.listen.iter().any(|it| it.port == Some(port));
            if listens || self.front.listen.is_empty() {
                return None;
            }
            let own = self.front.listen.first().and_then(|it| it.port).unwrap_or(80);
            let why = format!("nginx tells the registry its own port ({name} {text})");
            let finding = self.finding("port-wrong", &why, &format!("{scheme}://{host}:{own}"));
            return Some(self.mended(
                finding.evidence(source.evidence(name, text)),
                "Host",
                "$http_host",
            ));
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
        let finding = self.finding("host-wrong", &why, &format!("{scheme}://{text}"));
        Some(self.mended(finding.evidence(source.evidence(name, text)), "Host", "$http_host"))
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

/// What `gitlab.rb` would make of nginx, before the first reconfigure.
pub(super) fn written(settings: &Settings, public: Option<&Public<'_>>) -> Vec<Finding> {
    let Some(public) = public else { return Vec::new() };
    let scheme = if public.endpoint.https { "https" } else { "http" };
    let default = public.endpoint.port == if public.endpoint.https { 443 } else { 80 };
    let header = |name: &str| {
        let sections: [&[&str]; 2] = [&["registry_nginx"], &["registry", "nginx"]];
        sections.into_iter().find_map(|section| {
            let path = [section, &["proxy_set_headers", name]].concat();
            match settings.text(&path) {
                Written::Known(value) => Some((spelled(&path), value)),
                Written::Unset | Written::Untold(_) => None,
            }
        })
    };
    let finding = |code, (name, value): (String, Sourced<String>), what: &str, right: &str| {
        let message =
            format!("nginx will tell the registry {what}: pushes will be sent there, and fail");
        Finding::error(code, crate::install::GITLAB_RB, message)
            .evidence(value.evidence(&name))
            .evidence(public.evidence())
            .docs(docs::REGISTRY_TROUBLE)
            .remedy(
                format!("Write {name} = '{right}' in /etc/gitlab/gitlab.rb and reconfigure."),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            )
    };
    let plain = ["registry_nginx", "listen_https"];
    let plain = matches!(settings.flag(&plain), Written::Known(flag) if !flag.value);
    let proto = header("X-Forwarded-Proto").filter(|(_, value)| match value.value.as_str() {
        "$scheme" => plain == public.endpoint.https,
        text => !text.starts_with('$') && text != scheme,
    });
    let host = header("Host").filter(|(_, value)| match value.value.as_str() {
        "$host" | "$server_name" => !default,
        text => !text.contains('$') && text != public.endpoint.authority(),
    });
    let mut findings = Vec::new();
    findings.extend(proto.map(|it| {
        let code = if it.1.value == "$scheme" { "proto-overwritten" } else { "proto-wrong" };
        finding(code, it, "another scheme than clients use", scheme)
    }));
    findings.extend(host.map(|it| {
        let code = if it.1.value.starts_with('$') { "port-dropped" } else { "host-wrong" };
        finding(code, it, "another host or port than clients use", "$http_host")
    }));
    if let Written::Known(flag) = settings.flag(&["registry", "autoredirect"])
        && flag.value
    {
        let message = "clients will be told to fetch tokens from the registry's own host, where \
                       GitLab serves none: every login fails";
        findings.push(
            Finding::error("autoredirect", crate::install::GITLAB_RB, message)
                .evidence(flag.evidence("registry['autoredirect']"))
                .docs(docs::REGISTRY_TROUBLE)
                .remedy(
                    "Take the line out and reconfigure.",
                    ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
                ),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::front::tests::{HEALTHY, found};

    /// What is said of a location with these directives, below a server that listens so.
    fn judged(listen: &str, directives: &str, url: Option<&str>) -> Vec<(Severity, &'static str)> {
        let text = format!(
            "server {{ listen {listen}; client_max_body_size 0;
               location / {{ proxy_pass http://127.0.0.1:5000; {directives} }} }}"
        );
        let endpoint = url.map(|url| Endpoint::parse(url).unwrap());
        let source = Source::Flag("a test".to_owned());
        let public = endpoint.as_ref().map(|endpoint| Public { endpoint, source: &source });
        let [front] = <[Front; 1]>::try_from(found(&text)).unwrap();
        let findings = judge(&front, None, public.as_ref());
        findings.iter().map(|finding| (finding.severity, finding.code)).collect()
    }

    fn headers(headers: &[(&str, &str)]) -> String {
        let line = |(name, value): &(&str, &str)| format!("proxy_set_header {name} {value};");
        headers.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    const URL: Option<&str> = Some("https://registry.test:5050");

    #[test]
    fn good_proxies_pass() {
        let proto = ("X-Forwarded-Proto", "$scheme");
        for (listen, directives, url) in [
            ("5050 ssl", HEALTHY.to_owned(), URL),
            ("5050 ssl", headers(&[("Host", "$http_host"), proto]), URL),
            ("5050 ssl", headers(&[("Host", "$host:$server_port"), proto]), URL),
            ("5050 ssl", headers(&[("Host", "registry.test:5050"), proto]), URL),
            ("5050 ssl", headers(&[("X-Forwarded-Host", "$http_host"), proto]), URL),
            // Usual ports are not written.
            ("443 ssl", headers(&[("Host", "$host"), proto]), Some("https://registry.test")),
            // Behind another proxy that ends TLS.
            ("80", HEALTHY.to_owned(), URL),
            (
                "80",
                headers(&[
                    ("Host", "$http_host"),
                    ("X-Forwarded-Proto", "$http_x_forwarded_proto"),
                ]),
                URL,
            ),
            ("80", headers(&[("Host", "$http_host"), ("X-Forwarded-Proto", "$mapped")]), URL),
            ("80", headers(&[("Host", "$http_host")]), Some("http://registry.test")),
            ("5050 ssl", HEALTHY.to_owned(), None),
        ] {
            assert_eq!(judged(listen, &directives, url), [], "{listen} {directives}");
        }
    }

    #[test]
    fn what_misleads_the_registry_is_an_error() {
        let (host, https) = (("Host", "$http_host"), ("X-Forwarded-Proto", "https"));
        for (listen, set, code) in [
            ("5050 ssl", vec![host], "proto-missing"),
            ("5050 ssl", vec![host, ("X-Forwarded-Ssl", "on")], "proto-missing"),
            (
                "5050 ssl",
                vec![host, ("X-Forwarded-Proto", "$http_x_forwarded_proto")],
                "proto-missing",
            ),
            ("5050 ssl", vec![host, ("X-Forwarded-Proto", "''")], "proto-missing"),
            ("80", vec![host, ("X-Forwarded-Proto", "$scheme")], "proto-overwritten"),
            ("5050 ssl", vec![host, ("X-Forwarded-Proto", "http")], "proto-wrong"),
            ("5050 ssl", vec![("Host", "$host"), https], "port-dropped"),
            ("5050 ssl", vec![("Host", "$server_name"), https], "port-dropped"),
            ("5050 ssl", vec![host, ("X-Forwarded-Host", "$host"), https], "port-dropped"),
            ("5050 ssl", vec![https], "host-missing"),
            ("5050 ssl", vec![("Host", "$proxy_host"), https], "host-missing"),
            ("5050 ssl", vec![("Host", "registry.test"), https], "host-wrong"),
            ("80", vec![("Host", "$host:$server_port"), https], "port-wrong"),
        ] {
            let found = judged(listen, &headers(&set), URL);
            assert_eq!(found, [(Severity::Error, code)], "{listen} {set:?}");
        }
    }

    #[test]
    fn limits_are_told_by_what_they_stop() {
        let limited = |limit: &str| judged("5050 ssl", &format!("{HEALTHY} {limit}"), URL);
        assert_eq!(limited("client_max_body_size 0;"), []);
        assert_eq!(limited("client_max_body_size 250m;"), [(Severity::Error, "body-limit")]);
        assert_eq!(limited("client_max_body_size 20g;"), [(Severity::Notice, "body-limit")]);
    }

    #[test]
    fn the_registrys_own_settings_win() {
        let judged = |http: &str| {
            let yml = format!("http: {http}\nauth: {{token: {{autoredirect: true}}}}");
            let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
            let config = Config { path: "/config.yml".into(), yml, generated: true };
            let endpoint = Endpoint::parse("https://registry.test:5050").unwrap();
            let source = Source::Flag("a test".to_owned());
            let public = Public { endpoint: &endpoint, source: &source };
            let front = "server { listen 5050 ssl; client_max_body_size 0;
                location / { proxy_pass http://127.0.0.1:5000; } }";
            let [front] = <[Front; 1]>::try_from(found(front)).unwrap();
            let own = settings(&config, Some(&public), Keeper::Package, true);
            let front = judge(&front, Some(&config), Some(&public));
            own.into_iter().chain(front).map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert_eq!(judged("{relativeurls: true}"), ["autoredirect"]);
        assert_eq!(judged("{host: 'https://registry.test:5050'}"), ["autoredirect"]);
        assert_eq!(judged("{host: 'https://registry.test'}"), ["host-differs", "autoredirect"]);
        assert_eq!(
            judged("{host: 'registry.test:5050'}"),
            ["host-ignored", "autoredirect", "proto-missing", "host-missing"]
        );
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
}
