//! Does the Docker daemon accept the registry's certificate?

mod daemon;

use crate::checks::reach::{Reach, reach};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint, Source};
use crate::parse::challenge;
use daemon::Daemon;
pub(super) use daemon::accepted_without_folder;

check! {
    /// The Docker daemon on this host accepts the registry's certificate.
    ///
    /// ## Why it matters
    ///
    /// Docker is written in Go, and Go verifies certificates by rules of its own: it ignores the
    /// common name, it skips a file that it cannot read without a word, and what curl or a browser
    /// accepts, it may refuse. Until it accepts, `docker login`, push and pull fail with "x509: ..."
    ///
    /// ## What is looked at
    ///
    /// The certificates that the registry shows (or, where it cannot be asked, the file that nginx
    /// would show), the `*.crt` files in `/etc/docker/certs.d/<host:port>/`, the system's own
    /// trusted certificates (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` of Docker's unit name
    /// instead), `daemon.json` and dockerd's flags, and the time. The verdict is reached as Go
    /// reaches it, with Go's words. The server from which Docker fetches its token is judged too:
    /// Docker verifies that one with the registry's folder, never with one named after GitLab.
    ///
    /// The registry is the one in `gitlab.rb` or that `--registry-url` names. On a host that knows
    /// neither, every registry is looked at that has a folder in `certs.d` and that answers.
    ///
    /// ## How to fix it
    ///
    /// Put the root certificate of your CA, or the server's certificate if it is self-signed, into
    /// `/etc/docker/certs.d/<host:port>/ca.crt`, with exactly the host and port of the image names.
    /// Docker reads that folder at each request, but the system's own certificates only once after
    /// it starts. A certificate without subjectAltName has to be made anew.
    "trust/docker": "the Docker daemon accepts the registry's certificate"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    if install::docker::sign(host).await?.is_none() {
        return Err(Stop::not_applicable("no Docker daemon is on this host"));
    }
    let registries = registries(host).await?;
    let mut verdict = Verdict::default();
    let mut judged = 0;
    for registry in &registries.endpoints {
        match examine(host, registry, &mut verdict).await {
            Ok(chains) => judged += chains,
            // One registry that cannot be judged says nothing of the others.
            Err(Stop::Unknown(why)) => verdict.untold(registry.to_string(), why),
            Err(Stop::NotApplicable(_)) => {}
        }
    }
    if judged == 0 && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(registries.none));
    }
    Ok(verdict)
}

/// Judges all that Docker meets on the way to a registry; how many chains there were.
async fn examine(host: &Host, registry: &Endpoint, verdict: &mut Verdict) -> Result<usize, Stop> {
    let unverified = install::docker::unverified(host, registry).await;
    let unverified = verdict.told("insecure-registries", unverified).flatten();
    let daemon = Daemon::given(host, registry, unverified).await?;
    if let Some(finding) = daemon.blocked() {
        verdict.add([finding]);
        return Ok(1);
    }
    verdict.add(super::tell::stray_keys(daemon.files()).into_iter().map(documented));
    let mut judged = daemon.judge(host, registry, verdict).await?;
    if let Some(realm) = realm(host, registry).await?.filter(|realm| realm.https) {
        judged += daemon.judge_realm(host, &realm, verdict).await?;
    }
    Ok(judged)
}

fn documented(finding: Finding) -> Finding {
    finding.docs(docs::REGISTRY_SELF_SIGNED)
}

/// The registries that Docker on this host uses.
struct Registries {
    endpoints: Vec<Endpoint>,
    /// Why there is nothing to judge, if there is not.
    none: &'static str,
}

/// The configured one, or on a host that knows no GitLab those that somebody made a folder for.
async fn registries(host: &Host) -> Result<Registries, Unknown> {
    if let Some(registry) = install::registry::external(host).await? {
        let registry = registry.value;
        let none = if registry.https {
            "no certificate of the registry can be seen from here"
        } else {
            "the registry is reached over plain HTTP, without a certificate"
        };
        let endpoints = Some(registry).filter(|it| it.https).into_iter().collect();
        return Ok(Registries { endpoints, none });
    }
    let folders = install::docker::registry_folders(host).await?;
    let endpoint = |name: &str| Endpoint::parse(&format!("https://{name}")).ok();
    let endpoints: Vec<_> = folders.iter().filter_map(|it| endpoint(&it.name)).collect();
    let none = if endpoints.is_empty() {
        "no registry is known here (--registry-url names one)"
    } else {
        "no registry with a folder in certs.d answers (--registry-url names another)"
    };
    Ok(Registries { endpoints, none })
}

/// The server from which Docker fetches its token: what the registry says, or what it is told to
/// say, or else GitLab.
async fn realm(host: &Host, registry: &Endpoint) -> Result<Option<Endpoint>, Unknown> {
    let asked = match reach(host, registry, "/v2/").await {
        Ok(Reach::Ways(ways)) => ways.iter().find_map(|way| {
            let mut challenges = way.response()?.all("www-authenticate");
            challenges.find_map(realm_of)
        }),
        Ok(Reach::NoName(_)) | Err(Unknown::LeftOut(_)) => None,
        Err(unknown) => return Err(unknown),
    };
    if asked.is_some() {
        return Ok(asked);
    }
    // The configuration of this host's registry says nothing of another one, and neither does
    // GitLab's address unless a flag gives both.
    let gitlab = install::gitlab::external_url(host).await?;
    let own = install::registry::configured(host).await?.is_some_and(|it| it.value == *registry);
    if !own {
        let given = gitlab.filter(|url| matches!(url.source, Source::Flag(_)));
        return Ok(given.map(|url| url.value.server()));
    }
    let config = install::registry::config(host).await?;
    let written = config.and_then(|it| it.yml.auth.token_realm);
    if let Some(realm) = written.and_then(|it| Endpoint::parse(&it.value.to_string()).ok()) {
        return Ok(Some(realm.server()));
    }
    Ok(gitlab.map(|url| url.value.server()))
}

/// The realm of a challenge such as `Bearer realm="https://gitlab/jwt/auth",service="..."`.
fn realm_of(line: &str) -> Option<Endpoint> {
    let challenges = challenge::read(line);
    let realm = challenges.iter().find_map(|challenge| challenge.parameter("realm"))?;
    Endpoint::parse(realm).ok().map(|realm| realm.server())
}

#[test]
fn realms_are_taken_from_challenges() {
    let challenge = r#"Bearer realm="https://git.example.test/jwt/auth",service="x""#;
    assert_eq!(realm_of(challenge).unwrap().to_string(), "https://git.example.test");
    assert_eq!(realm_of("Basic realm=\"registry\""), None);
    assert_eq!(realm_of("Bearer"), None);
}
