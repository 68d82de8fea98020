//! Where an operating system keeps the certificates that it trusts, and how they come there.

use crate::host::files::FileFacts;
use crate::host::system::System;
use crate::host::{Host, Unknown};

/// Systems that keep their store alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks::trust) enum Family {
    /// Debian, Ubuntu, and Alpine with a program of the same name.
    Debian,
    /// Red Hat Enterprise Linux and its kin: p11-kit.
    RedHat,
    /// SUSE: p11-kit behind Debian's command.
    Suse,
}

impl Family {
    /// The family of this host, by `/etc/os-release`, or else by the folders that it has.
    pub(super) async fn of(host: &Host) -> Result<Self, Unknown> {
        let system = host.ask(System).await?;
        let mut ids = system.os_id.iter().chain(&system.os_like);
        if let Some(family) = ids.find_map(|id| Self::named(id)) {
            return Ok(family);
        }
        for family in [Self::RedHat, Self::Suse] {
            if host.ask(FileFacts::of(family.drop_in())).await?.is_some() {
                return Ok(family);
            }
        }
        Ok(Self::Debian)
    }

    fn named(id: &str) -> Option<Self> {
        match id {
            "debian" | "ubuntu" | "alpine" => Some(Self::Debian),
            "rhel" | "fedora" | "centos" | "almalinux" | "rocky" | "ol" | "amzn" => {
                Some(Self::RedHat)
            }
            "suse" | "opensuse" | "sles" | "sled" => Some(Self::Suse),
            _ => None,
        }
    }

    /// The folder into which an administrator puts certificates.
    pub(super) fn drop_in(self) -> &'static str {
        match self {
            Self::Debian => "/usr/local/share/ca-certificates",
            Self::RedHat => "/etc/pki/ca-trust/source/anchors",
            Self::Suse => "/etc/pki/trust/anchors",
        }
    }

    /// The program that fills the store from the folder.
    pub(super) fn update(self) -> &'static str {
        match self {
            Self::Debian | Self::Suse => "update-ca-certificates",
            Self::RedHat => "update-ca-trust",
        }
    }

    /// The command that fills the store from the folder, whatever was in the store before: without
    /// the flag, links to a file that was replaced under its own name are left as they are.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Debian | Self::Suse => "sudo update-ca-certificates --fresh",
            Self::RedHat => "sudo update-ca-trust",
        }
    }

    /// Whether the program copies whole files, as they are, and goes by their names.
    pub(super) fn copies_files(self) -> bool {
        self == Self::Debian
    }
}

#[test]
fn families_are_told_by_their_own_names() {
    assert_eq!(Family::named("ubuntu"), Some(Family::Debian));
    assert_eq!(Family::named("rocky"), Some(Family::RedHat));
    assert_eq!(Family::named("sles"), Some(Family::Suse));
    assert_eq!(Family::named("linuxmint"), None);
}
