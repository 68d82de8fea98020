//! What is wrong with the two halves, each by itself and together.

use camino::Utf8PathBuf;

use super::mend;
use super::scene::{Gitlab, Half, Held, Registry, Scene};
use crate::checks::tls::key_pair::fault::Fault;
use crate::checks::tls::key_pair::reader::Reader;
use crate::checks::tls::key_pair::usage::{Half as Part, Program};
use crate::checks::{Cause, Evidence, Finding, Verdict, docs};
use crate::host::files::File;
use crate::install::Sourced;
use crate::install::files::described;
use crate::parse::certificate::Certificate;
use crate::parse::jwks::Jwks;
use crate::parse::key::PublicKey;

const NO_START: &str = "the registry does not start";
const NO_TOKENS: &str = "GitLab signs no tokens, so docker login, push and pull fail, and images \
                         and projects cannot be deleted";

/// As many key IDs as are shown.
const SHOWN: usize = 8;

/// The verdict on both halves.
pub(super) fn judge(scene: &Scene) -> Verdict {
    let mut verdict = Verdict::default();
    if let Half::Here(registry) = &scene.registry {
        verdict.add(bundle(scene, registry));
    }
    if let Half::Here(gitlab) = &scene.gitlab {
        verdict.add(key(scene, gitlab));
    }
    if let (Half::Here(registry), Half::Here(gitlab)) = (&scene.registry, &scene.gitlab) {
        verdict.add(together(scene, registry, gitlab));
    }
    verdict.add(match &scene.registry {
        Half::Here(registry) => dates(scene, registry),
        Half::Elsewhere => None,
    });
    verdict
}

/// The registry's half by itself.
fn bundle(scene: &Scene, registry: &Registry) -> Vec<Finding> {
    let Some(held) = &registry.bundle else {
        return Vec::from_iter(registry.jwks.is_none().then(|| unset_bundle(scene, registry)));
    };
    let error = |code, what: &str| {
        let finding = Finding::error(code, held.path().as_str(), format!("{what}: {NO_START}"));
        starts(registry, finding.evidence(held.path.evidence("rootcertbundle")), held)
    };
    let Some(file) = &held.file else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(obstacle) = &held.obstacle {
        let what =
            format!("the registry runs as '{}', which cannot read its bundle", obstacle.account);
        findings.push(mend::readable(error("bundle-unreadable", &what), held, obstacle));
    }
    match file {
        File::Missing => {
            let finding = error("bundle-missing", "the registry's bundle does not exist");
            findings.push(mend::bundle(finding, scene, held));
        }
        File::Read(read) => {
            let certificates = registry.reader().certificates(read);
            if let Err(fault) = &certificates {
                let what = fault.clause(Program::Tokens, Part::Certificate);
                let finding = placed(error("bundle-unusable", &what), fault, held);
                findings.push(mend::bundle(finding, scene, held));
            }
            // A key in place of the certificates has been told already.
            let is_beside = certificates.is_ok() || held.open_to_all.is_some();
            findings.extend(stray_key(held, is_beside && read.has_private_key()));
        }
        other => {
            let what = other.obstacle().unwrap_or_default();
            findings.push(mend::bundle(error("bundle-unusable", &what), scene, held));
        }
    }
    findings
}

fn unset_bundle(scene: &Scene, registry: &Registry) -> Finding {
    let message = format!("auth.token.rootcertbundle is not set: {NO_START}");
    let finding = Finding::error("bundle-unset", registry.config.as_str(), message);
    let finding = registry.socket.iter().fold(finding, |finding, socket| {
        finding.explains(Cause::Startup(socket.clone())).explains(Cause::Tokens)
    });
    mend::unset_bundle(finding, scene).docs(docs::REGISTRY)
}

/// A key that lies among the certificates is skipped by the registry, but not by readers.
fn stray_key(held: &Held, is_there: bool) -> Option<Finding> {
    if !is_there {
        return None;
    }
    let subject = held.path().as_str();
    let finding = match &held.open_to_all {
        Some(facts) => Finding::error(
            "key-exposed",
            subject,
            "a private key lies among the trusted certificates, and every account of this host \
             can read it",
        )
        .seen("mode and owner", described(facts)),
        None => Finding::notice(
            "key-in-bundle",
            subject,
            "a private key lies among the trusted certificates, where nothing reads it",
        ),
    };
    let finding = explains_file(finding.evidence(held.path.evidence("rootcertbundle")), held);
    Some(mend::stray_key(finding, held))
}

/// GitLab's half by itself.
fn key(scene: &Scene, gitlab: &Gitlab) -> Vec<Finding> {
    let Some(held) = &gitlab.key else {
        let message = format!("registry.key is not set: {NO_TOKENS}");
        let subject = gitlab.settings.to_string();
        let finding = Finding::error("key-unset", subject, message).explains(Cause::Tokens);
        return vec![mend::unset_key(finding, scene).docs(docs::REGISTRY)];
    };
    let error = |code, what: &str| {
        let finding = Finding::error(code, held.path().as_str(), format!("{what}: {NO_TOKENS}"));
        let finding = finding.evidence(held.path.evidence("registry.key")).explains(Cause::Tokens);
        explains_file(finding, held).docs(docs::REGISTRY_TROUBLE)
    };
    let Some(file) = &held.file else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(obstacle) = &held.obstacle {
        let what = format!("GitLab runs as '{}', which cannot read its key", obstacle.account);
        findings.push(mend::readable(error("key-unreadable", &what), held, obstacle));
    }
    match file {
        File::Missing => {
            let finding = error("key-missing", "GitLab's signing key does not exist");
            findings.push(mend::missing_key(finding, scene, held));
        }
        File::Read(read) => {
            if let Err(fault) = Reader::Ruby.key(read) {
                let what = fault.clause(Program::Tokens, Part::Key);
                let finding = placed(error("key-unusable", &what), &fault, held);
                findings.push(mend::unusable_key(finding, &fault.kind, scene, held));
            }
        }
        other => {
            let what = other.obstacle().unwrap_or_default();
            findings.push(mend::missing_key(error("key-unusable", &what), scene, held));
        }
    }
    findings
}

/// Whether the key is among those that the registry trusts.
fn together(scene: &Scene, registry: &Registry, gitlab: &Gitlab) -> Option<Finding> {
    let public = gitlab.public()?;
    let key = gitlab.key.as_ref()?;
    if let Some((path, file)) = &registry.jwks {
        return by_jwks(scene, path, file.as_ref()?, key, public);
    }
    let trusted = registry.trusted();
    let bundle = registry.bundle.as_ref().filter(|_| !trusted.is_empty())?;
    if trusted.iter().any(|it| it.key_id == public.key_id) {
        return third(registry, key, public);
    }
    let instead = scene
        .mistake
        .as_ref()
        .map_or_else(String::new, |what| format!("; its bundle holds {what} instead"));
    let message = format!(
        "GitLab signs with a key that the registry does not trust{instead}: docker login, push \
         and pull fail"
    );
    let finding = Finding::error("key-mismatch", key.path().as_str(), message)
        .explains(Cause::Tokens)
        .seen("ID of GitLab's key", &public.key_id);
    let finding = trusted
        .iter()
        .take(SHOWN)
        .fold(finding, |finding, it| finding.seen("ID of a trusted key", &it.key_id))
        .evidence(key.path.evidence("registry.key"))
        .evidence(bundle.path.evidence("rootcertbundle"))
        .seen(
            "the registry says",
            format!("token signed by untrusted key with ID: \"{}\"", public.key_id),
        );
    let finding = explains_file(finding, key).docs(docs::REGISTRY_TROUBLE);
    Some(mend::mismatch(finding, scene, key, bundle))
}

/// What a list of keys says, if there is one.
fn by_jwks(
    scene: &Scene,
    path: &Sourced<Utf8PathBuf>,
    file: &File<Jwks>,
    key: &Held,
    public: &PublicKey,
) -> Option<Finding> {
    let error = |code, what: &str| {
        let message = format!("{what}: docker login, push and pull fail");
        let finding = Finding::error(code, path.value.as_str(), message)
            .explains(Cause::Tokens)
            .evidence(path.evidence("auth.token.jwks"))
            .evidence(key.path.evidence("registry.key"))
            .seen("ID of GitLab's key", &public.key_id);
        mend::jwks(finding, scene, path, public).docs(docs::REGISTRY_TROUBLE)
    };
    match file {
        File::Read(set) if set.key_ids.contains(&public.key_id) => None,
        File::Read(set) => {
            let finding = error(
                "key-not-listed",
                "the registry's list of keys does not have GitLab's under its ID",
            );
            let listed = set.key_ids.iter().take(SHOWN);
            Some(listed.fold(finding, |finding, id| finding.seen("ID of a listed key", id)))
        }
        File::Missing => Some(error("jwks-unusable", "the registry's list of keys does not exist")),
        other => Some(error("jwks-unusable", &other.obstacle().unwrap_or_default())),
    }
}

/// The right certificate is there, but Distribution 3 calls its key by another name.
fn third(registry: &Registry, key: &Held, public: &PublicKey) -> Option<Finding> {
    let sign = registry.third.as_ref()?;
    let message = "this registry is Distribution 3, which does not find GitLab's key by the name \
                   in GitLab's tokens: they are refused";
    let finding = Finding::error("jwks-unset", registry.config.as_str(), message)
        .explains(Cause::Tokens)
        .evidence(sign.source.evidence("only Distribution 3 reads", &sign.value))
        .seen("ID of GitLab's key", &public.key_id)
        .docs(docs::REGISTRY_TROUBLE);
    Some(mend::unset_jwks(finding, key, public))
}

/// The registry takes the key out of its certificate and looks at nothing else.
fn dates(scene: &Scene, registry: &Registry) -> Option<Finding> {
    let (now, held) = (scene.now?, registry.bundle.as_ref()?);
    let signs = match &scene.gitlab {
        Half::Here(gitlab) => gitlab.public(),
        Half::Elsewhere => None,
    };
    let certificates = registry.certificates();
    let mut in_use =
        certificates.iter().filter(|(key, _)| signs.is_none_or(|it| it.is_same_key_as(key)));
    // One certificate of the key that is valid shows that somebody cares.
    let is_valid = |(_, it): &(PublicKey, Certificate)| {
        it.not_after.is_some_and(|end| now <= end) && it.not_before.is_some_and(|it| it <= now)
    };
    let first = in_use.clone().next()?;
    if in_use.any(is_valid) {
        return None;
    }
    let end = first.1.not_after.filter(|end| *end < now)?;
    let message = format!(
        "the certificate of the signing key expired on {}, which harms nothing: the registry does \
         not look at its date",
        end.strftime("%F")
    );
    let finding = Finding::notice("certificate-expired", held.path().as_str(), message)
        .evidence(held.path.evidence("rootcertbundle"))
        .seen("not after", end)
        .seen("ID of the key", &first.0.key_id);
    Some(mend::expired(finding, scene, held).docs(docs::REGISTRY))
}

fn placed(finding: Finding, fault: &Fault, held: &Held) -> Finding {
    let Some(line) = fault.line else { return finding };
    let block = Evidence::new("the block", fault.code());
    finding.evidence(block.at(held.path().as_str(), u32::try_from(line).ok()))
}

/// Whatever keeps the registry from starting keeps it from taking tokens, too.
fn starts(registry: &Registry, finding: Finding, held: &Held) -> Finding {
    let finding = registry
        .socket
        .iter()
        .fold(finding, |finding, socket| finding.explains(Cause::Startup(socket.clone())));
    explains_file(finding.explains(Cause::Tokens), held).docs(docs::REGISTRY_TROUBLE)
}

/// `tls/key-pair` looks at the same two files.
fn explains_file(finding: Finding, held: &Held) -> Finding {
    finding.explains(Cause::File(held.path().to_string()))
}
