//! What keeps the registry running, and so which commands an administrator types.

use crate::checks::Finding;
use crate::host::Host;
use crate::install::{self, Kind};

/// What keeps the registry running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// GitLab's Linux package on this host.
    Package,
    /// systemd on this host, as with Debian's docker-registry.
    Systemd,
    /// Another host: nothing of the registry lies here.
    Elsewhere,
}

impl Keeper {
    /// The keeper on this host. What cannot be looked at does not count: the answer decides words,
    /// never a verdict.
    pub(super) async fn of(host: &Host) -> Self {
        match install::registry::config(host).await {
            Ok(Some(config)) if config.generated => Self::Package,
            Ok(Some(_)) => Self::Systemd,
            Ok(None) | Err(_) => match install::kind(host).await {
                Ok(Some(Kind::LinuxPackage)) => Self::Package,
                _ => Self::Elsewhere,
            },
        }
    }

    /// How the registry is started, and where it says why it stops.
    pub(super) fn start(self, finding: Finding) -> Finding {
        let advice = self.advice("start the registry; if it does not stay up, its log says why");
        match self {
            Self::Package | Self::Elsewhere => finding.remedy(advice, GITLAB_START),
            Self::Systemd => finding.remedy(advice, SYSTEMD_START),
        }
    }

    /// How the registry is started anew, so that it takes in its configuration.
    pub(super) fn restart(self, finding: Finding) -> Finding {
        let advice = self.advice("restart the registry, so that it takes in its settings; if it does not stay up, its log says why");
        match self {
            Self::Package | Self::Elsewhere => finding.remedy(
                advice,
                ["sudo gitlab-ctl restart registry", "sudo gitlab-ctl tail registry"],
            ),
            Self::Systemd => finding.remedy(
                advice,
                [
                    "sudo systemctl restart docker-registry",
                    "sudo journalctl -u docker-registry -n 50",
                ],
            ),
        }
    }

    /// Why a setting has to be written, and how: `rb` in `gitlab.rb`, or `yml` in the registry's own
    /// `config.yml`. `why` is a clause.
    pub(super) fn configure(self, finding: Finding, why: &str, rb: &str, yml: &str) -> Finding {
        match self {
            Self::Package | Self::Elsewhere => finding.remedy(
                self.advice(&format!("{why}: write {rb} in /etc/gitlab/gitlab.rb and reconfigure")),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
            Self::Systemd => finding.remedy(
                self.advice(&format!("{why}: write {yml} in its config.yml and restart it")),
                [
                    "sudoedit /etc/docker/registry/config.yml",
                    "sudo systemctl restart docker-registry",
                ],
            ),
        }
    }

    /// A setting has to go: `rb` from `gitlab.rb`, or `yml` from the registry's own `config.yml`.
    pub(super) fn unset(self, finding: Finding, rb: &str, yml: &str) -> Finding {
        match self {
            Self::Package | Self::Elsewhere => self
                .edit(finding, &format!("take {rb} out of /etc/gitlab/gitlab.rb and reconfigure")),
            Self::Systemd => {
                self.edit(finding, &format!("take {yml} out of its config.yml and restart it"))
            }
        }
    }

    /// An environment variable of the registry, which outranks every file, has to go.
    pub(super) fn unset_variable(self, finding: Finding, variable: &str) -> Finding {
        match self {
            Self::Package | Self::Elsewhere => finding.remedy(
                self.advice(&format!(
                    "take {variable} out of registry['env'] in /etc/gitlab/gitlab.rb, which \
                     outranks every other setting, and reconfigure"
                )),
                [
                    "sudoedit /etc/gitlab/gitlab.rb",
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                ],
            ),
            Self::Systemd => finding.remedy(
                format!("Take {variable} out of the registry's environment, and restart it."),
                ["systemctl cat docker-registry", "sudo systemctl restart docker-registry"],
            ),
        }
    }

    /// Where such a variable is written, and how a change of it is put into effect.
    pub(super) fn place_of_variable(self, variable: &str) -> (String, Vec<String>) {
        let (place, commands): (_, &[&str]) = match self {
            Self::Package | Self::Elsewhere => (
                format!("{variable} in registry['env'] of /etc/gitlab/gitlab.rb"),
                &[
                    "sudoedit /etc/gitlab/gitlab.rb",
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                ],
            ),
            Self::Systemd => (
                format!("{variable} in the registry's environment"),
                &["systemctl cat docker-registry", "sudo systemctl restart docker-registry"],
            ),
        };
        (place, commands.iter().map(|it| (*it).to_owned()).collect())
    }

    /// The settings have to be edited; `what` is a clause.
    pub(super) fn edit(self, finding: Finding, what: &str) -> Finding {
        match self {
            Self::Package | Self::Elsewhere => finding.remedy(
                self.advice(what),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
            Self::Systemd => finding.remedy(
                self.advice(what),
                [
                    "sudoedit /etc/docker/registry/config.yml",
                    "sudo systemctl restart docker-registry",
                ],
            ),
        }
    }

    /// The command that shows the registry's latest log lines.
    pub(super) fn log(self) -> &'static str {
        match self {
            Self::Package | Self::Elsewhere => "sudo gitlab-ctl tail registry",
            Self::Systemd => "sudo journalctl -u docker-registry -n 50",
        }
    }

    /// What to do, as a sentence that names the registry's host where that is another one; `what`
    /// is a clause.
    pub(super) fn advice(self, what: &str) -> String {
        match (self, what.split_at_checked(1)) {
            (Self::Package | Self::Systemd, Some((first, rest))) => {
                format!("{}{rest}.", first.to_ascii_uppercase())
            }
            _ => format!("On the registry's host, {what}."),
        }
    }
}

const GITLAB_START: [&str; 3] = [
    "sudo gitlab-ctl status registry",
    "sudo gitlab-ctl start registry",
    "sudo gitlab-ctl tail registry",
];

const SYSTEMD_START: [&str; 3] = [
    "systemctl status docker-registry",
    "sudo systemctl start docker-registry",
    "sudo journalctl -u docker-registry -n 50",
];
