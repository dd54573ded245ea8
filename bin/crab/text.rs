//! Amounts, ages and foreign text as people should see them.

pub(crate) use actors::say::{
    age, clock_time, cores, count, harmless, length, plain, resources, rfc3339, size,
};
use comfy_table::{Table, presets};

/// A table without borders, its heads in capitals.
pub(crate) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| harmless(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Makes what tasks write harmless on a terminal: colours stay, every other sequence that the terminal would
/// obey is shown instead. Sequences may be cut anywhere between two calls.
#[derive(Debug, Default)]
pub(crate) struct Tamer {
    /// The beginning of a sequence whose end has not come yet.
    held: Vec<u8>,
}

/// The longest colour sequence that is let through.
const COLOR_BYTES: usize = 24;
const ESCAPE: u8 = 0x1b;

impl Tamer {
    /// The bytes to show for these.
    pub(crate) fn tame(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.take(byte, &mut shown);
        }
        shown
    }

    fn take(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.held.push(byte);
            match self.held.as_slice() {
                [ESCAPE, b'['] => return,
                [ESCAPE, b'[', middle @ .., last] if is_parameters(middle) && middle.len() < COLOR_BYTES => {
                    match last {
                        b'm' => shown.append(&mut self.held),
                        b'0'..=b'9' | b';' | b':' => return,
                        _ => self.show_held(shown),
                    }
                }
                // What UTF-8 encodes as C2 80 to C2 9F are control characters as well.
                [0xc2, 0xa0..=0xff] => shown.append(&mut self.held),
                _ => self.show_held(shown),
            }
            self.held.clear();
            return;
        }
        match byte {
            ESCAPE | 0xc2 => self.held.push(byte),
            b'\n' | b'\t' | b'\r' | 0x20..=0x7e | 0x80.. => shown.push(byte),
            _ => shown.extend(byte.escape_ascii()),
        }
    }

    fn show_held(&mut self, shown: &mut Vec<u8>) {
        for byte in self.held.drain(..) {
            match byte {
                b'\n' | 0x20..=0x7e => shown.push(byte),
                _ => shown.extend(byte.escape_ascii()),
            }
        }
    }
}

fn is_parameters(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_borders() {
        let rows =
            [vec!["t1".to_owned(), "build".to_owned()], vec!["t100".to_owned(), "a\x1b[2Jb".to_owned()]];
        assert_eq!(table(&["task", "name"], rows), "TASK  NAME\nt1    build\nt100  a\u{fffd}[2Jb");
    }

    #[test]
    fn colours_stay_and_other_sequences_are_shown() {
        let tame = |bytes: &[u8]| String::from_utf8_lossy(&Tamer::default().tame(bytes)).into_owned();
        assert_eq!(tame(b"\x1b[1;31mred\x1b[0m\n"), "\x1b[1;31mred\x1b[0m\n");
        assert_eq!(tame(b"\x1b[2Jx"), "\\x1b[2Jx");
        assert_eq!(tame(b"\x1b]0;title\x07"), "\\x1b]0;title\\x07");
        assert_eq!(tame("für \u{9b}2J".as_bytes()), "für \\xc2\\x9b2J");
        assert_eq!(tame("\u{a0}".as_bytes()), "\u{a0}");
    }

    #[test]
    fn a_sequence_may_come_in_pieces() {
        let mut tamer = Tamer::default();
        let mut shown = tamer.tame(b"a\x1b[3");
        shown.extend(tamer.tame(b"2mb"));
        assert_eq!(shown, b"a\x1b[32mb");
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_only_colours_have_an_escape(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let shown = Tamer::default().tame(&bytes);
            for (at, _) in shown.iter().enumerate().filter(|&(_, &byte)| byte == ESCAPE) {
                let end = shown[at..].iter().position(|&byte| byte == b'm');
                proptest::prop_assert!(end.is_some_and(|end| is_parameters(&shown[at + 2..at + end])));
            }
        }
    }
}
