//! `exec --report`: what a command says of itself comes to a file here, with its output.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use actors::worker::report::REPORT_LIMIT_BYTES;

/// The file. It is made when there is something to write: most say nothing.
#[derive(Debug)]
pub(crate) struct Report {
    to: PathBuf,
    file: Option<File>,
    written: u64,
}

impl Report {
    pub(crate) fn new(to: PathBuf) -> Self {
        Self { to, file: None, written: 0 }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(&self.to)?),
        };
        file.write_all(bytes)
    }
}

impl Write for Report {
    /// More than anybody reads is dropped, and what cannot be written: the command goes on without.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written <= REPORT_LIMIT_BYTES {
            self.written = match self.append(bytes) {
                Ok(()) => self.written + bytes.len() as u64,
                Err(_) => u64::MAX,
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_file_until_something_is_said_and_no_more_than_anybody_reads() {
        let directory = tempfile::tempdir().expect("a directory");
        let to = directory.path().join("report");
        let mut report = Report::new(to.clone());
        assert!(!to.exists());
        let piece = vec![b'x'; 4096];
        for _ in 0..100 {
            report.write_all(&piece).expect("it is taken");
        }
        let length = std::fs::metadata(&to).expect("it is there").len();
        assert!((REPORT_LIMIT_BYTES + 1..=REPORT_LIMIT_BYTES + 4096).contains(&length), "{length}");
    }
}
