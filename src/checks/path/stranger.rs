//! An answer, but not one of the service: who gave it, by what sign, and what to do.

use super::answerer::{Answerer, sign};
use super::{GITLAB, REGISTRY, Service};
use crate::checks::{Evidence, Finding};
use crate::host::network::{Body, Response};
use crate::install::Endpoint;

/// An answer, but not of the service doing its work.
pub(super) fn answers(service: &dyn Service, response: &Response) -> Finding {
    let finding = service.strange(response).unwrap_or_else(|| told(service, response));
    let known_by = sign(response).map(|sign| Evidence::new("known by", sign));
    signs(service, response).into_iter().chain(known_by).fold(finding, Finding::evidence)
}

fn told(service: &dyn Service, response: &Response) -> Finding {
    let words = service.words();
    match Answerer::of(response) {
        Answerer::Proxy(status) => proxy(service, status),
        Answerer::TlsPort => tls_port(service),
        Answerer::Redirect(location) => redirect(service, response.status, &location),
        Answerer::Gitlab if *words != GITLAB => {
            let message = format!("GitLab's web pages answer here in place of {}", words.the);
            in_its_place(service, "gitlab-answers", message)
        }
        Answerer::Registry | Answerer::RegistryError(..) | Answerer::UnhealthyRegistry
            if *words != REGISTRY =>
        {
            let message = format!("a registry answers here in place of {}", words.the);
            in_its_place(service, "registry-answers", message)
        }
        Answerer::NginxDefault => nginx_default(service),
        Answerer::OtherChallenge(challenge) => service
            .error(
                "foreign-challenge",
                format!("something in front of {} asks for a login of its own", words.the),
            )
            .seen("WWW-Authenticate", challenge)
            .remedy(
                format!(
                    "Let the proxy in front guard {} with nothing but {}'s own login.",
                    service.asked(),
                    words.the
                ),
                [service.curl()],
            ),
        _ => other(service, response),
    }
}

fn proxy(service: &dyn Service, status: u16) -> Finding {
    let words = service.words();
    let what = match status {
        502 => {
            format!("the web server in front answers 502: it reaches no {} behind it", words.bare)
        }
        504 => format!(
            "the web server in front answers 504: {} behind it does not answer in time",
            words.the
        ),
        _ => format!("a web server in front answers 503 in place of {}", words.the),
    };
    service.because(service.start(service.error(words.down, what)))
}

/// The URL says http, the server speaks TLS.
pub(super) fn tls_port(service: &dyn Service) -> Finding {
    let message = "this port speaks TLS, but the URL says http".to_owned();
    let finding = service.error("http-to-tls-port", message);
    let right = Endpoint { https: true, ..service.endpoint().clone() }.to_string();
    service.rewrite(finding, &right, Some(&right))
}

fn in_its_place(service: &dyn Service, code: &'static str, message: String) -> Finding {
    let right = match code {
        "gitlab-answers" => "a port or a name that GitLab itself does not use".to_owned(),
        _ => format!("that of {} itself", service.words().the),
    };
    service.rewrite(service.error(code, message), &right, None)
}

fn nginx_default(service: &dyn Service) -> Finding {
    let the = service.words().the;
    let message =
        format!("nginx answers with its default page, not {the}: it knows no such server");
    let listening = format!("sudo ss -ltnp 'sport = :{}'", service.endpoint().port);
    service.error("nginx-default", message).remedy(
        service.advice(&format!(
            "take the nginx of the distribution off this port, or let it pass {} to {the}",
            service.endpoint().host
        )),
        [listening, "ls /etc/nginx/sites-enabled /etc/nginx/conf.d".to_owned(), service.curl()],
    )
}

fn redirect(service: &dyn Service, status: u16, location: &str) -> Finding {
    let asked = service.asked();
    let url = service.endpoint().url(asked);
    let path = format!("{}{asked}", service.endpoint().path);
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let message = format!("answers {status} and sends clients to {}", cut(location));
    if target == url || target == path {
        return service
            .error("redirect-loop", format!("{message}, which is this address again"))
            .remedy(
                format!(
                    "Take the redirect out of the server in front, or let it lead to {}.",
                    service.words().the
                ),
                [service.curl()],
            );
    }
    match target.strip_suffix(asked) {
        // Clients follow it, and perhaps find the service. Nobody named that address, so it is not
        // looked at.
        Some(right) if right.starts_with("http") => {
            let finding = service.warning("redirected", message);
            service.rewrite(finding, &cut(right), Some(&cut(right)))
        }
        _ => {
            let message = format!("{message}, as no {} does", service.words().bare);
            let right = format!("that of {} itself", service.words().the);
            service.rewrite(service.error("redirected", message), &right, None)
        }
    }
}

fn other(service: &dyn Service, response: &Response) -> Finding {
    let what = match &response.body {
        Body::Html { .. } => "a web page",
        _ => "an answer",
    };
    let (status, words) = (response.status, service.words());
    let message = format!("{what} comes back with status {status}, but not from {}", words.one);
    let advice = service.advice("see which server answers for this name and port");
    let listening = format!("sudo ss -ltnp 'sport = :{}'", service.endpoint().port);
    let servers = service.web_servers().map(str::to_owned);
    let commands = std::iter::once(listening).chain(servers).chain([service.curl()]);
    service.error(words.foreign, message).remedy(advice, commands)
}

/// What the answer looked like.
fn signs(service: &dyn Service, response: &Response) -> Vec<Evidence> {
    let fields = ["server", "via", "content-type"].into_iter();
    let present = fields.filter_map(|name| Some(Evidence::new(name, cut(response.field(name)?))));
    let mut signs = vec![Evidence::new("status", response.status)];
    signs.extend(service.words().header.map(|header| {
        let value = response.field(&header.to_ascii_lowercase()).unwrap_or("missing");
        Evidence::new(header, cut(value))
    }));
    signs.extend(present);
    signs.extend(match &response.body {
        Body::Html { title: Some(title) } => Some(Evidence::new("page title", cut(title))),
        Body::Text(text) => text.lines().next().map(|line| Evidence::new("body", cut(line))),
        Body::TooLarge => {
            let longer = format!("longer than any answer of {}", service.words().one);
            Some(Evidence::new("body", longer))
        }
        Body::Binary => Some(Evidence::new("body", "not a text")),
        Body::Unfinished => Some(Evidence::new("body", "breaks off, or never ends")),
        _ => None,
    });
    signs
}

/// As much of a foreign text as a report needs.
pub fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
