//! A healthy GitLab on the lab's server: the demo of `fixtures/demo` with its slips mended, so
//! that its files are proven by the programs that read them.

use std::path::Path;

use crate::http::HttpServer;
use crate::lab::{HOST, Lab};
use crate::node::{Node, Server};
use crate::pki::Certificate;
use crate::rails::{self, Tokens};

/// The public port of the registry.
pub(crate) const REGISTRY_PORT: u16 = 4567;
/// The registry as image names spell it.
pub(crate) const REGISTRY_NAME: &str = "my-host.internal:4567";
/// The registry as a URL.
pub(crate) const REGISTRY_URL: &str = "https://my-host.internal:4567";

/// Where nginx looks for Rails.
const RAILS_SOCKET: &str = "/var/opt/gitlab/gitlab-workhorse/sockets/socket";
const SIGNING_KEY: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key";

/// Copies the demo's files below `$1` and puts the server's own name `$2` where the guide's slip
/// put another. Owners, modes and times are those of the Linux package after a reconfigure.
const INSTALL: &str = r#"
set -e
cp "$1/etc/passwd" "$1/etc/group" /etc/
mkdir -p /etc/gitlab/ssl /opt /var/opt /var/log/gitlab/nginx /var/log/gitlab/registry
cp -P "$1/etc/gitlab/gitlab.rb" "$1/etc/gitlab/gitlab-secrets.json" /etc/gitlab/
cp -r -P "$1/opt/gitlab" /opt/
cp -r -P "$1/var/opt/gitlab" /var/opt/
rm -rf /opt/gitlab/embedded/service/gitlab-rails/vendor
grep -rlF gitlab.example.com /etc/gitlab /var/opt/gitlab | xargs sed -i "s/gitlab\.example\.com/$2/g"
mkdir -p /opt/gitlab/embedded/conf
cp /etc/nginx/mime.types /opt/gitlab/embedded/conf/

cd /var/opt/gitlab
mkdir -p gitlab-workhorse/sockets nginx/logs
chmod 600 /etc/gitlab/gitlab.rb /etc/gitlab/gitlab-secrets.json
chown -R git:git gitlab-rails
chmod 700 gitlab-rails/etc
chown root:git gitlab-rails/etc/gitlab.yml
chmod 640 gitlab-rails/etc/gitlab.yml
chmod 644 gitlab-rails/etc/gitlab-registry.key
chown git:gitlab-www gitlab-rails/shared
chmod 751 gitlab-rails/shared
chown -R registry:git gitlab-rails/shared/registry
chmod 770 gitlab-rails/shared/registry
chown -R registry:registry registry
chmod 2770 registry
chmod 644 registry/config.yml
chown root:gitlab-www nginx
chmod 750 nginx
chown -R git:gitlab-www gitlab-workhorse
chmod 750 gitlab-workhorse
# Settings first, then what was generated from them.
touch -d '-2 minutes' /etc/gitlab/gitlab.rb
find . -type f -exec touch -h -d '-1 minute' {} +
"#;

/// An installation whose services do not run yet.
pub(crate) struct Gitlab {
    /// What the registry's tokens will be like.
    pub(crate) tokens: Tokens,
}

impl Gitlab {
    /// Puts the files of a healthy GitLab with this certificate on the lab's server. A test edits
    /// them afterwards to make its fault.
    pub(crate) fn install(lab: &Lab, certificate: &Certificate) -> Self {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
        let demo = demo.to_str().unwrap();
        lab.server.must("sh", &["-c", INSTALL, "install", demo, HOST]);
        lab.server.write(&format!("/etc/gitlab/ssl/{HOST}.crt"), certificate.pem());
        lab.server.write(&format!("/etc/gitlab/ssl/{HOST}.key"), certificate.key_pem());
        lab.server.must("chmod", &["600", &format!("/etc/gitlab/ssl/{HOST}.key")]);
        Self { tokens: Tokens::default() }
    }

    /// Starts registry, Rails and nginx, and returns when all of them answer.
    #[track_caller]
    pub(crate) fn start(self, lab: &Lab) -> Running {
        let registry = start_registry(&lab.server);
        let rails = start_rails(&lab.server, self.tokens);
        let nginx = start_nginx(&lab.server);
        Running { nginx, registry, rails }
    }
}

/// The services of an installation, each of which can be stopped, or started again by the
/// functions below.
#[must_use]
pub(crate) struct Running {
    pub(crate) nginx: Server,
    pub(crate) registry: Server,
    pub(crate) rails: HttpServer,
}

/// Distribution's registry with the configuration that the Linux package wrote, as its user.
#[track_caller]
pub(crate) fn start_registry(node: &Node) -> Server {
    let user = ["--reuid", "registry", "--regid", "registry", "--clear-groups"];
    let serve = ["docker-registry", "serve", "/var/opt/gitlab/registry/config.yml"];
    node.serve("setpriv", &[&user[..], &serve[..]].concat(), || node.listens(5000))
}

/// The stand-in for Rails, which signs with the installation's key.
pub(crate) fn start_rails(node: &Node, tokens: Tokens) -> HttpServer {
    let rails = rails::serve(&node.path(RAILS_SOCKET), &node.read(SIGNING_KEY), tokens);
    // nginx's workers have to reach it.
    node.must("chown", &["git:gitlab-www", RAILS_SOCKET]);
    node.must("chmod", &["660", RAILS_SOCKET]);
    rails
}

/// nginx with the configuration that the Linux package wrote.
#[track_caller]
pub(crate) fn start_nginx(node: &Node) -> Server {
    let conf = "/var/opt/gitlab/nginx/conf/nginx.conf";
    let arguments = ["-p", "/var/opt/gitlab/nginx", "-c", conf, "-e", "stderr"];
    node.serve("nginx", &arguments, || node.listens(REGISTRY_PORT))
}
