//! What the findings on storage settings have in common.

use crate::checks::registry::keeper::Keeper;
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::install::storage::StorageSettings;
use crate::parse::registry_yml::Driver;
use crate::parse::setting::{Located, Scalar};

/// The settings that are judged.
pub(in crate::checks::registry) struct Subject<'a> {
    pub(in crate::checks::registry) settings: &'a StorageSettings,
    pub(in crate::checks::registry) keeper: Keeper,
    /// The registry that they belong to, as `host:port`, where that is known.
    pub(in crate::checks::registry) service: Option<String>,
}

impl Subject<'_> {
    pub(in crate::checks::registry) fn finding(
        &self,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(severity, code, self.settings.path.as_str(), message)
            .docs(docs::REGISTRY_STORAGE)
    }

    /// A setting that keeps the registry from starting; `words` are what it says then.
    pub(in crate::checks::registry) fn startup(
        &self,
        code: &'static str,
        message: impl Into<String>,
        words: impl ToString,
    ) -> Finding {
        let finding = self.finding(Severity::Error, code, message);
        let finding = finding.seen("the registry says", words);
        match &self.service {
            Some(service) => finding.explains(Cause::Startup(service.clone())),
            None => finding,
        }
    }

    /// A setting, with its value and its place.
    pub(in crate::checks::registry) fn shown(
        &self,
        path: &[&str],
        value: &Located<Scalar>,
    ) -> Evidence {
        self.settings.source(value).evidence(self.settings.spelled(path), &value.value)
    }

    /// The place of something of which there is no value to show.
    pub(in crate::checks::registry) fn placed<T>(
        &self,
        path: &[&str],
        place: &Located<T>,
        value: &str,
    ) -> Evidence {
        self.settings.source(place).evidence(self.settings.spelled(path), value)
    }

    /// The place of the whole section.
    pub(in crate::checks::registry) fn section(&self) -> Evidence {
        let section = Located::at(self.settings.storage.line, ());
        self.settings.source(&section).evidence(self.settings.spelled(&[]), "no driver in it")
    }

    /// The place of a driver.
    pub(in crate::checks::registry) fn driver(&self, driver: &Driver) -> Evidence {
        self.settings.source(&driver.located(())).evidence("driver", &driver.name)
    }

    /// A setting's name as an administrator writes it, whatever file the registry reads.
    pub(in crate::checks::registry) fn spelled_where_written(&self, path: &[&str]) -> String {
        match self.keeper {
            Keeper::Systemd => [&["storage"], path].concat().join("."),
            Keeper::Package | Keeper::Elsewhere => {
                crate::install::spelled(&[&["registry", "storage"], path].concat())
            }
        }
    }

    /// What to write; `rb` as it stands in `gitlab.rb`, `yml` as in `config.yml`. `why` is a clause.
    pub(in crate::checks::registry) fn write(
        &self,
        finding: Finding,
        why: &str,
        path: &[&str],
        value: &str,
    ) -> Finding {
        let rb = format!(
            "{} = {value}",
            crate::install::spelled(&[&["registry", "storage"], path].concat())
        );
        let yml = format!("{}: {value}", [&["storage"], path].concat().join("."));
        match self.settings.variable(path) {
            Some(variable) => self.keeper.unset_variable(finding, &variable),
            None => self.keeper.configure(finding, why, &rb, &yml),
        }
    }

    /// What to take out.
    pub(in crate::checks::registry) fn remove(&self, finding: Finding, path: &[&str]) -> Finding {
        let rb = crate::install::spelled(&[&["registry", "storage"], path].concat());
        let yml = [&["storage"], path].concat().join(".");
        match self.settings.variable(path) {
            Some(variable) => self.keeper.unset_variable(finding, &variable),
            None => self.keeper.unset(finding, &rb, &yml),
        }
    }
}
