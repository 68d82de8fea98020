//! How a server takes in another certificate.

use crate::install::Source;
use crate::install::certificates::{Pair, User};

/// The Linux package's nginx.
pub(super) const PACKAGE: &str = "sudo gitlab-ctl hup nginx";

/// The command after which the server that uses a pair has read its files again. Who wrote where
/// the pair lies tells whose server it is: the Linux package's, or one of the system.
pub(super) fn reload(pair: &Pair) -> &'static str {
    let written_in = |folder| matches!(&pair.certificate.source, Source::File { path, .. } if path.starts_with(folder));
    match pair.user {
        User::Registry if written_in("/etc/docker/registry") => {
            "sudo systemctl restart docker-registry"
        }
        User::Registry => "sudo gitlab-ctl restart registry",
        _ if written_in("/etc/nginx") => "sudo nginx -t && sudo systemctl reload nginx",
        _ => PACKAGE,
    }
}

#[test]
fn a_server_of_the_system_is_not_the_package_s() {
    use crate::install::Sourced;
    let command = |user, path: &str| {
        let file = || Sourced::file("/etc/ssl/a.pem".into(), path, Some(1));
        reload(&Pair { user, certificate: file(), key: file() })
    };
    let (package, own) = ("/etc/gitlab/gitlab.rb", "/etc/nginx/conf.d/registry.conf");
    assert_eq!(command(User::GitlabNginx, package), PACKAGE);
    assert!(command(User::RegistryNginx, own).ends_with("systemctl reload nginx"));
    let generated = "/var/opt/gitlab/registry/config.yml";
    assert!(command(User::Registry, generated).contains("gitlab-ctl"));
    let debians = "/etc/docker/registry/config.yml";
    assert_eq!(command(User::Registry, debians), "sudo systemctl restart docker-registry");
}
