//! The whole examination from an administrator's own computer, which holds no file of GitLab's.

use crate::gitlab::{REGISTRY_PORT, REGISTRY_URL};
use crate::lab::HOST;
use crate::node::Ran;
use crate::site::Site;

const URL: &str = "https://my-host.internal";

fn run(site: &Site, more: &[&str]) -> Ran {
    let run = ["run", "--url", URL, "--registry-url", REGISTRY_URL, "--timeout", "2s"];
    site.lab.client.gldoctor(&[&run[..], more].concat())
}

#[test]
fn scratch() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    println!("=== untrusted\n{}", run(&site, &[]));
    let pem = site.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    site.lab.client.trust_system_wide("lab", pem);
    println!("=== trusted\n{}", run(&site, &["-v"]));
    drop(running.rails);
    running.registry.stop();
    println!("=== rails and registry down\n{}", run(&site, &[]));
    site.lab.server.filter(REGISTRY_PORT);
    site.lab.server.filter(443);
    println!("=== filtered\n{}", run(&site, &[]));
}
