//! The formats of configuration files that gldoctor reads with [`ReadFile`](super::ReadFile).

use super::Format;
use crate::parse::gitlab_yml::GitlabYml;
use crate::parse::nginx::Nginx;
use crate::parse::pem::PemFile;
use crate::parse::{Malformed, gitlab_yml, nginx, pem};

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
