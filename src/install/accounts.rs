//! The accounts that the services of the Linux package run as.

use super::{Sourced, Written, settings};
use crate::host::Host;

/// A service, by what its account does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// GitLab itself: Rails, Gitaly, Workhorse.
    Gitlab,
    /// The container registry.
    Registry,
}

impl Service {
    /// The section in which `username` names the account.
    fn section(self) -> &'static str {
        match self {
            Self::Gitlab => "user",
            Self::Registry => "registry",
        }
    }

    /// The account's name in the Linux package and in the guide to a self-compiled installation.
    pub fn usual_account(self) -> &'static str {
        match self {
            Self::Gitlab => "git",
            Self::Registry => "registry",
        }
    }
}

/// The name of GitLab's group, or the usual one where nobody can tell. It does not follow the name
/// of the account.
pub async fn gitlab_group(host: &Host) -> String {
    match settings(host).await.ok().flatten().map(|it| it.text(&["user", "group"])) {
        Some(Written::Known(group)) if !group.value.is_empty() => group.value,
        _ => Service::Gitlab.usual_account().to_owned(),
    }
}

/// The name of the account that a service runs as: what `gitlab.rb` says, or the usual one. The
/// text of an untold one says why it is.
pub async fn written(host: &Host, service: Service) -> Written<String> {
    let Ok(Some(settings)) = settings(host).await else { return Written::Unset };
    match settings.text(&[service.section(), "username"]) {
        Written::Known(name) if name.value.is_empty() => Written::Unset,
        written => written,
    }
}

/// The same, and the usual one where nobody can tell.
pub async fn name(host: &Host, service: Service) -> String {
    match written(host, service).await {
        Written::Known(Sourced { value, .. }) => value,
        Written::Unset | Written::Untold(_) => service.usual_account().to_owned(),
    }
}
