//! `proto/model/expected.toml`: what each model is expected to show.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::output::Verdict;

/// All models, in the order in which they run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectations {
    model: Vec<Model>,
}

/// One file and its queries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    /// The model, a file beside `expected.toml`.
    pub(super) file: String,
    /// What is read before it, in this order.
    pub(super) libs: Vec<String>,
    /// It takes minutes: run only by name or with `--all`.
    #[serde(default)]
    pub(super) slow: bool,
    /// A name and a verdict for each query, in the order of the queries.
    pub(super) results: Vec<(String, Verdict)>,
}

impl Expectations {
    /// Reads `expected.toml` in `folder`.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("expected.toml");
        let text = fs::read_to_string(path).context("cannot read proto/model/expected.toml")?;
        let expectations: Self =
            toml::from_str(&text).context("cannot understand proto/model/expected.toml")?;
        if let Some(model) = expectations.models().find(|model| model.results.is_empty()) {
            bail!("nothing is expected of {}", model.file);
        }
        Ok(expectations)
    }

    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        self.model.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{folder, source};
    use super::*;

    fn names(extension: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(folder()).expect("proto/model is there");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == extension))
            .collect()
    }

    fn text(name: &str) -> String {
        fs::read_to_string(folder().join(name)).expect("the file can be read")
    }

    #[test]
    fn every_model_has_an_expectation_and_every_expectation_a_model() {
        let expectations = Expectations::read(&folder()).expect("it can be read");
        let files: Vec<_> = expectations.models().map(|m| m.file.clone()).collect();
        let distinct: BTreeSet<_> = files.iter().cloned().collect();
        assert_eq!(files.len(), distinct.len(), "a model is listed twice");
        assert_eq!(distinct, names("pv"));
        let libs: BTreeSet<_> = expectations.models().flat_map(|m| m.libs.clone()).collect();
        assert_eq!(libs, names("pvl"));
    }

    #[test]
    fn every_query_has_an_expected_result_of_its_own_name() {
        let expectations = Expectations::read(&folder()).expect("it can be read");
        for model in expectations.models() {
            let libs: Vec<_> = model.libs.iter().map(|lib| text(lib)).collect();
            let queries = source::queries(&text(&model.file), &libs);
            assert_eq!(queries, model.results.len(), "{}", model.file);
            let distinct: BTreeSet<_> = model.results.iter().map(|(name, _)| name).collect();
            assert_eq!(distinct.len(), model.results.len(), "{}", model.file);
        }
    }

    #[test]
    fn every_model_says_what_it_shows_and_stands_in_the_readme() {
        let readme = text("README.md");
        let expectations = Expectations::read(&folder()).expect("it can be read");
        for model in expectations.models() {
            let file = &model.file;
            assert!(text(file).starts_with("(* "), "{file} has no header");
            assert!(
                readme.contains(&format!("`{file}`")),
                "{file} is not in README.md"
            );
        }
    }
}
