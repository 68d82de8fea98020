//! How each fault of the two halves is mended, on a host with both or with one of them.

use camino::Utf8PathBuf;

use super::super::keeper::Keeper;
use super::scene::{Half, Held, Obstacle, Scene};
use crate::checks::shell::word;
use crate::checks::tls::key_pair::fault::Kind;
use crate::checks::{Finding, docs};
use crate::host::files::File;
use crate::install::Sourced;
use crate::install::accounts::Service;
use crate::install::tokens::PACKAGE_KEY;
use crate::parse::key::PublicKey;

const RECONFIGURE: [&str; 2] = ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"];

/// A certificate of a key, for the registry alone: neither name nor date matter.
fn certificate_of(key: &str) -> String {
    format!("sudo openssl req -x509 -days 3650 -subj /CN=gitlab-issuer -key {key}")
}

fn restart(scene: &Scene) -> Option<String> {
    let command = match scene.keeper {
        Keeper::Package => "sudo gitlab-ctl restart registry",
        Keeper::Systemd => "sudo systemctl restart docker-registry",
        Keeper::Elsewhere => return None,
    };
    Some(command.to_owned())
}

/// Where GitLab's key is, as far as this host knows.
fn key_path(scene: &Scene) -> Option<&str> {
    match &scene.gitlab {
        Half::Here(gitlab) => gitlab.key.as_ref().map(|key| key.path().as_str()),
        Half::Elsewhere => None,
    }
}

/// Where the bundle is, as far as this host knows.
fn bundle_path(scene: &Scene) -> Option<&str> {
    match &scene.registry {
        Half::Here(registry) => registry.bundle.as_ref().map(|bundle| bundle.path().as_str()),
        Half::Elsewhere => None,
    }
}

/// A bundle from which the registry gets nothing.
pub(super) fn bundle(finding: Finding, scene: &Scene, held: &Held) -> Finding {
    if let Some(variable) = held.path.source.variable() {
        return scene.keeper.unset_variable(finding, variable);
    }
    if held.by_package && scene.keeper == Keeper::Package {
        let advice = "Let reconfigure write the bundle again, from gitlab-secrets.json.";
        return finding.remedy(advice, RECONFIGURE);
    }
    let file = word(held.path().as_str());
    let aside = match &held.file {
        Some(File::Missing) | None => None,
        Some(_) => Some(format!("sudo mv {file} {file}.old")),
    };
    let Some(key) = key_path(scene) else {
        let made = certificate_of(PACKAGE_KEY);
        let commands = [
            "# on GitLab's host, with the path of its key:".to_owned(),
            format!("{made} -out gitlab-registry.crt"),
            "# here, with that file:".to_owned(),
        ];
        let install = format!("sudo install -m 644 gitlab-registry.crt {file}");
        return finding.remedy(
            "Put a certificate of GitLab's signing key here, in PEM.",
            commands.into_iter().chain(aside).chain([install]).chain(restart(scene)),
        );
    };
    let make = format!("{} \\\n  | sudo tee {file} > /dev/null", certificate_of(&word(key)));
    finding.remedy(
        "Make a certificate of GitLab's key, and let the registry trust that.",
        aside.into_iter().chain([make]).chain(restart(scene)),
    )
}

/// A registry that is told no bundle.
pub(super) fn unset_bundle(finding: Finding, scene: &Scene) -> Finding {
    if scene.keeper == Keeper::Package {
        return finding.remedy("Let reconfigure write the file again.", RECONFIGURE);
    }
    let why = "name the file with the certificate of GitLab's key";
    scene.keeper.configure(finding, why, "", "auth.token.rootcertbundle")
}

/// GitLab that is told no key.
pub(super) fn unset_key(finding: Finding, scene: &Scene) -> Finding {
    let Half::Here(gitlab) = &scene.gitlab else { return finding };
    if matches!(&gitlab.settings, crate::install::Source::File { path, .. } if path.starts_with("/var/opt/gitlab"))
    {
        return finding.remedy("Let reconfigure write the file again.", RECONFIGURE);
    }
    finding.remedy(
        "Name the file with the key that belongs to the registry's rootcertbundle under registry.",
        ["sudoedit /home/git/gitlab/config/gitlab.yml", "sudo systemctl restart gitlab.target"],
    )
}

/// No key, or nothing that could be one.
pub(super) fn missing_key(finding: Finding, scene: &Scene, held: &Held) -> Finding {
    if held.by_package {
        return finding
            .remedy("Let reconfigure write the key again, from gitlab-secrets.json.", RECONFIGURE);
    }
    new_pair(
        finding,
        "Put the key here that belongs to the registry's certificate. If it is lost, make another \
         pair:",
        scene,
        held,
    )
}

/// A file from which GitLab gets no key.
pub(super) fn unusable_key(finding: Finding, kind: &Kind, scene: &Scene, held: &Held) -> Finding {
    if held.by_package {
        let advice = "Let reconfigure write the key again, from gitlab-secrets.json. A key of \
                      your own belongs into registry['internal_key'], with its certificate in \
                      registry['internal_certificate']; it has to be RSA without a passphrase.";
        return finding.remedy(advice, RECONFIGURE);
    }
    let file = word(held.path().as_str());
    match kind {
        Kind::Encrypted => finding.remedy(
            "Take the passphrase off the key.",
            [format!(
                "sudo openssl pkey -in {file} -out {file}.new \\\n  && sudo grep -q BEGIN \
                 {file}.new \\\n  && sudo cp {file}.new {file} \\\n  && sudo rm {file}.new"
            )],
        ),
        Kind::OpenSsh => finding.remedy(
            "Convert the key to PEM.",
            [
                format!("sudo cp -p {file} {file}.openssh"),
                format!("sudo ssh-keygen -p -m PEM -N '' -f {file}"),
            ],
        ),
        Kind::Algorithm { .. } => new_pair(
            finding,
            "Make a pair with an RSA key, the only kind that GitLab signs with:",
            scene,
            held,
        ),
        _ => new_pair(
            finding,
            "Put the private key here that belongs to the registry's certificate, in PEM. If it \
             is lost, make another pair:",
            scene,
            held,
        ),
    }
}

/// A new key with its certificate. The old certificates stay: other nodes may sign with their keys.
fn new_pair(finding: Finding, advice: &str, scene: &Scene, held: &Held) -> Finding {
    let file = word(held.path().as_str());
    let account = match &scene.gitlab {
        Half::Here(gitlab) => word(&gitlab.account),
        Half::Elsewhere => Service::Gitlab.usual_account().to_owned(),
    };
    let owner = format!("sudo chown {account}: {file}");
    let make = format!("sudo openssl genrsa -out {file} 4096");
    let kept = match &held.file {
        Some(File::Missing) | None => None,
        Some(_) => Some(format!("sudo mv {file} {file}.old")),
    };
    let certificate = certificate_of(&file);
    let rest = match bundle_path(scene) {
        Some(bundle) => {
            let bundle = word(bundle);
            let trust = format!("{certificate} \\\n  | sudo tee -a {bundle} > /dev/null");
            [Some(trust), restart(scene)]
        }
        None => [
            Some(format!("{certificate} -out gitlab-registry.crt")),
            Some("# add gitlab-registry.crt to the bundle on the registry's host".to_owned()),
        ],
    };
    let commands = kept.into_iter().chain([make, owner]).chain(rest.into_iter().flatten());
    finding.remedy(advice, commands)
}

/// A file that its account cannot read.
pub(super) fn readable(finding: Finding, held: &Held, obstacle: &Obstacle) -> Finding {
    let Obstacle { account, at, facts } = obstacle;
    let (name, place) = (word(account), word(at.as_str()));
    let finding = finding
        .seen("what is closed", at)
        .seen("mode and owner", crate::install::files::described(facts));
    if held.by_package {
        let advice = "Let reconfigure give the file back to its account.";
        return finding.remedy(advice, RECONFIGURE);
    }
    let commands = if at == held.path() {
        vec![format!("sudo chown {name}: {place}"), format!("sudo chmod 600 {place}")]
    } else {
        // The folder keeps its owner: others may have to get in as well.
        vec![
            format!("sudo setfacl -m u:{name}:x {place}"),
            format!("sudo -u {name} head -c 1 {}", word(held.path().as_str())),
        ]
    };
    let advice = if at == held.path() {
        format!("Give the file to '{account}'.")
    } else {
        format!("Let '{account}' through the folder.")
    };
    finding.remedy(advice, commands)
}

/// A private key in the bundle.
pub(super) fn stray_key(finding: Finding, held: &Held) -> Finding {
    let finding = finding.docs(docs::REGISTRY);
    let advice = if held.open_to_all.is_some() {
        "Take the key out of the file. If GitLab signs with it, make a new pair: it has to be \
         taken for stolen."
    } else {
        "Take the key out of the file, unless it is the only copy."
    };
    if held.by_package {
        return finding.remedy(advice, RECONFIGURE);
    }
    let file = word(held.path().as_str());
    let blocks = "/BEGIN .*PRIVATE KEY/,/END .*PRIVATE KEY/";
    finding.remedy(
        advice,
        [
            format!("sudo install -m 600 /dev/null {file}.key"),
            format!("sudo sed -n '{blocks}p' {file} | sudo tee {file}.key > /dev/null"),
            format!("sudo sed -i '{blocks}d' {file}"),
        ],
    )
}

/// Two good files that do not belong together.
pub(super) fn mismatch(finding: Finding, scene: &Scene, key: &Held, bundle: &Held) -> Finding {
    if let Some(variable) = bundle.path.source.variable() {
        return scene.keeper.unset_variable(finding, variable);
    }
    let (pem, crt) = (word(key.path().as_str()), word(bundle.path().as_str()));
    let compare = [
        format!("openssl x509 -noout -pubkey -in {crt} | openssl sha256"),
        format!("sudo openssl pkey -pubout -in {pem} | openssl sha256"),
    ];
    if key.by_package && bundle.by_package && scene.keeper == Keeper::Package {
        if let Some(lone) = &scene.lone_setting {
            let edit = ["sudoedit /etc/gitlab/gitlab.rb".to_owned()];
            return finding
                .evidence(lone.source.evidence("set without its other half", lone.value))
                .remedy(
                    "Set both registry['internal_key'] and registry['internal_certificate'], which \
                     belong together, or neither; then reconfigure. The first two commands \
                     print the same when the files fit.",
                    compare.into_iter().chain(edit).chain(RECONFIGURE.map(str::to_owned)),
                );
        }
        return finding.remedy(
            "Let reconfigure write both files again, from gitlab-secrets.json. If they still \
             differ, internal_key and internal_certificate there do not belong together. The \
             first two commands print the same when the files fit.",
            compare.into_iter().chain(RECONFIGURE.map(str::to_owned)),
        );
    }
    // Appending keeps the certificates of other GitLab nodes and of keys on their way out.
    let append = format!("{} \\\n  | sudo tee -a {crt} > /dev/null", certificate_of(&pem));
    finding.remedy(
        "Add a certificate of GitLab's key to those that the registry trusts. The first two \
         commands print the same when the first certificate fits.",
        compare.into_iter().chain([append]).chain(restart(scene)),
    )
}

/// A list of keys without the right one.
pub(super) fn jwks(
    finding: Finding,
    scene: &Scene,
    path: &Sourced<Utf8PathBuf>,
    public: &PublicKey,
) -> Finding {
    finding.remedy(
        format!(
            "List the public half of GitLab's key as a JSON Web Key, with the kid {}.",
            public.key_id
        ),
        [format!("sudoedit {}", word(path.value.as_str()))].into_iter().chain(restart(scene)),
    )
}

/// Distribution 3 with a bundle alone.
pub(super) fn unset_jwks(finding: Finding, key: &Held, public: &PublicKey) -> Finding {
    finding.remedy(
        format!(
            "List the public half of GitLab's key as a JSON Web Key, with the kid {}, in a file, \
             and name that file in auth.token.jwks; or take GitLab's own registry.",
            public.key_id
        ),
        [format!("sudo openssl rsa -pubout -in {}", word(key.path().as_str()))],
    )
}

/// A certificate that is out of date but works.
pub(super) fn expired(finding: Finding, scene: &Scene, held: &Held) -> Finding {
    let file = word(held.path().as_str());
    match key_path(scene) {
        Some(key) if !held.by_package => {
            let make =
                format!("{} \\\n  | sudo tee -a {file} > /dev/null", certificate_of(&word(key)));
            let commands = [make].into_iter().chain(restart(scene));
            finding.remedy(
                "Nothing has to be done. To be rid of this, add a new certificate.",
                commands,
            )
        }
        _ => finding.remedy(
            "Nothing has to be done.",
            [format!("openssl x509 -noout -subject -dates -in {file}")],
        ),
    }
}
