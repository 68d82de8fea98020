//! Two machines and a wire: the server on 10.77.0.1, the client on 10.77.0.2.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::{Node, Ran};

/// The name under which everything on the server is reached, as in GitLab's guide.
pub(crate) const HOST: &str = "my-host.internal";
/// The server's address. Not on loopback, for which Docker would skip all verification.
pub(crate) const SERVER: &str = "10.77.0.1";
/// The client's address.
pub(crate) const CLIENT: &str = "10.77.0.2";

/// Debian's `nginx-light`.
pub(crate) const NGINX: &str = "nginx";
/// Debian's `docker-registry`.
pub(crate) const REGISTRY: &str = "docker-registry";
/// Debian's `skopeo`.
pub(crate) const SKOPEO: &str = "skopeo";
/// Debian's `docker.io`.
pub(crate) const DOCKERD: &str = "dockerd";
/// Debian's `chrony`.
pub(crate) const CHRONYD: &str = "chronyd";
/// Debian's `faketime`.
pub(crate) const FAKETIME: &str = "faketime";

/// What the harness itself needs: util-linux, iproute2, perl-base and openssl.
const ESSENTIAL: [&str; 6] = ["unshare", "nsenter", "setpriv", "ip", "perl", "openssl"];

/// Where programs are looked for, here and on the nodes.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Two nodes that reach each other and nothing else. All of it is gone when it is dropped.
pub(crate) struct Lab {
    pub(crate) server: Node,
    pub(crate) client: Node,
    // Last, so that nothing writes there any more when it is removed.
    dir: TempDir,
}

impl Lab {
    /// A new lab, or `None` (and a line on standard error) where `programs` or rights are missing.
    pub(crate) fn start(programs: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return skip("a live test needs root for its namespaces");
        }
        let missing: Vec<_> =
            ESSENTIAL.iter().chain(programs).filter(|name| find_program(name).is_none()).collect();
        if !missing.is_empty() {
            return skip(format!("these programs are not installed: {missing:?}"));
        }
        match Self::build() {
            Ok(lab) => Some(lab),
            Err(why) => skip(format!("no namespaces here: {why}")),
        }
    }

    fn build() -> Result<Self, String> {
        // Not where TMPDIR says: the nodes lay private layers over /var and others, but not over
        // /tmp. The short name keeps paths of sockets below their limit of 108 bytes.
        let dir = tempfile::Builder::new().prefix("gld-").tempdir_in("/tmp").unwrap();
        let server = Node::boot(dir.path(), HOST)?;
        let client = Node::boot(dir.path(), "client.internal")?;
        server.wire_to(&client);
        for (node, address) in [(&server, SERVER), (&client, CLIENT)] {
            node.must("ip", &["address", "add", &format!("{address}/24"), "dev", "lab0"]);
            node.must("ip", &["link", "set", "lab0", "up"]);
            node.write(
                "/etc/hosts",
                format!("127.0.0.1 localhost\n{SERVER} {HOST} registry.{HOST}\n{CLIENT} client.internal\n"),
            );
        }
        Ok(Self { server, client, dir })
    }

    /// A folder that both nodes and the test see under the same path.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs the built gldoctor on the client.
    pub(crate) fn gldoctor(&self, arguments: &[&str]) -> Ran {
        self.client.gldoctor(arguments)
    }
}

/// Says loudly that a test did not happen. An automatic build must not take that for success.
pub(crate) fn skip<T>(why: impl Display) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "a live test cannot run: {why}");
    // Not through eprintln!, which the test harness would swallow.
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    std::io::stderr().write_all(format!("SKIPPED: {test}: {why}\n").as_bytes()).unwrap();
    None
}

fn find_program(name: &str) -> Option<PathBuf> {
    let paths = OsString::from(PATH);
    std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Polls until something has come about.
#[track_caller]
pub(crate) fn wait_until(come_about: impl Fn() -> bool) {
    let since = Instant::now();
    while !come_about() {
        assert!(since.elapsed() < Duration::from_secs(40), "it does not come about");
        thread::sleep(Duration::from_millis(50));
    }
}
