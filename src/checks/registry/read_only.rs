//! Does the registry accept pushes?

use super::asking::{Asking, Subject};
use super::keeper::Keeper;
use super::passes::{self, LoggedIn, Pass};
use super::realm::Realm;
use super::startup::refused_setting;
use crate::checks::{Cause, Evidence, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::network::{Asking as Ask, PingReply, Response};
use crate::host::processes::GarbageCollectors;
use crate::host::{Host, Unknown};
use crate::install::gitlab::found;
use crate::install::registry::Config;
use crate::install::tokens::registry_socket;
use crate::install::{self, Endpoint, GITLAB_RB, Sourced};
use crate::parse::setting::{Located, Scalar};

check! {
    /// The registry accepts pushes: it is not in read-only mode.
    ///
    /// ## Why it matters
    ///
    /// Read-only mode is meant for the time of a garbage collection. Left on, or on in a process
    /// that was never restarted, it lets every pull pass and answers every push with `405 Method
    /// Not Allowed`, which Docker shows as `unsupported` or as nothing at all.
    ///
    /// ## What is looked at
    ///
    /// `storage.maintenance.readonly` in the registry's `config.yml` and in `gitlab.rb`, whether a
    /// garbage collection runs, and which methods the registry allows where images are uploaded
    /// (`OPTIONS /v2/.../blobs/uploads/`, which changes nothing). For that question a token is
    /// needed: one signed with GitLab's key, where that can be read, or that of a login (see
    /// `registry/token`). Under `--root` only the files are looked at.
    ///
    /// ## How to fix it
    ///
    /// Take `'maintenance' => { 'readonly' => { 'enabled' => true } }` out of `registry['storage']`
    /// in `/etc/gitlab/gitlab.rb` and run `gitlab-ctl reconfigure`. A process whose file is right
    /// already only needs `gitlab-ctl restart registry`.
    "registry/read-only": "the registry accepts pushes"
}

/// Where an image would be uploaded. No such repository has to be there.
const UPLOADS: &str = "/v2/gldoctor/probe/blobs/uploads/";

/// The setting in `gitlab.rb`.
const SETTING: [&str; 5] = ["registry", "storage", "maintenance", "readonly", "enabled"];

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let subject = Subject::of(host).await?;
    let mut verdict = Verdict::default();
    let (config, written) = if subject.is_own {
        let settings = install::settings(host).await;
        let settings = verdict.told("gitlab.rb", settings).flatten();
        // What cannot be told from the file is seen in what was generated from it.
        let written = settings.and_then(|it| it.flag(&SETTING).told().ok().flatten());
        (install::registry::config(host).await?, written)
    } else {
        (None, None)
    };
    let live = match subject.ask(host).await? {
        Asking::LeftOut(why) if config.is_none() && written.is_none() => {
            return Err(Stop::NotApplicable(why));
        }
        asking => seen(host, &subject, &asking, &mut verdict).await?,
    };
    if config.is_none() && written.is_none() && live.is_none() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(
            "without a token nobody can tell (--credentials lets gldoctor log in)",
        ));
    }
    let collectors = host.ask(GarbageCollectors).await.unwrap_or_default();
    let registry = subject.internal.as_ref().or(subject.external.as_ref());
    let registry = registry.map(|it| &it.value);
    // Of a disk alone it may be known where the registry listens, but not how to reach it.
    let file = config.as_ref().map_or(GITLAB_RB, |config| config.path.as_str());
    let judged = Judged {
        config: config.as_ref(),
        written: written.as_ref(),
        live,
        collecting: collectors > 0,
        keeper: subject.keeper,
        name: registry.map_or_else(|| file.to_owned(), Endpoint::to_string),
        socket: registry.map(Endpoint::socket).or(registry_socket(host).await),
    };
    verdict.add(judged.finding());
    Ok(verdict)
}

/// Whether the running registry takes pushes, by the first token that it accepts.
async fn seen(
    host: &Host,
    subject: &Subject,
    asking: &Asking,
    verdict: &mut Verdict,
) -> Result<Option<bool>, Stop> {
    let Asking::Heard(_) = asking else { return Ok(None) };
    if let Some((_, pass)) = passes::minted(host, subject, asking).await? {
        match options(host, &pass).await {
            Ok(Some(takes)) => return Ok(Some(takes)),
            Ok(None) => {}
            Err(why) => verdict.untold("the running registry", why),
        }
    }
    let Some(realm) = Realm::of(host, subject, asking).await? else { return Ok(None) };
    let looked = realm.look(host).await?;
    let (good, _) = looked.split(&realm);
    let Some(way) = good.first() else { return Ok(None) };
    match passes::login(host, subject, &realm, way.address).await {
        Ok(LoggedIn::Answered(_, answer)) if answer.token.is_some() => {}
        // registry/token tells of it.
        Ok(_) => return Ok(None),
        Err(Stop::Unknown(why)) => {
            verdict.untold("a login", why);
            return Ok(None);
        }
        Err(stop) => return Err(stop),
    }
    let pass = match passes::from_login(host, subject, asking).await {
        Ok(Some(pass)) => pass,
        Err(Stop::Unknown(why)) => {
            verdict.untold("the token of the login", why);
            return Ok(None);
        }
        other => return other.map(|_| None),
    };
    Ok(verdict.told("the running registry", options(host, &pass).await).flatten())
}

async fn options(host: &Host, pass: &Pass) -> Result<Option<bool>, Unknown> {
    Ok(match pass.ping(host, Ask::Options, UPLOADS).await? {
        PingReply::Answered { response, .. } => takes_pushes(&response),
        PingReply::Failed(_) | PingReply::Unsigned(_) => None,
    })
}

/// By the methods that are allowed where images are uploaded; `None` where a proxy answers, or the
/// token is refused.
fn takes_pushes(response: &Response) -> Option<bool> {
    let allowed: Vec<_> =
        response.all("allow").flat_map(|it| it.split(',')).map(str::trim).collect();
    let is_registry = response.status == 200 && allowed.contains(&"GET");
    is_registry.then(|| allowed.contains(&"POST"))
}

struct Judged<'a> {
    config: Option<&'a Config>,
    /// What `gitlab.rb` says.
    written: Option<&'a Sourced<bool>>,
    /// Whether the running registry takes pushes, where that was seen.
    live: Option<bool>,
    /// Whether a garbage collection runs.
    collecting: bool,
    keeper: Keeper,
    /// The registry's address, or the file by which it is known.
    name: String,
    /// `host:port`, under which its start-up is known.
    socket: Option<String>,
}

impl Judged<'_> {
    fn finding(&self) -> Option<Finding> {
        if let Some(finding) = self.malformed() {
            return Some(finding);
        }
        let in_file = self.setting().and_then(|it| it.value.as_bool()) == Some(true);
        let in_rb = self.written.is_some_and(|it| it.value);
        let finding = match (self.live, in_file, in_rb) {
            (Some(true) | None, false, false) => return None,
            (Some(false), false, _) if self.config.is_some() => {
                let message = "the registry refuses pushes, though its file says otherwise: it was \
                               not restarted since, or another one answers";
                let finding = self.finding_of(Severity::Error, "read-only-in-effect", message);
                self.keeper.restart(finding)
            }
            (Some(false), ..) => self.mend(
                self.told("read-only", "the registry is in read-only mode: every push fails"),
            ),
            (None, true, _) => self.mend(
                self.told("read-only", "the registry is set to read-only mode: every push fails"),
            ),
            (Some(true), true, _) => self.mend(self.told(
                "read-only-at-restart",
                "the registry takes pushes now, and will refuse them when it is restarted",
            )),
            (Some(true) | None, false, true) => self.mend(self.told(
                "read-only-at-reconfigure",
                "the registry will refuse pushes after the next reconfigure",
            )),
        };
        Some(finding)
    }

    fn setting(&self) -> Option<&Located<Scalar>> {
        self.config?.yml.storage.readonly_enabled.as_ref()
    }

    /// The registry refuses to start with anything but a mapping with a boolean in it.
    fn malformed(&self) -> Option<Finding> {
        let config = self.config?;
        let storage = &config.yml.storage;
        let whole = storage.readonly.as_ref()?;
        let is_good = match &storage.readonly_enabled {
            Some(enabled) => enabled.value.as_bool().is_some(),
            // An empty mapping leaves it off.
            None => whole.value == Scalar::Mapping,
        };
        if is_good {
            return None;
        }
        let message = "storage.maintenance.readonly has to hold 'enabled' with true or false: the \
                       registry does not start";
        let setting = storage.readonly_enabled.as_ref().unwrap_or(whole);
        let finding = Finding::error("readonly-malformed", config.path.as_str(), message)
            .evidence(found(&config.path, setting).evidence("readonly", &whole.value))
            .explains(refused_setting("storage.maintenance.readonly"))
            .docs(docs::REGISTRY);
        let startup = self.socket.iter().map(|socket| Cause::Startup(socket.clone()));
        let finding = startup.fold(finding, Finding::explains);
        if let Some(variable) = &setting.variable {
            return Some(self.keeper.unset_variable(finding, variable));
        }
        Some(self.keeper.configure(
            finding,
            "it has to be a mapping",
            "'readonly' => { 'enabled' => false }",
            "storage.maintenance.readonly: {enabled: false}",
        ))
    }

    /// A warning, or a notice while a garbage collection runs, which is what the mode is for.
    fn told(&self, code: &'static str, message: &str) -> Finding {
        if self.collecting {
            let message = format!("{message}, as it should while garbage is collected");
            return self.finding_of(Severity::Notice, code, &message);
        }
        self.finding_of(Severity::Warning, code, message)
    }

    fn finding_of(&self, severity: Severity, code: &'static str, message: &str) -> Finding {
        let finding = Finding::new(severity, code, self.name.clone(), message);
        let finding = match (self.config, self.setting()) {
            (Some(config), Some(setting)) => {
                let evidence =
                    Evidence::new("storage.maintenance.readonly.enabled", &setting.value);
                finding.evidence(match &setting.variable {
                    Some(variable) => Evidence::new(variable.clone(), &setting.value),
                    None => evidence.at(config.path.as_str(), setting.line),
                })
            }
            (Some(config), None) => finding.evidence(
                Evidence::new("storage.maintenance.readonly", "not set")
                    .at(config.path.as_str(), None),
            ),
            _ => finding,
        };
        let finding = match self.written {
            Some(written) => {
                finding.evidence(written.source.evidence("readonly in gitlab.rb", written.value))
            }
            None => finding,
        };
        let finding = match self.live {
            Some(true) => finding.seen("allowed for uploads", "POST"),
            Some(false) => finding.seen("allowed for uploads", "GET, HEAD"),
            None => finding,
        };
        finding.docs(docs::REGISTRY)
    }

    fn mend(&self, finding: Finding) -> Finding {
        let setting = self.setting().filter(|it| it.value.as_bool() == Some(true));
        if let Some(variable) = setting.and_then(|it| it.variable.as_deref()) {
            return self.keeper.unset_variable(finding, variable);
        }
        match self.keeper {
            keeper @ (Keeper::Package | Keeper::Elsewhere) => finding.remedy(
                keeper.advice(
                    "take 'readonly' out of registry['storage'] in gitlab.rb once no garbage \
                     collection runs, and reconfigure",
                ),
                [
                    "sudo grep -n readonly /etc/gitlab/gitlab.rb",
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                ],
            ),
            Keeper::Systemd => finding.remedy(
                "Let storage.maintenance.readonly.enabled in its config.yml be false once no \
                 garbage collection runs, and restart it.",
                [
                    "sudoedit /etc/docker/registry/config.yml",
                    "sudo systemctl restart docker-registry",
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::path::tests::response;
    use crate::host::network::Body;
    use crate::parse::registry_yml::{Variables, read_with};

    fn judged(file: &str, rb: Option<bool>, live: Option<bool>) -> Option<String> {
        let yml = crate::parse::registry_yml::read(file.as_bytes()).unwrap();
        let config = Config { path: "/config.yml".into(), yml, generated: true };
        let written = rb.map(|it| Sourced::file(it, "/etc/gitlab/gitlab.rb", Some(7)));
        let judged = Judged {
            config: Some(&config),
            written: written.as_ref(),
            live,
            collecting: false,
            keeper: Keeper::Package,
            name: "http://127.0.0.1:5000".to_owned(),
            socket: Some("127.0.0.1:5000".to_owned()),
        };
        let finding = judged.finding()?;
        Some(format!("{:?} {}", finding.severity, finding.code).to_lowercase())
    }

    const ON: &str = "storage: {maintenance: {readonly: {enabled: true}}}";
    const OFF: &str = "storage: {maintenance: {readonly: {enabled: false}}}";

    #[test]
    fn file_and_process_are_compared() {
        let code = |file, rb, live| judged(file, rb, live).unwrap_or_default();
        assert_eq!(code("storage: {}", None, Some(true)), "");
        assert_eq!(code(OFF, Some(false), None), "");
        assert_eq!(code(ON, Some(true), Some(false)), "warning read-only");
        assert_eq!(code(ON, None, None), "warning read-only");
        assert_eq!(code(OFF, None, Some(false)), "error read-only-in-effect");
        assert_eq!(code(ON, None, Some(true)), "warning read-only-at-restart");
        assert_eq!(code(OFF, Some(true), Some(true)), "warning read-only-at-reconfigure");
    }

    #[test]
    fn a_setting_that_the_registry_refuses_is_an_error() {
        let empty = "storage: {maintenance: {readonly: {}}}";
        assert_eq!(judged(empty, None, None), None);
        for value in ["true", "{enabled: 'true'}", "{enabled: yes please}"] {
            let file = format!("storage: {{maintenance: {{readonly: {value}}}}}");
            assert_eq!(
                judged(&file, None, None).as_deref(),
                Some("error readonly-malformed"),
                "{value}"
            );
        }
    }

    #[test]
    fn a_variable_is_mended_where_it_stands() {
        for (variable, value) in [
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{enabled: true}"),
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY", "true"),
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
        ] {
            let values = [(variable.to_owned(), value.to_owned())].into();
            let variables = Variables { values, ..Variables::default() };
            let yml = read_with(b"storage: {filesystem: }", &variables).unwrap();
            let config = Config { path: "/config.yml".into(), yml, generated: true };
            let judged = Judged {
                config: Some(&config),
                written: None,
                live: None,
                collecting: false,
                keeper: Keeper::Package,
                name: "http://127.0.0.1:5000".to_owned(),
                socket: Some("127.0.0.1:5000".to_owned()),
            };
            let finding = judged.finding().unwrap();
            let advice = finding.remedy.advice;
            assert!(advice.starts_with(&format!("Take {variable} out of")), "{advice}");
        }
    }

    #[test]
    fn only_a_registry_is_believed() {
        let said =
            |status, allow| takes_pushes(&response(status, &[("allow", allow)], Body::Empty));
        assert_eq!(said(200, "DELETE, GET, HEAD, PATCH, POST, PUT"), Some(true));
        assert_eq!(said(200, "GET, HEAD"), Some(false));
        assert_eq!(said(200, "OPTIONS"), None);
        assert_eq!(said(401, "GET, HEAD"), None);
    }
}
