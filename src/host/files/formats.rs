//! The formats of configuration files that gldoctor reads with [`ReadFile`](super::ReadFile).

use serde::{Deserialize, Serialize};

use super::Format;
use crate::parse::Malformed;
use crate::parse::containerd_toml::{self, ContainerdToml};
use crate::parse::docker_json::{self, ClientJson, DaemonJson};
use crate::parse::gitlab_yml::{self, GitlabYml};
use crate::parse::hosts_toml::{self, HostsToml};
use crate::parse::jwks::{self, Jwks};
use crate::parse::nginx::{self, Nginx};
use crate::parse::ntp_conf::{self, NtpConf, TimesyncdConf};
use crate::parse::pem::{self, PemFile};
use crate::parse::registries_conf::{self, RegistriesConf};
use crate::parse::resolver::{self, Hosts, ResolvConf};
use crate::parse::runner_toml::{self, RunnerToml};

impl Format for GitlabYml {
    const KIND: &'static str = "gitlab-yml";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        gitlab_yml::read(content)
    }
}

impl Format for Nginx {
    const KIND: &'static str = "nginx";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        nginx::read(content)
    }
}

impl Format for PemFile {
    const KIND: &'static str = "pem";

    /// 10,000 certificates take about 20 MiB.
    const LIMIT: u64 = 64 << 20;

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        Ok(pem::read(content))
    }
}

impl Format for RunnerToml {
    const KIND: &'static str = "runner-toml";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        runner_toml::read(content)
    }
}

impl Format for DaemonJson {
    const KIND: &'static str = "docker-daemon-json";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        docker_json::read_daemon(content)
    }
}

impl Format for ClientJson {
    const KIND: &'static str = "docker-client-json";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        docker_json::read_client(content)
    }
}

impl Format for ContainerdToml {
    const KIND: &'static str = "containerd-toml";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        containerd_toml::read(content)
    }
}

impl Format for HostsToml {
    const KIND: &'static str = "containerd-hosts-toml";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        hosts_toml::read(content)
    }
}

impl Format for RegistriesConf {
    const KIND: &'static str = "registries-conf";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        registries_conf::read(content)
    }
}

impl Format for Hosts {
    const KIND: &'static str = "hosts";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        resolver::read_hosts(content)
    }
}

impl Format for ResolvConf {
    const KIND: &'static str = "resolv-conf";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        resolver::read_resolv_conf(content)
    }
}

impl Format for Jwks {
    const KIND: &'static str = "jwks";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        jwks::read(content)
    }
}

/// A configuration file of chrony.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChronyConf(pub NtpConf);

/// A configuration file of ntpd.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NtpdConf(pub NtpConf);

impl Format for ChronyConf {
    const KIND: &'static str = "chrony-conf";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        ntp_conf::read_chrony(content).map(Self)
    }
}

impl Format for NtpdConf {
    const KIND: &'static str = "ntpd-conf";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        ntp_conf::read_ntpd(content).map(Self)
    }
}

impl Format for TimesyncdConf {
    const KIND: &'static str = "timesyncd-conf";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        ntp_conf::read_timesyncd(content)
    }
}
