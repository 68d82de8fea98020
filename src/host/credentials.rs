//! The user name and password with which one login may be tried, and an access token shown to
//! GitLab's API.
//!
//! GitLab counts refused logins and shuts an address out after a few, so a run tries one login at
//! most, however many checks or addresses there are, and a refused one is never tried again. The
//! API is asked once, too, and no more once it has refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Machine, Question, Unknown};
use crate::parse::access_token;
use crate::parse::netrc::{Entry, Secret};

/// The user names and passwords that the administrator gave, in a file or in the environment.
#[derive(Default)]
pub struct Credentials {
    entries: Vec<Entry>,
}

/// What the one login of a run has come to.
#[derive(Default)]
pub(super) struct LoginOnce {
    tried: Once,
    token: Mutex<Option<Secret>>,
}

/// What a run does once at most, because a secret is sent for it.
#[derive(Default)]
pub(super) struct Once(AtomicBool);

/// Asks with which user name gldoctor may log in at a host.
#[derive(Debug, Serialize)]
pub struct CredentialsFor {
    host: String,
}

/// What there is for a host. The password is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// Nothing at all was given.
    Nothing,
    /// Something was given, but for other hosts.
    ForOthers,
    /// A user name.
    User {
        /// As it was given.
        name: String,
        /// Whether it was given for this very host, rather than for any.
        named: bool,
        /// Whether what was given with it looks like an access token for GitLab's API, rather than
        /// a password or a token for something else.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_access_token: bool,
    },
}

impl Credentials {
    /// What was given by host.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entry for a host: the first that names it, or else the first that names none.
    fn entry(&self, host: &str) -> Option<&Entry> {
        let named = |entry: &&Entry| {
            entry.machine.as_ref().is_some_and(|machine| machine.eq_ignore_ascii_case(host))
        };
        let mut any = self.entries.iter().filter(|entry| entry.machine.is_none());
        self.entries.iter().find(named).or_else(|| any.next())
    }

    /// What to send to a host.
    pub(super) fn login(&self, host: &str) -> Option<(&str, &Secret)> {
        self.entry(host).map(|entry| (entry.login.as_str(), &entry.password))
    }
}

impl Once {
    /// Whether the caller is the first, and so the only one.
    pub(super) fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
}

impl LoginOnce {
    /// Whether the caller is the first, and so the only one, to log in.
    pub(super) fn begin(&self) -> bool {
        self.tried.begin()
    }

    /// Keeps the token that a login has yielded.
    pub(super) fn keep(&self, token: Secret) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Uses the token, where a login has yielded one.
    pub(super) fn with_token<T>(&self, f: impl FnOnce(&str) -> T) -> Option<T> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().map(|token| f(token.reveal()))
    }
}

impl CredentialsFor {
    /// For a host name, without a port.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }
}

impl Question for CredentialsFor {
    type Answer = Given;

    const KIND: &'static str = "credentials";

    fn label(&self) -> String {
        format!("credentials for {}", self.host)
    }

    async fn look(&self, machine: &Machine) -> Result<Given, Unknown> {
        let credentials = machine.credentials();
        Ok(match credentials.entry(&self.host) {
            Some(entry) => Given::User {
                name: entry.login.clone(),
                named: entry.machine.is_some(),
                is_access_token: access_token::opens_api(entry.password.reveal()),
            },
            None if credentials.entries.is_empty() => Given::Nothing,
            None => Given::ForOthers,
        })
    }
}

#[test]
fn an_entry_that_names_the_host_goes_first() {
    let entry = |machine: Option<&str>, login: &str| Entry {
        machine: machine.map(str::to_owned),
        login: login.to_owned(),
        password: Secret::new("hush".to_owned()),
    };
    let all = Credentials::new(vec![entry(None, "any"), entry(Some("Git.test"), "root")]);
    assert_eq!(all.login("git.test").unwrap().0, "root");
    assert_eq!(all.login("other").unwrap().0, "any");
    let named = Credentials::new(vec![entry(Some("git.test"), "root")]);
    assert!(named.login("other").is_none());
}

#[test]
fn nobody_logs_in_twice() {
    let once = LoginOnce::default();
    assert!(once.begin() && !once.begin());
    assert_eq!(once.with_token(str::len), None);
    once.keep(Secret::new("abc".to_owned()));
    assert_eq!(once.with_token(str::len), Some(3));
}
