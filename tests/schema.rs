//! The report's JSON schema is the one in `schema/report.v1.json`, and real reports fit it.
//!
//! `SNAPSHOTS=overwrite cargo test --all-features --test schema` writes it anew. Scripts of others
//! rely on it: version 1 may gain fields, and loses none.

#![cfg(feature = "schema")]
use gldoctor::report::Report;
use snapbox::{Assert, Data};

#[test]
fn the_schema_is_the_one_that_the_types_have() {
    let schema = schemars::schema_for!(Report);
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report.v1.json");
    let expected = Data::read_from(path.as_ref(), None);
    Assert::new().action_env("SNAPSHOTS").eq(text, expected.raw());
}
