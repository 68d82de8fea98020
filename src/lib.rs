//! gldoctor finds out why an offline GitLab, its container registry, its Docker clients or its
//! runners do not work together. `host` looks, `checks` judge, `report` tells.

pub mod bundle;
pub mod checks;
pub mod cli;
pub mod examination;
#[expect(clippy::disallowed_methods, reason = "this is the one door to the machine")]
pub mod host;
pub mod install;
pub mod parse;
pub mod report;
pub mod trust;
