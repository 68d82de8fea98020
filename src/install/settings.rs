//! What the administrator wrote in `gitlab.rb`.

use camino::Utf8Path;

use super::{Endpoint, Source, Sourced};
use crate::host::files::GitlabRb;
use crate::host::{Host, Unknown};
use crate::parse::gitlab_rb::{self, Setting};
use crate::parse::value::Value;

/// Where the Linux package reads its settings.
pub const GITLAB_RB: &str = "/etc/gitlab/gitlab.rb";

/// The settings in `gitlab.rb`.
#[derive(Debug, Clone)]
pub struct Settings(gitlab_rb::Settings);

/// A setting of a certain type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// Nobody wrote it, or `nil`.
    Unset,
    /// Written, as this value.
    Known(Sourced<T>),
    /// Written, but what it comes to cannot be told from the file.
    Untold(Sourced<String>),
}

/// What `gitlab.rb` sets; `None` where there is no such file. A file that cannot be understood at
/// all is [`Unknown`], because nobody can tell what GitLab makes of it.
pub async fn settings(host: &Host) -> Result<Option<Settings>, Unknown> {
    let file = host.ask(GitlabRb { path: GITLAB_RB.into() }).await?;
    Ok(file.or_unknown(GITLAB_RB)?.map(Settings))
}

impl Settings {
    /// All that was read.
    pub fn all(&self) -> &gitlab_rb::Settings {
        &self.0
    }

    /// A text.
    pub fn text(&self, path: &[&str]) -> Written<String> {
        self.typed(path, |value| match value {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Empty => Some(String::new()),
            _ => None,
        })
    }

    /// Several texts, or a single one.
    pub fn texts(&self, path: &[&str]) -> Written<Vec<String>> {
        self.typed(path, |value| match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(values) => values.into_iter().map(text_of).collect(),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, path: &[&str]) -> Written<bool> {
        self.typed(path, |value| match value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// An `http` or `https` URL; an empty text counts as unset, as GitLab takes it.
    pub fn url(&self, path: &[&str]) -> Written<Endpoint> {
        match self.text(path) {
            Written::Unset => Written::Unset,
            Written::Untold(why) => Written::Untold(why),
            Written::Known(text) if text.value.trim().is_empty() => Written::Unset,
            Written::Known(text) => match Endpoint::parse(&text.value) {
                Ok(endpoint) => Written::Known(text.map(|_| endpoint)),
                Err(wrong) => Written::Untold(text.map(|_| wrong)),
            },
        }
    }

    fn typed<T>(&self, path: &[&str], read: impl Fn(Value) -> Option<T>) -> Written<T> {
        let name = spelled(path);
        match self.0.get(path) {
            Setting::Unset | Setting::Known { value: Value::Nil, .. } => Written::Unset,
            Setting::Known { value, source, .. } => {
                let place = place(&source);
                if let Some(value) = read(value) {
                    Written::Known(Sourced { value, source: place })
                } else {
                    let why = format!("{name} has an unexpected type");
                    Written::Untold(Sourced { value: why, source: place })
                }
            }
            Setting::Unknown { why, source } => {
                let why = format!("{name} cannot be told from the file: it is {}", why.as_str());
                Written::Untold(Sourced { value: why, source: place(&source) })
            }
        }
    }
}

impl<T> Written<T> {
    /// The value if it is written and known; an error if it is written but unknown.
    pub fn told(self) -> Result<Option<Sourced<T>>, Unknown> {
        match self {
            Self::Unset => Ok(None),
            Self::Known(value) => Ok(Some(value)),
            Self::Untold(why) => Err(Unknown::Unreadable(format!("{}: {}", why.source, why.value))),
        }
    }
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// `registry['debug_addr']`, as it stands in the file.
pub fn spelled(path: &[&str]) -> String {
    let (first, rest) = path.split_first().unwrap_or((&"", &[]));
    rest.iter().fold((*first).to_owned(), |name, key| format!("{name}['{key}']"))
}

fn place(source: &gitlab_rb::Source) -> Source {
    Source::File { path: Utf8Path::new(&source.file).to_owned(), line: Some(source.line) }
}

#[test]
fn settings_are_spelled_as_in_the_file() {
    assert_eq!(spelled(&["external_url"]), "external_url");
    assert_eq!(spelled(&["registry", "storage", "s3"]), "registry['storage']['s3']");
}
