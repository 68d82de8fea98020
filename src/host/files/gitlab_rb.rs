//! Question: what does `gitlab.rb` set?

use camino::Utf8PathBuf;
use serde::Serialize;

use super::{File, Format};
use crate::host::{Machine, Question, Unknown};
use crate::parse::gitlab_rb::{Files, Settings, evaluate};
use crate::parse::registry_yml::RegistryYml;

/// Asks what a `gitlab.rb` sets, with the files that it includes.
#[derive(Debug, Serialize)]
pub struct GitlabRb {
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// A file that includes one that includes one: nobody goes deeper.
const MAX_ROUNDS: usize = 8;

/// More included files than anybody has.
const MAX_FILES: usize = 100;

/// How much all included files together may hold, in bytes.
const MAX_INCLUDED: usize = 16 << 20;

impl Question for GitlabRb {
    type Answer = File<Settings>;

    const KIND: &'static str = "gitlab-rb";

    fn label(&self) -> String {
        format!("file {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<File<Settings>, Unknown> {
        let content = |path: Utf8PathBuf| async move {
            machine.read(&path, RegistryYml::LIMIT, |bytes| Ok(bytes.to_vec())).await
        };
        let main = match content(self.path.clone()).await? {
            File::Read(bytes) => bytes,
            File::Missing => return Ok(File::Missing),
            File::NotAFile(kind) => return Ok(File::NotAFile(kind)),
            File::TooLarge(size) => return Ok(File::TooLarge(size)),
            File::Malformed(malformed) => return Ok(File::Malformed(malformed)),
        };
        let mut files = Files::from([(self.path.clone(), Some(main))]);
        let mut room = MAX_INCLUDED;
        for _ in 0..MAX_ROUNDS {
            let settings = evaluated(machine, &self.path, &files).await?;
            let known = files.len();
            for path in &settings.unread {
                // What is too much, or cannot be read for another reason than absence, stays
                // unread, and with it unknown.
                if files.len() > MAX_FILES {
                    break;
                }
                match content(path.clone()).await {
                    Ok(File::Read(bytes)) if bytes.len() <= room => {
                        room -= bytes.len();
                        files.insert(path.clone(), Some(bytes));
                    }
                    Ok(File::Missing) => {
                        files.insert(path.clone(), None);
                    }
                    _ => {}
                }
            }
            if files.len() == known {
                return Ok(File::Read(settings));
            }
        }
        Ok(File::Read(evaluated(machine, &self.path, &files).await?))
    }
}

async fn evaluated(
    machine: &Machine,
    main: &Utf8PathBuf,
    files: &Files,
) -> Result<Settings, Unknown> {
    let (main, files) = (main.clone(), files.clone());
    machine.off_thread(move || Ok(evaluate(&main, &files))).await
}
