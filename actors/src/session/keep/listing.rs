//! What `remote/keep.sh` tells of the files where an attempt ran. Must not know which of them are wanted.

use std::collections::BTreeMap;

use policy::artifact::{Found, Sort};

/// The bits of a mode that say who may read, write and execute a file.
const RIGHTS: u32 = 0o777;

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// What has a name that can be told.
    pub(super) found: Vec<Found>,
    /// Who may do what with a file, by its path.
    pub(super) modes: BTreeMap<Box<[u8]>, u16>,
    /// How many names have a newline, and are not told.
    pub(super) unnamed: u64,
    /// Why there may be more than was told.
    pub(super) more: Option<&'static str>,
}

impl Listing {
    /// Reads an answer of at most so many lines before its end; `None` where it is none.
    pub(super) fn read(said: &[u8], lines_limit: u64) -> Option<Self> {
        let mut listing = Self::default();
        let mut said = said.strip_suffix(b"end\n")?;
        if let Some(cut) = said.strip_suffix(b"\nlate\n") {
            // It was stopped in the middle of a line.
            let whole = cut.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            (listing.more, said) = (Some(LATE), &cut[..whole]);
            if said.is_empty() {
                return Some(listing);
            }
        }
        let mut lines = said.split_inclusive(|byte| *byte == b'\n');
        let radix = match lines.next() {
            Some(b"mode -c\n") => 16,
            Some(b"mode -f\n") => 8,
            _ => return None,
        };
        let mut count = 1;
        for line in lines {
            count += 1;
            match line.strip_suffix(b"\n")? {
                b"unnamed" => listing.unnamed += 1,
                b"looked 0" => {}
                other if other.starts_with(b"looked ") => listing.more = Some(CLOSED),
                other => {
                    let (found, mode) = of_line(other, radix)?;
                    listing.modes.insert(found.path.as_bytes().into(), mode);
                    listing.found.push(found);
                }
            }
        }
        if count >= lines_limit {
            listing.more = Some(MANY);
        }
        Some(listing)
    }
}

const LATE: &str = "looking for files took too long";
const CLOSED: &str = "not all of what is there can be looked at";
const MANY: &str = "there are too many files to look at";

/// Mode, size, and the path behind `./`.
fn of_line(line: &[u8], radix: u32) -> Option<(Found, u16)> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
    let mode = u32::from_str_radix(word()?, radix).ok()?;
    let bytes = word()?.parse().ok()?;
    let path = words.next()?.strip_prefix(b"./")?;
    let found = Found { path: path.to_vec().into(), sort: sort(mode), bytes };
    Some((found, u16::try_from(mode & RIGHTS).ok()?))
}

fn sort(mode: u32) -> Sort {
    match mode & 0o170_000 {
        0o100_000 => Sort::File,
        0o040_000 => Sort::Directory,
        0o120_000 => Sort::Link,
        _ => Sort::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Listing> {
        Listing::read(text, 100)
    }

    #[test]
    fn both_systems_tell_the_same_of_the_same_files() {
        let linux =
            b"mode -c\n81a4 3 ./a b\n81ed 0 ./-x\na1ff 4 ./l\n81a4 1 ./b\xff\nunnamed\nlooked 0\nend\n";
        let mac = b"mode -f\n100644 3 ./a b\n100755 0 ./-x\n120777 4 ./l\n100644 1 ./b\xff\nunnamed\nlooked 0\nend\n";
        let listing = read(linux).unwrap();
        assert_eq!(read(mac).unwrap(), listing);
        assert_eq!((listing.found.len(), listing.unnamed, listing.more), (4, 1, None));
        assert_eq!(listing.found[0], Found { path: "a b".into(), sort: Sort::File, bytes: 3 });
        assert_eq!((listing.modes[&b"-x"[..]], listing.found[2].sort), (0o755, Sort::Link));
    }

    #[test]
    fn what_is_not_all_of_it_says_so_and_half_an_answer_is_none() {
        assert_eq!(read(b"\nlate\nend\n").unwrap().more, Some(LATE));
        let late = read(b"mode -c\n81a4 3 ./a\n81a4 3 ./half\nlate\nend\n").unwrap();
        assert_eq!((late.found.len(), late.more), (1, Some(LATE)));
        assert_eq!(read(b"mode -c\nlooked 1\nend\n").unwrap().more, Some(CLOSED));
        assert_eq!(Listing::read(b"mode -c\n81a4 3 ./a\n81a4 3 ./b\nend\n", 3).unwrap().more, Some(MANY));
        for bad in [
            &b""[..],
            b"end\n",
            b"mode -c\n81a4 3 ./a\n",
            b"mode -c\n81a4 3 /a\nend\n",
            b"mode -c\n81a4 x ./a\nend\n",
            b"mode -c\n81a4 3 ./aend\n",
            b"81a4 3 ./a\nend\n",
        ] {
            assert_eq!(read(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
