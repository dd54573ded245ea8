//! The records of a directory of the log, or a copy of one, read and never changed: it needs no daemon and
//! disturbs none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use policy::event::Record;

use crate::clock::Clock;
use crate::console::fault::{Fault, Sort};
use crate::console::past::RECORDS_LIMIT;
use crate::log::disk::system::names;
use crate::log::disk::{Disk, DiskFile, Durability};
use crate::log::{Log, LogLimits};

/// Records that are read at once.
const PAGE: usize = 4096;
/// Bytes of the log that are read at once.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The records in `directory`: a log, a scheduler's directory, or a data directory.
///
/// # Errors
/// It holds no log, a damaged one, or too much.
pub fn open(directory: &Path) -> Result<Vec<Record>, Fault> {
    let refused = |text: String| Fault::of(Sort::Refused, text);
    let places = [directory.join("scheduler/log"), directory.join("log"), directory.to_owned()];
    let Some(place) = places.into_iter().find(|place| place.is_dir()) else {
        return Err(Fault::of(Sort::NotFound, format!("{} is no directory", directory.display())));
    };
    let disk = Arc::new(Copy { directory: place.clone(), written: Mutex::default() });
    let log = Log::open_driven(disk, LogLimits::default(), Clock::system())
        .map_err(|why| refused(why.to_string()))?;
    let mut records = Vec::new();
    let mut next = log.opening().first_number;
    while next <= log.durable() {
        let page = log.records_from(next, PAGE, PAGE_BYTES).map_err(|why| refused(why.to_string()))?;
        let Some((_, last)) = page.last() else { break };
        next = last.number + 1;
        records.extend(page.into_iter().map(|(_, record)| record));
        if records.len() > RECORDS_LIMIT {
            return Err(refused(format!("the log has more than {RECORDS_LIMIT} records")));
        }
    }
    if records.is_empty() {
        return Err(Fault::of(Sort::NotFound, format!("{} holds no event", place.display())));
    }
    Ok(records)
}

/// A directory of files that are only read. What opening a log writes, as to cut a torn tail off, stays in memory.
#[derive(Debug)]
struct Copy {
    directory: PathBuf,
    written: Mutex<BTreeMap<String, Arc<CopyFile>>>,
}

/// A file, or what would have become of it.
#[derive(Debug)]
struct CopyFile {
    file: File,
    changed: Mutex<Option<Vec<u8>>>,
}

impl Disk for Copy {
    fn list(&self) -> io::Result<Vec<String>> {
        names(&self.directory)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = written.get(name) {
            return Ok(Arc::clone(file) as Arc<dyn DiskFile>);
        }
        let file = Arc::new(CopyFile { file: File::open(self.path(name))?, changed: Mutex::default() });
        written.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_names(&self, _: Durability) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn release(&self) {}
}

impl CopyFile {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.is_none() {
            let length = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            self.file.read_exact_at(&mut bytes, 0)?;
            *changed = Some(bytes);
        }
        changed.as_mut().map_or(Ok(()), |bytes| {
            change(bytes);
            Ok(())
        })
    }
}

impl DiskFile for CopyFile {
    fn length(&self) -> io::Result<u64> {
        match &*self.changed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bytes) => Ok(bytes.len() as u64),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(bytes) = &*self.changed.lock().unwrap_or_else(PoisonError::into_inner) {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let read = into.len().min(bytes.len() - from);
            into[..read].copy_from_slice(&bytes[from..from + read]);
            return Ok(read);
        }
        let mut read = 0;
        while read < into.len() {
            match self.file.read_at(&mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, from: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.change(|bytes| {
            if bytes.len() < at + from.len() {
                bytes.resize(at + from.len(), 0);
            }
            bytes[at..at + from.len()].copy_from_slice(from);
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.change(|bytes| bytes.truncate(length))
    }

    fn sync(&self, _: Durability) -> io::Result<()> {
        Ok(())
    }
}
