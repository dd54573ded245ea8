//! A file that is put aside when it is large: `FILE` is written, `FILE.1` came before it, and so on.
//!
//! Knows nothing of what is written; a piece is never torn over two files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    /// Bytes of one file.
    pub(crate) file_bytes: u64,
    /// Files that were put aside.
    pub(crate) files: u32,
}

/// The file that is written now.
#[derive(Debug)]
pub(crate) struct Rotating {
    path: PathBuf,
    keeping: Keeping,
    file: File,
    bytes: u64,
}

impl Rotating {
    /// Goes on with the file, or makes it, for this user only.
    pub(crate) fn open(path: &Path, keeping: Keeping) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = appended_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), keeping, file, bytes })
    }

    /// Where what was put aside so many files ago is.
    fn aside(&self, ago: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{ago}"));
        name.into()
    }

    fn put_aside(&mut self) -> io::Result<()> {
        for ago in (1..self.keeping.files).rev() {
            match fs::rename(self.aside(ago), self.aside(ago + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.keeping.files {
            0 => fs::remove_file(&self.path)?,
            _ => fs::rename(&self.path, self.aside(1))?,
        }
        (self.file, self.bytes) = (appended_to(&self.path)?, 0);
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + piece.len() as u64 > self.keeping.file_bytes {
            // What cannot be put aside grows on: a long log is better than none.
            let _ = self.put_aside();
        }
        self.file.write_all(piece)?;
        self.bytes += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn appended_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let mut texts: Vec<_> = fs::read_dir(directory)
            .expect("it is there")
            .map(|entry| entry.expect("it can be read"))
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).expect("text");
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        texts.sort();
        texts
    }

    fn written(files: u32, pieces: &[&str]) -> Vec<(String, String)> {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("logs/crabd.log");
        let mut rotating = Rotating::open(&path, Keeping { file_bytes: 10, files }).expect("it is made");
        pieces.iter().for_each(|piece| rotating.write_all(piece.as_bytes()).expect("it is written"));
        texts(path.parent().expect("a directory"))
    }

    fn expected(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_file_that_would_be_too_large_is_put_aside_whole_and_the_oldest_goes() {
        let pieces =
            ["one\n", "two\n", "three\n", "four\n", "five\n", "a long one that fits nowhere\n", "six\n"];
        let all = [
            ("crabd.log", "six\n"),
            ("crabd.log.1", "a long one that fits nowhere\n"),
            ("crabd.log.2", "four\nfive\n"),
        ];
        assert_eq!(written(2, &pieces), expected(&all));
        assert_eq!(written(0, &pieces), expected(&all[..1]));
        assert_eq!(written(2, &pieces[..2]), expected(&[("crabd.log", "one\ntwo\n")]));
    }

    #[test]
    fn what_was_there_is_gone_on_with_and_is_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("crabd.log");
        for piece in ["one\n", "two\n", "three\n"] {
            let mut rotating = Rotating::open(&path, Keeping { file_bytes: 10, files: 1 }).expect("it opens");
            rotating.write_all(piece.as_bytes()).expect("it is written");
        }
        let all = [("crabd.log", "three\n"), ("crabd.log.1", "one\ntwo\n")];
        assert_eq!(texts(directory.path()), expected(&all));
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
}
