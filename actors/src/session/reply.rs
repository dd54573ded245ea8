//! What a script of ours says: lines of plain words, of which the last is `end`.

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    lines: Vec<Vec<Box<str>>>,
}

impl Reply {
    /// Reads an answer; `None` where it is not whole, or not one of ours.
    #[must_use]
    pub fn read(said: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(said).ok()?.strip_suffix('\n')?;
        let words = |line: &str| line.split_ascii_whitespace().map(Into::into).collect();
        let mut lines: Vec<Vec<Box<str>>> = text.lines().map(words).collect();
        let end = lines.pop()?;
        (*end == ["end".into()]).then_some(Self { lines })
    }

    /// The words behind the first line's `key`.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&[Box<str>]> {
        self.lines().find(|(name, _)| *name == key).map(|(_, words)| words)
    }

    /// The first word behind `key`.
    #[must_use]
    pub fn word(&self, key: &str) -> Option<&str> {
        self.find(key)?.first().map(|word| &**word)
    }

    /// The number behind `key`.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.word(key)?.parse().ok()
    }

    /// All lines: the key, and the words behind it.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[Box<str>])> {
        self.lines.iter().filter_map(|line| line.split_first()).map(|(key, words)| (&**key, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_one() {
        let reply = Reply::read(b"now 12\nsession a b\nsession c\nend\n").unwrap();
        assert_eq!(reply.number("now"), Some(12));
        assert_eq!(reply.find("session").unwrap().len(), 2);
        assert_eq!(reply.lines().filter(|(key, _)| *key == "session").count(), 2);
        for bad in
            [&b""[..], b"end", b"now 12\n", b"now 12\nen", b"end\nmore\n", b"\xff\nend\n", b"Last login\n"]
        {
            assert_eq!(Reply::read(bad), None, "{bad:?}");
        }
        assert!(Reply::read(b"end\n").is_some());
    }
}
