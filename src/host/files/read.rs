//! Question: what does a file of a known format say?

use std::marker::PhantomData;

use camino::Utf8PathBuf;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::File;
use crate::host::{Machine, Question, Unknown};
use crate::parse::Malformed;

/// A format that gldoctor reads: what becomes of the bytes, without anything secret.
pub trait Format: Serialize + DeserializeOwned + Send + 'static {
    /// The name in recordings; never reused for something else.
    const KIND: &'static str;

    /// The largest file that is read, in bytes. Configuration written by hand or by a package is
    /// far smaller.
    const LIMIT: u64 = 16 << 20;

    /// Reads the file's content. The error never holds any of it.
    fn parse(content: &[u8]) -> Result<Self, Malformed>;
}

/// Asks for a file of the format `F`.
#[derive(Debug)]
pub struct ReadFile<F> {
    path: Utf8PathBuf,
    format: PhantomData<fn() -> F>,
}

impl<F> ReadFile<F> {
    /// The file at `path`, absolute.
    pub fn at(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into(), format: PhantomData }
    }
}

impl<F> Serialize for ReadFile<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = to.serialize_struct("ReadFile", 1)?;
        fields.serialize_field("path", &self.path)?;
        fields.end()
    }
}

impl<F: Format> Question for ReadFile<F> {
    type Answer = File<F>;

    const KIND: &'static str = F::KIND;

    fn label(&self) -> String {
        format!("file {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<File<F>, Unknown> {
        machine.read(&self.path, F::LIMIT, F::parse).await
    }
}
