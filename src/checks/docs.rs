//! Where the documentation says it: the pages that findings link to.

/// The offline install guide.
pub const OFFLINE: &str = "https://docs.gitlab.com/topics/offline/quick_start_guide/";
/// Offline guide: the server's certificate.
pub const OFFLINE_SSL: &str =
    "https://docs.gitlab.com/topics/offline/quick_start_guide/#enabling-ssl";
/// Offline guide: the package metadata database.
pub const OFFLINE_METADATA: &str = "https://docs.gitlab.com/topics/offline/quick_start_guide/#enabling-the-package-metadata-database";
/// Offline guide: trust for the Docker daemon and the runner.
pub const OFFLINE_TRUST: &str = "https://docs.gitlab.com/topics/offline/quick_start_guide/#allow-the-docker-daemon-to-trust-the-registry-and-gitlab-runner";
/// Offline guide: NTP.
pub const OFFLINE_NTP: &str =
    "https://docs.gitlab.com/topics/offline/quick_start_guide/#configure-ntp";
/// Container registry administration.
pub const REGISTRY: &str = "https://docs.gitlab.com/administration/packages/container_registry/";
/// Container registry administration: its storage.
pub const REGISTRY_STORAGE: &str = "https://docs.gitlab.com/administration/packages/container_registry/#configure-storage-for-the-container-registry";
/// Container registry administration: redirects to the storage.
pub const REGISTRY_REDIRECT: &str = "https://docs.gitlab.com/administration/packages/container_registry/#disable-redirect-for-storage-driver";
/// Container registry administration: the debug server.
pub const REGISTRY_DEBUG: &str = "https://docs.gitlab.com/administration/packages/container_registry_troubleshooting/#enable-the-registry-debug-server";
/// Container registry administration: notifications.
pub const REGISTRY_NOTIFICATIONS: &str = "https://docs.gitlab.com/administration/packages/container_registry/#configure-container-registry-notifications";
/// The user guide: naming convention for container images.
pub const REGISTRY_NAMES: &str = "https://docs.gitlab.com/user/packages/container_registry/#naming-convention-for-your-container-images";
/// Container registry administration: garbage collection.
pub const REGISTRY_GC: &str = "https://docs.gitlab.com/administration/packages/container_registry/#container-registry-garbage-collection";
/// Container registry troubleshooting.
pub const REGISTRY_TROUBLE: &str =
    "https://docs.gitlab.com/administration/packages/container_registry_troubleshooting/";
/// Container registry troubleshooting: self-signed certificates.
pub const REGISTRY_SELF_SIGNED: &str = "https://docs.gitlab.com/administration/packages/container_registry_troubleshooting/#using-self-signed-certificates-with-container-registry";
/// Container registry troubleshooting: tags with an empty name.
pub const REGISTRY_EMPTY_TAGS: &str = "https://docs.gitlab.com/administration/packages/container_registry_troubleshooting/#tags-with-an-empty-name";
/// TLS for the Linux package.
pub const SSL: &str = "https://docs.gitlab.com/omnibus/settings/ssl/";
/// TLS trouble with the Linux package.
pub const SSL_TROUBLE: &str = "https://docs.gitlab.com/omnibus/settings/ssl/ssl_troubleshooting/";
/// Self-signed certificates for the runner.
pub const RUNNER_TLS: &str = "https://docs.gitlab.com/runner/configuration/tls-self-signed/";
