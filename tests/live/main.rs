//! Tests against the real things: Distribution's registry, nginx, chronyd, skopeo and the Docker
//! daemon, on two machines made of Linux namespaces that vanish with the test.
//!
//! A live test in a few lines:
//!
//! ```ignore
//! #[test]
//! fn docker_and_gldoctor_agree_on_the_certificate_of_the_guide() {
//!     let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO]) else { return };
//!     let certificate = pki::by_the_guide(lab.dir(), HOST);
//!     let gitlab = Gitlab::install(&lab, &certificate); // files only; edit them now
//!     lab.server.edit("/var/opt/gitlab/registry/config.yml", |text| text.replace("text", "json"));
//!     let _running = gitlab.start(&lab); // real registry, real nginx, stand-in for Rails
//!     lab.client.write(&format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt"), certificate.pem());
//!
//!     let client = lab.client.run("skopeo", &["inspect", "docker://..."]);
//!     let doctor = lab.gldoctor(&["run", "--registry-url", REGISTRY_URL, "--format", "json"]);
//!     assert_eq!(doctor.json()["summary"]["status"], "error", "{doctor}");
//! }
//! ```
//!
//! What must hold:
//! - Nothing outside the namespaces changes, and nothing outlives the test, however it ends.
//! - Where the machine cannot run a test (no root, a program is missing) the test says so on
//!   standard error and passes; with `CI` set it fails instead.
//! - The parts here share no code with gldoctor, so that one mistake cannot hide in both.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]
#![expect(clippy::disallowed_methods, reason = "no host stands behind the other end of the wire")]
#![expect(clippy::print_stdout, reason = "the test harness shows it with a failed test")]

mod clock;
mod clock_gitaly;
mod clock_offset;
mod clock_peers;
mod clock_sync;
mod clone_url;
mod from_outside;
mod gitlab;
mod harness;
mod hostile;
mod http;
mod insecure;
mod lab;
mod node;
mod notifications;
mod object_store;
mod pki;
mod project_names;
mod proxy_headers;
mod rails;
mod read_only;
mod redirect;
mod registry_api;
mod registry_auth;
mod registry_debug;
mod registry_garbage;
mod registry_logins;
mod registry_settings;
mod registry_storage;
mod replay;
mod repository_names;
mod runner_reach;
mod site;
mod standin;
mod stores;
mod tls;
mod token;
mod trust;
mod verdicts;
