//! The environment variables that override `config.yml`.
//!
//! The registry derives their names from the fields of its own structures: `REGISTRY_`, then the
//! field names in upper case with `_` between, so that no key with a `_` of its own is within
//! reach. Values are parsed as YAML. Less specific names apply first, which is the order of a
//! sorted map (Distribution, `configuration/parser.go`).
//!
//! Variables change the document before anything is read from it: whatever is read is in effect.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fields::{Field, ROOT, Shape};
use crate::parse::node::{Builder, Mapping, Node};
use crate::parse::overlay::Overlay;
use crate::parse::yaml::{Document, value_of_variable};

/// What the environment of a registry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Values by name. Others than those that begin with `REGISTRY_` do not matter.
    pub values: BTreeMap<String, String>,
    /// Whether the registry lets a number in a name stand for the element of a list: GitLab's and
    /// Distribution 3 do, Distribution 2 ignores such names.
    pub reach_into_lists: bool,
}

/// What the environment changed, by the names of the variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Variables whose effect is in the settings.
    pub applied: Vec<String>,
    /// Other variables that begin with `REGISTRY_`. The registry may use them or ignore them
    /// with a warning: Kubernetes adds such names for a service called `registry`.
    pub not_interpreted: Vec<String>,
    /// Variables of settings whose values are not YAML. The registry does not start with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<String>,
}

/// Lays the environment over the document, as the registry does when it starts.
pub(super) fn apply(document: &mut Document, variables: &Variables) -> Environment {
    let builder = Builder::yaml();
    let (root, marks) = document.overlay();
    let mut environment = Environment::default();
    for (variable, text) in &variables.values {
        let Some(name) = variable.strip_prefix("REGISTRY_") else { continue };
        let path: Vec<&str> = name.split('_').collect();
        let value = value_of_variable(&builder, text).ok();
        let change = Change { variable, text, value, variables, is_malformed: Cell::new(false) };
        let applied = change.overwrite(root, marks, ROOT, &path);
        let list = match (applied, change.is_malformed.get()) {
            (true, _) => &mut environment.applied,
            (false, true) => &mut environment.malformed,
            (false, false) => &mut environment.not_interpreted,
        };
        list.push(variable.clone());
    }
    environment
}

/// One variable.
struct Change<'a> {
    variable: &'a str,
    text: &'a str,
    /// `None` if the text is not YAML.
    value: Option<Node>,
    variables: &'a Variables,
    /// Whether there is no value for a setting.
    is_malformed: Cell<bool>,
}

impl Change<'_> {
    /// Puts the value where the path leads. False if it leads nowhere; nothing is changed then.
    fn overwrite(&self, node: &mut Node, marks: &mut Overlay, shape: Shape, path: &[&str]) -> bool {
        let Some((part, rest)) = path.split_first() else {
            let Some(value) = &self.value else {
                self.is_malformed.set(true);
                return false;
            };
            *node = self.for_shape(value, shape);
            marks.replace(self.variable);
            return true;
        };
        match shape {
            Shape::Whole | Shape::Text => false,
            Shape::Fields(fields) => Field::find(fields, part).is_some_and(|field| {
                self.below(node, marks, |mapping, marks| {
                    self.entry(mapping, marks, field.key, field.shape, rest)
                })
            }),
            Shape::Keys(shape) => self.below(node, marks, |mapping, marks| {
                self.entry(mapping, marks, &key_for(mapping, part, rest), *shape, rest)
            }),
            Shape::Choice(shape) => {
                if let Some(name) = node.raw() {
                    let entries = [(name, Node::Mapping(Mapping::default()))].into();
                    *node = Node::Mapping(Mapping { entries, ..Mapping::default() });
                }
                self.overwrite(node, marks, Shape::Keys(shape), path)
            }
            Shape::List(shape) => self.element(node, marks, *shape, part, rest),
            Shape::Any => self.opaque(node, marks),
        }
    }

    /// The value as a field of this type takes it. Secrets of digits are no numbers.
    fn for_shape(&self, value: &Node, shape: Shape) -> Node {
        match (shape, value) {
            (Shape::Text, Node::Bool(_) | Node::Integer(_) | Node::Number(_)) => {
                Node::Text(self.text.trim().to_owned())
            }
            (_, value) => value.clone(),
        }
    }

    /// Changes the mapping here, or the one that comes of it where there is nothing yet.
    fn below(
        &self,
        node: &mut Node,
        marks: &mut Overlay,
        change: impl FnOnce(&mut Mapping, &mut Overlay) -> bool,
    ) -> bool {
        match node {
            Node::Mapping(mapping) => change(mapping, marks),
            Node::Null => {
                let (mut mapping, mut new) = (Mapping::default(), Overlay::default());
                new.replace(self.variable);
                let changed = change(&mut mapping, &mut new);
                if changed {
                    (*node, *marks) = (Node::Mapping(mapping), new);
                }
                changed
            }
            // A value of the wrong type, with which the registry does not come as far as this.
            _ => false,
        }
    }

    fn entry(
        &self,
        mapping: &mut Mapping,
        marks: &mut Overlay,
        key: &str,
        shape: Shape,
        rest: &[&str],
    ) -> bool {
        let is_new = !mapping.entries.contains_key(key);
        let node = mapping.entries.entry(key.to_owned()).or_default();
        let changed = self.overwrite(node, marks.enter(key), shape, rest);
        if is_new && !changed {
            mapping.entries.remove(key);
        }
        changed
    }

    /// An element of a list, or the one after the last.
    fn element(
        &self,
        node: &mut Node,
        marks: &mut Overlay,
        shape: Shape,
        part: &str,
        rest: &[&str],
    ) -> bool {
        let Some(number) = part.parse::<usize>().ok().filter(|_| {
            // The registry does not start where a name ends with the number.
            self.variables.reach_into_lists && !rest.is_empty()
        }) else {
            return false;
        };
        let mut list = match node {
            Node::List(list) => std::mem::take(list),
            Node::Null => Vec::new(),
            _ => return false,
        };
        let is_new = number == list.len();
        if is_new {
            list.push(Node::Null);
        }
        let mark = marks.enter(&number.to_string());
        let changed = list.get_mut(number).is_some_and(|it| self.overwrite(it, mark, shape, rest));
        if is_new && !changed {
            list.pop();
        }
        if changed || !matches!(node, Node::Null) {
            *node = Node::List(list);
        }
        changed
    }

    /// Variables do not reach so deep (measured with Distribution 2.8.2): what the file says stays
    /// as it is, and where it says nothing, something comes of it that the registry does not take
    /// for the mapping it wants there.
    fn opaque(&self, node: &mut Node, marks: &mut Overlay) -> bool {
        let nothing_yet = *node == Node::Null;
        if nothing_yet {
            *node = Node::Text(String::new());
            marks.replace(self.variable);
        }
        nothing_yet
    }
}

/// The key in a mapping with free keys: one that is there if the name goes on behind it, whatever
/// its case, and else the name in lower case.
fn key_for(mapping: &Mapping, part: &str, rest: &[&str]) -> String {
    let there = mapping.entries.iter().find(|(key, value)| {
        !rest.is_empty() && **value != Node::Null && key.to_uppercase() == part
    });
    there.map_or_else(|| part.to_lowercase(), |(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use super::super::{Endpoint, RegistryYml, read_with};
    use super::Variables;
    use crate::parse::setting::{Located, Scalar};

    const ENDPOINTS: &str = "notifications:\n  endpoints:\n  - {name: a, url: 'https://a/'}\n";

    fn overlaid(file: &str, pairs: &[(&str, &str)], reach_into_lists: bool) -> RegistryYml {
        let owned =
            |(name, value): &(&str, &str)| (format!("REGISTRY_{name}"), (*value).to_owned());
        let variables = Variables { values: pairs.iter().map(owned).collect(), reach_into_lists };
        read_with(file.as_bytes(), &variables).unwrap()
    }

    fn urls(config: &RegistryYml) -> Vec<String> {
        let url = |it: &Endpoint| it.url.as_ref().map(|url| url.value.to_string());
        config.notifications.iter().filter_map(url).collect()
    }

    #[test]
    fn elements_of_lists_are_reached_where_the_registry_lets_them() {
        let first = [("NOTIFICATIONS_ENDPOINTS_0_URL", "https://b/")];
        let config = overlaid(ENDPOINTS, &first, true);
        assert_eq!(urls(&config), ["https://b/"]);
        let [endpoint] = config.notifications.as_slice() else { panic!("{config:?}") };
        assert_eq!((endpoint.line, &endpoint.variable), (Some(3), &None));
        assert_eq!(endpoint.name.as_ref().unwrap().line, Some(3));
        let variable = Some("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL".to_owned());
        assert_eq!(endpoint.url.as_ref().unwrap().variable, variable);

        let config = overlaid(ENDPOINTS, &first, false);
        assert_eq!(urls(&config), ["https://a/"]);
        assert_eq!(config.environment.not_interpreted.len(), 1);
        let second = [("NOTIFICATIONS_ENDPOINTS_1_URL", "https://b/")];
        assert_eq!(urls(&overlaid(ENDPOINTS, &second, true)), ["https://a/", "https://b/"]);
        for nowhere in ["2_URL", "-1_URL", "x_URL", "1_NONE", "0", "1", "99999999999999999999_URL"]
        {
            let name = format!("NOTIFICATIONS_ENDPOINTS_{nowhere}");
            let config = overlaid(ENDPOINTS, &[(&name, "https://b/")], true);
            assert_eq!(urls(&config), ["https://a/"], "{nowhere}");
            assert_eq!(config.environment.applied, [""; 0], "{nowhere}");
        }
    }

    #[test]
    fn the_less_specific_name_comes_first() {
        let both = [
            ("NOTIFICATIONS", "{endpoints: [{url: 'https://c/'}, {url: 'https://d/'}]}"),
            ("NOTIFICATIONS_ENDPOINTS_1_URL", "https://e/"),
        ];
        let config = overlaid(ENDPOINTS, &both, true);
        assert_eq!(urls(&config), ["https://c/", "https://e/"]);
        let whole = Some("REGISTRY_NOTIFICATIONS".to_owned());
        assert_eq!(config.notifications[1].variable, whole);
    }

    #[test]
    fn names_are_those_of_fields_and_not_of_keys() {
        let file = "health: {file: [{file: /a}]}";
        let by_key = [("HEALTH_FILE", "[{file: /b}]")];
        assert_eq!(overlaid(file, &by_key, true).health.files[0].value, "/a");
        let by_field = [("HEALTH_FILECHECKERS", "[{file: /b}]")];
        let found = &overlaid(file, &by_field, true).health.files[0];
        assert_eq!(found, &Located::from_variable("REGISTRY_HEALTH_FILECHECKERS", "/b".to_owned()));
        for unknown in ["http_addr", "HTTP_", "HTTP", "HTTP_ADDR_", "", "_HTTP_ADDR", "HTTP__ADDR"]
        {
            let config = overlaid("http: {addr: a}", &[(unknown, "b")], true);
            let addr = config.http.addr.map(|it| it.value);
            let whole = unknown == "HTTP";
            let expected = (!whole).then(|| Scalar::Text("a".to_owned()));
            assert_eq!(addr, expected, "{unknown}");
            assert_eq!(config.mistyped.len(), usize::from(whole), "{unknown}");
        }
    }

    #[test]
    fn what_is_in_a_variable_has_the_types_that_it_is_written_with() {
        let pairs = [
            ("HTTP_RELATIVEURLS", "yes"),
            ("HTTP_SECRET", "12345678901234567890123456789012"),
            ("HTTP_ADDR", "5000"),
            ("HTTP_HOST", ""),
            ("LOG", "{level: 'yes', formatter: yes, output: [a]}"),
        ];
        let config = overlaid("http: {host: 'https://h'}", &pairs, true);
        assert_eq!(config.http.relativeurls.unwrap().value, Scalar::Bool(true));
        assert_eq!(config.http.addr.unwrap().value, Scalar::Text("5000".to_owned()));
        assert_eq!(config.http.host, None);
        assert!(config.http.secret.unwrap().value.set);
        assert_eq!(config.log.level.unwrap().value, Scalar::Text("yes".to_owned()));
        assert_eq!(config.log.formatter.unwrap().value, Scalar::Bool(true));
        assert_eq!(config.log.output.unwrap().value, Scalar::List);
    }

    #[test]
    fn a_lone_name_is_a_section_that_can_be_added_to() {
        let pairs =
            [("STORAGE_DELETE_ENABLED", "true"), ("STORAGE_FILESYSTEM_ROOTDIRECTORY", "/b")];
        let config = overlaid("storage: filesystem\n", &pairs, true);
        let [driver] = config.storage.drivers.as_slice() else { panic!("{:?}", config.storage) };
        assert_eq!((driver.name.as_str(), driver.line), ("filesystem", Some(1)));
        assert_eq!(driver.text("rootdirectory").as_deref(), Some("/b"));
        assert_eq!(config.storage.delete_enabled.unwrap().value, Scalar::Bool(true));
    }

    #[test]
    fn a_value_that_is_not_yaml_matters_where_a_setting_is_meant() {
        let pairs = [("HTTP_ADDR", "'a"), ("PORT", "'b")];
        let config = overlaid("http: {addr: a}", &pairs, true);
        assert_eq!(config.environment.malformed, ["REGISTRY_HTTP_ADDR"]);
        assert_eq!(config.environment.not_interpreted, ["REGISTRY_PORT"]);
        assert_eq!(config.http.addr.unwrap().value, Scalar::Text("a".to_owned()));
    }

    #[test]
    fn no_secret_of_a_variable_is_kept() {
        let yaml = "{password: hush, url: 'https://u:hush@h/?hush', token: hush, x: [hush]}";
        for name in [
            "HTTP_SECRET",
            "HTTP_HOST",
            "HTTP_HEADERS_COOKIE",
            "STORAGE",
            "STORAGE_S3",
            "STORAGE_S3_SECRETKEY",
            "STORAGE_GCS_CREDENTIALS_PRIVATEKEY",
            "STORAGE_MAINTENANCE_READONLY",
            "AUTH",
            "AUTH_TOKEN",
            "REDIS",
            "REDIS_PASSWORD",
            "DATABASE",
            "DATABASE_PASSWORD",
            "NOTIFICATIONS",
            "NOTIFICATIONS_ENDPOINTS",
            "NOTIFICATIONS_ENDPOINTS_0_HEADERS",
            "NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION",
            "PROXY",
            "PROXY_REMOTEURL",
            "PROXY_PASSWORD",
            "REPORTING_SENTRY_DSN",
            "LOG_HOOKS",
            "HEALTH_HTTPCHECKERS_0_HEADERS",
        ] {
            let list = format!("[{yaml}]");
            for value in [yaml, &list, "https://u:hush@h/?hush", "'hush: [unbalanced"] {
                let config = overlaid(ENDPOINTS, &[(name, value)], true);
                let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
                assert!(!shown.contains("hush"), "{name}={value}: {shown}");
            }
        }
    }
}
