//! The repository's files as the checks see them, and how Rust text is taken apart. Must not know any rule.

use std::path::{Path, PathBuf};

/// A file of the repository.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    /// Whether it belongs to a shipped library: no program, no test, no bench, no example.
    pub(super) fn is_library(&self) -> bool {
        let rooms = ["actors/src/", "actors/policy/src/", "supervision/src/"];
        self.is_rust() && rooms.iter().any(|room| self.path.starts_with(room)) && !self.is_test()
    }

    /// Whether it exists for tests alone.
    pub(super) fn is_test(&self) -> bool {
        let stem = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| part == "tests")
            || matches!(stem, "tests.rs" | "testing.rs" | "model.rs")
            || self.path.starts_with("benches/")
    }

    /// The lines before the file's own tests, numbered from 1.
    pub(super) fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let own_tests = |line: &&str| line.starts_with("#[cfg(test)]");
        let mut lines = self.text.lines().peekable();
        let mut number = 0;
        std::iter::from_fn(move || {
            let line = lines.next()?;
            number += 1;
            // `mod tests;` in a file of its own may stand among other modules.
            let inline = lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            (!(own_tests(&line) && inline)).then_some((number, line))
        })
    }

    /// The shipped lines without comments.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line| without_comment(line);
        self.shipped_lines()
            .map(move |(number, line)| (number, code(line)))
            .filter(|(_, line)| !line.is_empty())
    }
}

/// Whether the name ends in `.extension`.
pub(super) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.find(" // ").map_or(line, |at| &line[..at])
}

/// The words of a line of code: identifiers, keywords, numbers.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Where the repository is.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository but what tools make.
pub(super) fn repository() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut directories = vec![root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.extend(is_ours(&path).then_some(path));
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                sources.push(Source { path: name, text });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn is_ours(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    !(matches!(&*name, "target" | ".git" | "proptest-regressions") || directory == target_directory())
}

fn target_directory() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

#[test]
fn comments_and_own_tests_are_no_code() {
    let text = "//! x\nuse a; // b\n#[cfg(test)]\nmod far;\nlet url = 1;\n#[cfg(test)]\nmod tests {\n}\n";
    let source = Source::new("actors/src/x.rs", text);
    let code: Vec<_> = source.code_lines().collect();
    assert_eq!(code, [(2, "use a;"), (3, "#[cfg(test)]"), (4, "mod far;"), (5, "let url = 1;")]);
}
