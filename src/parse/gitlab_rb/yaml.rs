//! YAML inside `gitlab.rb`, as in `YAML.load <<-EOS`.

use yaml_serde::Value as Yaml;

use super::raw::Raw;
use crate::parse::value::Why;

/// The value of a YAML document.
///
/// Ruby reads YAML 1.1, which takes `yes`, `0644` and `12:30` for something else than this parser
/// does. Plain scalars that could differ are unknown.
pub(super) fn load(text: &str) -> Raw {
    yaml_serde::from_str::<Yaml>(text).map_or(Raw::Unknown(Why::Syntax), convert)
}

fn convert(yaml: Yaml) -> Raw {
    match yaml {
        Yaml::Null => Raw::Nil,
        Yaml::Bool(value) => Raw::Bool(value),
        Yaml::Number(number) => number.as_i64().map_or(Raw::Unknown(Why::Expression), Raw::Integer),
        Yaml::String(text) if is_text_to_all(&text) => Raw::Text(text),
        Yaml::Sequence(elements) => Raw::Array(elements.into_iter().map(convert).collect()),
        Yaml::Mapping(entries) => {
            let pairs = entries.into_iter().map(|(key, value)| match convert(key).into_key() {
                // A merge key takes in another mapping.
                Ok(key) if key == "<<" => Err(Why::Expression),
                key => Ok((key?, convert(value))),
            });
            pairs.collect::<Result<_, Why>>().map_or_else(Raw::Unknown, Raw::Hash)
        }
        Yaml::String(_) | Yaml::Tagged(_) => Raw::Unknown(Why::Expression),
    }
}

/// Whether no version of YAML takes the text for a number, a date or a truth value.
fn is_text_to_all(text: &str) -> bool {
    let is_switch =
        ["y", "n", "yes", "no", "on", "off"].iter().any(|switch| switch.eq_ignore_ascii_case(text));
    // A leading colon makes a symbol, which is as good as a text except for the colon.
    let starts = text.starts_with(|first: char| first.is_alphabetic() || "%/(_".contains(first));
    starts && !is_switch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_versions_agree_on_is_known() {
        let Raw::Hash(entries) = load("a: x\nb: yes\nc: 5\nd: 0o17\ne: [1, two]\nf: '0644'\n")
        else {
            panic!("not a hash");
        };
        assert!(entries["a"] == Raw::Text("x".to_owned()));
        assert!(entries["b"] == Raw::Unknown(Why::Expression));
        assert!(entries["c"] == Raw::Integer(5));
        assert!(entries["e"] == Raw::Array(vec![Raw::Integer(1), Raw::Text("two".to_owned())]));
        assert!(entries["f"] == Raw::Unknown(Why::Expression));
        assert!(load(": : :\n\t-") == Raw::Unknown(Why::Syntax));
    }
}
