//! Files as they come from a machine: each is written beside where it will be, and has its name when it is whole and on disk.
//!
//! Nothing is written outside the directory, and through no link in it. Must not know how they come.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use policy::artifact::{Choice, Sort, WhyLeftOut};

use crate::session::frames::Stream;

/// What the machine says of a file, by its place among those that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Bytes of it.
    File(usize),
    /// They were all of it.
    Whole(usize),
    /// It is longer or shorter by now.
    Changed(usize),
    /// It is not there any more.
    Gone(usize),
    /// It cannot be read.
    Unreadable(usize),
    /// It is no file any more.
    Special(usize),
}

impl Stream for Part {
    fn named(name: &str) -> Option<Self> {
        let (kind, place) = name.split_once('-')?;
        let place = place.parse().ok()?;
        Some(match kind {
            "file" => Self::File(place),
            "whole" => Self::Whole(place),
            "changed" => Self::Changed(place),
            "gone" => Self::Gone(place),
            "unreadable" => Self::Unreadable(place),
            "special" => Self::Special(place),
            _ => return None,
        })
    }
}

/// A file that is wanted, and what has come of it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) choice: Choice,
    pub(super) mode: u16,
    /// `None` as long as it is neither here nor known not to come.
    pub(super) came: Option<Result<(), WhyLeftOut>>,
}

/// Takes what comes.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    into: &'a Path,
    wanted: &'a mut [Wanted],
    coming: Option<Coming>,
}

/// A file of which a part is here.
#[derive(Debug)]
struct Coming {
    place: usize,
    bytes: u64,
    /// What cannot be written is let pass.
    to: Result<Unfinished, Box<str>>,
}

/// A file under another name; removed where it gets no better one.
#[derive(Debug)]
struct Unfinished {
    file: File,
    at: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there any more where it has its name.
        let _ = fs::remove_file(&self.at);
    }
}

impl<'a> Parcel<'a> {
    pub(super) fn new(into: &'a Path, wanted: &'a mut [Wanted]) -> Self {
        Self { into, wanted, coming: None }
    }

    /// Takes some of it.
    ///
    /// # Errors
    /// It makes no sense, or there is no room for anything more here.
    pub(super) fn take(&mut self, part: Part, bytes: &[u8]) -> io::Result<()> {
        match part {
            Part::File(place) => self.bytes(place, bytes),
            Part::Whole(place) => self.whole(place),
            Part::Changed(place) => self.left_out(place, WhyLeftOut::Changed),
            Part::Gone(place) => self.left_out(place, WhyLeftOut::Unreadable("it is gone".into())),
            Part::Unreadable(place) => {
                self.left_out(place, WhyLeftOut::Unreadable("it cannot be read".into()))
            }
            Part::Special(place) => self.left_out(place, WhyLeftOut::NotAFile(Sort::Special)),
        }
    }

    fn bytes(&mut self, place: usize, bytes: &[u8]) -> io::Result<()> {
        let mut coming = self.coming(place)?;
        coming.bytes += bytes.len() as u64;
        if coming.bytes > self.wanted[place].choice.bytes {
            return Err(strange());
        }
        if let Ok(unfinished) = &mut coming.to
            && let Err(why) = passed(unfinished.file.write_all(bytes))?
        {
            coming.to = Err(why);
        }
        self.coming = Some(coming);
        Ok(())
    }

    fn whole(&mut self, place: usize) -> io::Result<()> {
        let coming = self.coming(place)?;
        if coming.bytes != self.wanted[place].choice.bytes {
            return Err(strange());
        }
        let named = match coming.to {
            Ok(unfinished) => passed(self.name(place, &unfinished))?,
            Err(why) => Err(why),
        };
        self.wanted[place].came = Some(named.map_err(WhyLeftOut::Unreadable));
        Ok(())
    }

    fn left_out(&mut self, place: usize, why: WhyLeftOut) -> io::Result<()> {
        drop(self.coming.take());
        self.open(place)?.came = Some(Err(why));
        Ok(())
    }

    /// The one that comes, or now begins to come.
    fn coming(&mut self, place: usize) -> io::Result<Coming> {
        match self.coming.take() {
            Some(coming) if coming.place == place => Ok(coming),
            Some(_) => Err(strange()),
            None => {
                self.open(place)?;
                Ok(Coming { place, bytes: 0, to: passed(self.begin(place))? })
            }
        }
    }

    fn open(&mut self, place: usize) -> io::Result<&mut Wanted> {
        self.wanted.get_mut(place).filter(|wanted| wanted.came.is_none()).ok_or_else(strange)
    }

    fn begin(&self, place: usize) -> io::Result<Unfinished> {
        let at = self.into.join(format!(".aivcs-keep-{}-{place}", std::process::id()));
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let file = match options.open(&at) {
            // Of one that was killed, whose number we have now.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&at)?;
                options.open(&at)?
            }
            other => other?,
        };
        Ok(Unfinished { file, at })
    }

    /// Whole and on disk, it gets its name.
    fn name(&self, place: usize, unfinished: &Unfinished) -> io::Result<()> {
        let Wanted { choice, mode, .. } = &self.wanted[place];
        // Whoever keeps it reads it once more.
        unfinished.file.set_permissions(Permissions::from_mode(u32::from(*mode) | 0o400))?;
        unfinished.file.sync_all()?;
        let path = &*choice.path;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = directory(self.into, parent)?;
        fs::rename(&unfinished.at, directory.join(name))?;
        File::open(&directory)?.sync_all()
    }
}

/// A directory below another one, made where it is not there; no link on the way is followed.
fn directory(root: &Path, below: &str) -> io::Result<PathBuf> {
    let mut at = root.to_owned();
    for name in below.split('/').filter(|name| !name.is_empty()) {
        let above = at.clone();
        at.push(name);
        match fs::create_dir(&at) {
            Ok(()) => File::open(above)?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&at)?.is_dir() {
                    return Err(io::Error::other(format!("{} here is no directory", at.display())));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}

/// What keeps one file from being written is let pass; what keeps all from that is an error.
fn passed<T>(done: io::Result<T>) -> io::Result<Result<T, Box<str>>> {
    done.map(Ok).or_else(|error| match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(Err(error.to_string().into())),
    })
}

fn strange() -> io::Error {
    io::Error::other("the machine gives other files than it was asked for")
}

#[cfg(test)]
mod tests {
    use policy::artifact::Kind;
    use proptest::prelude::*;

    use super::*;
    use crate::session::frames::Frames;

    fn wanted(sizes: &[usize]) -> Vec<Wanted> {
        let choice = |place: usize, size: usize| Choice {
            path: format!("d{}/{place}", place % 2).into(),
            kind: Kind::Other,
            bytes: size as u64,
        };
        let one =
            |(place, size): (usize, &usize)| Wanted { choice: choice(place, *size), mode: 0o640, came: None };
        sizes.iter().enumerate().map(one).collect()
    }

    fn content(place: usize, size: usize) -> Vec<u8> {
        (0..size).map(|at| u8::try_from((at + place * 7) % 251).unwrap()).collect()
    }

    fn given(sizes: &[usize], ends: &[&str]) -> Vec<u8> {
        let mut text = Vec::new();
        for (place, size) in sizes.iter().enumerate() {
            if *size > 0 {
                text.extend(format!("file-{place} {size}\n").into_bytes());
                text.extend(content(place, *size));
            }
            text.extend(format!("{}-{place} 0\n", ends[place % ends.len()]).into_bytes());
        }
        text.extend(b"end\n");
        text
    }

    fn receive(into: &Path, wanted: &mut [Wanted], text: &[u8], piece: usize) -> io::Result<()> {
        let (mut frames, mut parcel) = (Frames::<Part>::default(), Parcel::new(into, wanted));
        text.chunks(piece)
            .try_for_each(|bytes| frames.take(bytes, &mut |part, bytes| parcel.take(part, bytes)))
    }

    /// All files below a directory.
    fn files(at: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_file_is_here_whole_or_not_at_all_wherever_it_is_cut(
            sizes in prop::collection::vec(0_usize..90, 1..6),
            ends in prop::collection::vec(prop_oneof![3 => Just("whole"), 1 => Just("changed"), 1 => Just("unreadable")], 3),
            (cut, piece) in (any::<prop::sample::Index>(), 1_usize..40),
        ) {
            let into = tempfile::tempdir().unwrap();
            let mut all = wanted(&sizes);
            let text = given(&sizes, &ends);
            receive(into.path(), &mut all, &text[..cut.index(text.len() + 1)], piece).unwrap();
            let mut here = 0;
            for (place, (one, size)) in all.iter().zip(&sizes).enumerate() {
                let found = fs::read(into.path().join(&*one.choice.path)).ok();
                prop_assert_eq!(found.is_some(), matches!(one.came, Some(Ok(()))));
                here += usize::from(found.is_some());
                if let Some(found) = found {
                    prop_assert_eq!(found, content(place, *size));
                }
            }
            prop_assert_eq!(files(into.path()).len(), here);
        }
    }

    #[test]
    fn what_was_not_asked_for_or_is_longer_than_it_was_is_not_taken() {
        let into = tempfile::tempdir().unwrap();
        for strange in [
            &b"file-1 2\nxx"[..],
            b"file-0 3\nxxx",
            b"file-0 1\nxwhole-0 0\n",
            b"whole-0 0\n",
            b"whole-7 0\n",
            b"file-0 2\nxxwhole-0 0\nwhole-0 0\n",
        ] {
            assert!(receive(into.path(), &mut wanted(&[2]), strange, 64).is_err(), "{strange:?}");
        }
        assert_eq!(files(into.path()), [into.path().join("d0/0")], "but for what was right before");
    }

    #[test]
    fn nothing_is_written_through_a_link_here() {
        let (into, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(other.path(), into.path().join("d0")).unwrap();
        std::os::unix::fs::symlink(other.path().join("1"), into.path().join("1")).unwrap();
        let mut all = wanted(&[2, 2]);
        all[1].choice.path = "1".into();
        receive(into.path(), &mut all, &given(&[2, 2], &["whole"]), 64).unwrap();
        assert!(
            matches!(&all[0].came, Some(Err(WhyLeftOut::Unreadable(why))) if why.contains("no directory"))
        );
        assert!(files(other.path()).is_empty());
        let mode = fs::symlink_metadata(into.path().join("1")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, all[1].came.as_ref()), (0o640, Some(&Ok(()))));
    }
}
