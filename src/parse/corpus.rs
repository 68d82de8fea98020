//! Real files of the Linux package, for tests on a machine that has them.

use std::path::PathBuf;

/// A file of the corpus, or nothing (and a line that says so) where there is no corpus.
pub(crate) fn read(name: &str) -> Option<String> {
    let folder = std::env::var_os("GLDOCTOR_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus")),
        PathBuf::from,
    );
    let path = folder.join(name);
    #[expect(clippy::disallowed_methods, reason = "a test reads its own files")]
    let text = std::fs::read_to_string(&path);
    if let Err(error) = &text {
        eprintln!("SKIPPED: {}: {error}; set GLDOCTOR_CORPUS", path.display());
    }
    text.ok()
}

/// The template with its `@@NAME@@` filled in, with nothing where no value is given.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@@{name}@@"), value);
    }
    let mut filled = String::new();
    for (number, part) in text.split("@@").enumerate() {
        let placeholder =
            number % 2 == 1 && part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        filled.push_str(if placeholder { "" } else { part });
    }
    filled
}
