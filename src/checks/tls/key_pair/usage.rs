//! Who uses a pair of files, and what becomes of that program when the files are wrong.

use camino::{Utf8Path, Utf8PathBuf};

use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, docs};
use crate::install::certificates::{Pair, User};
use crate::install::{Source, Sourced};

/// The two files of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Half {
    Certificate,
    Key,
}

/// The program that reads the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Program {
    Nginx,
    /// The registry, which speaks TLS itself.
    Registry,
    /// GitLab signs tokens with the key; the registry reads the certificate.
    Tokens,
}

/// A pair with everybody who uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) users: Vec<User>,
    pub(super) certificate: Sourced<Utf8PathBuf>,
    pub(super) key: Sourced<Utf8PathBuf>,
    /// The names under which the users of the pair are reached, as far as they are known.
    pub(super) hosts: Vec<String>,
}

/// Pairs of the same two files, read by the same program, are one: nginx of GitLab and of its
/// registry mostly share theirs.
pub(super) fn usages(pairs: impl IntoIterator<Item = Pair>) -> Vec<Usage> {
    let mut usages: Vec<Usage> = Vec::new();
    for Pair { user, certificate, key } in pairs {
        let same = usages.iter_mut().find(|usage| {
            usage.program() == program(user)
                && usage.certificate.value == certificate.value
                && usage.key.value == key.value
        });
        match same {
            Some(usage) if usage.users.contains(&user) => {}
            Some(usage) => usage.users.push(user),
            None => {
                usages.push(Usage { users: vec![user], certificate, key, hosts: Vec::new() });
            }
        }
    }
    usages
}

fn program(user: User) -> Program {
    match user {
        User::GitlabNginx | User::RegistryNginx | User::OtherNginx => Program::Nginx,
        User::Registry => Program::Registry,
        User::Tokens => Program::Tokens,
    }
}

impl Usage {
    pub(super) fn program(&self) -> Program {
        self.users.first().map_or(Program::Nginx, |user| program(*user))
    }

    pub(super) fn file(&self, half: Half) -> &Sourced<Utf8PathBuf> {
        match half {
            Half::Certificate => &self.certificate,
            Half::Key => &self.key,
        }
    }

    pub(super) fn path(&self, half: Half) -> &Utf8Path {
        &self.file(half).value
    }

    /// The path as it stands in a command.
    pub(super) fn word(&self, half: Half) -> String {
        word(self.path(half).as_str())
    }

    /// What happens with a file that cannot be used. nginx that already runs keeps what it has
    /// read, which is why nobody may have noticed yet.
    pub(super) fn consequence(&self, half: Half) -> &'static str {
        match (self.program(), half) {
            (Program::Nginx, _) => "nginx neither starts nor reloads",
            (Program::Tokens, Half::Key) => {
                "GitLab cannot sign tokens, so every docker login, push and pull fails"
            }
            (Program::Registry, _) | (Program::Tokens, Half::Certificate) => {
                "the registry does not start"
            }
        }
    }

    /// The command after which the program has read the file again, if it takes one.
    pub(super) fn restart(&self, half: Half) -> Option<&'static str> {
        let written_in = |folder| matches!(&self.certificate.source, Source::File { path, .. } if path.starts_with(folder));
        match (self.program(), half) {
            (Program::Nginx, _) if written_in("/etc/nginx") => {
                Some("sudo nginx -t && sudo systemctl restart nginx")
            }
            // One that runs keeps what it has if the files are still wrong, and one that cannot
            // start is started again every second.
            (Program::Nginx, _) => Some("sudo gitlab-ctl hup nginx"),
            // Rails reads the key for each token anew.
            (Program::Tokens, Half::Key) => None,
            _ if written_in("/etc/docker/registry") => {
                Some("sudo systemctl restart docker-registry")
            }
            _ => Some("sudo gitlab-ctl restart registry"),
        }
    }

    /// Whether reconfigure writes both files anew. It writes its own pair and no other, whatever
    /// paths are set.
    pub(super) fn is_written_by_package(&self) -> bool {
        self.program() == Program::Tokens
            && self.certificate.value == "/var/opt/gitlab/registry/gitlab-registry.crt"
            && self.key.value == "/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key"
    }

    /// The settings that name a file with passphrases. Each server of nginx needs its own, even
    /// for one and the same key.
    pub(super) fn password_settings(&self) -> String {
        let setting = |user: &User| match user {
            User::RegistryNginx => "registry_nginx['ssl_password_file']",
            User::OtherNginx => "the ssl_password_file of that service's nginx",
            _ => "nginx['ssl_password_file']",
        };
        self.users.iter().map(setting).collect::<Vec<_>>().join(" and ")
    }

    /// The settings from whose host the names of the files follow.
    pub(super) fn url_settings(&self) -> String {
        let setting = |user: &User| match user {
            User::GitlabNginx => "external_url",
            User::RegistryNginx => "registry_external_url",
            _ => "the URL of that service",
        };
        self.users.iter().map(setting).collect::<Vec<_>>().join(" and ")
    }

    /// Says which files are meant and who uses them.
    pub(super) fn describe(&self, finding: Finding) -> Finding {
        let users: Vec<_> = self.users.iter().map(ToString::to_string).collect();
        let users = match self.program() {
            Program::Tokens => "GitLab, which signs tokens, and the registry".to_owned(),
            Program::Nginx | Program::Registry => users.join(" and "),
        };
        finding
            .seen("used by", users)
            .evidence(self.evidence(Half::Certificate))
            .evidence(self.evidence(Half::Key))
    }

    fn evidence(&self, half: Half) -> Evidence {
        let what = match (half, self.program()) {
            (Half::Certificate, Program::Tokens) => "trusted certificates",
            (Half::Key, Program::Tokens) => "signing key",
            (Half::Certificate, _) => "certificate",
            (Half::Key, _) => "private key",
        };
        self.file(half).evidence(what)
    }
}

/// Where the documentation speaks of these files.
pub(super) fn docs_of(usage: &Usage) -> &'static str {
    match usage.program() {
        Program::Nginx => docs::SSL_TROUBLE,
        Program::Registry => docs::REGISTRY,
        Program::Tokens => docs::REGISTRY_TROUBLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(user: User, name: &str) -> Pair {
        let path = |ending: &str| {
            Sourced::default(Utf8PathBuf::from(format!("/{name}.{ending}")), "the default")
        };
        Pair { user, certificate: path("crt"), key: path("key") }
    }

    #[test]
    fn shared_files_are_one_usage_unless_another_program_reads_them() {
        let usages = usages([
            pair(User::GitlabNginx, "a"),
            pair(User::RegistryNginx, "a"),
            pair(User::Registry, "a"),
            pair(User::OtherNginx, "b"),
            pair(User::OtherNginx, "b"),
        ]);
        let users: Vec<_> = usages.iter().map(|usage| usage.users.clone()).collect();
        assert_eq!(
            users,
            [
                vec![User::GitlabNginx, User::RegistryNginx],
                vec![User::Registry],
                vec![User::OtherNginx]
            ]
        );
    }

    #[test]
    fn services_are_restarted_by_who_started_them() {
        let mut usage = usages([pair(User::GitlabNginx, "a")]).remove(0);
        assert_eq!(usage.restart(Half::Key), Some("sudo gitlab-ctl hup nginx"));
        usage.certificate.source =
            Source::File { path: "/etc/nginx/conf.d/gitlab.conf".into(), line: Some(3) };
        assert_eq!(usage.restart(Half::Key), Some("sudo nginx -t && sudo systemctl restart nginx"));
    }
}
