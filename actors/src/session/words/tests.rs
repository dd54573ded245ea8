//! Words through a real shell: whatever they are, they come out as they went in, and nothing else happens.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// Words that a shell would do something with.
const HOSTILE: &[&[u8]] = &[
    b"",
    b" ",
    b"  a  ",
    b"\t",
    b"\n",
    b"\n\n",
    b"a\n",
    b"a\nb",
    b"\r",
    b"'",
    b"''",
    b"'''",
    b"a'b",
    b"'a'",
    b"\"",
    b"\"a b\"",
    b"'\"'\"'",
    b"`id`",
    b"$(id)",
    b"$((1+1))",
    b"${HOME}",
    b"$HOME",
    b"$0",
    b"$$",
    b"$@",
    b"$*",
    b"$?",
    b"!",
    b"!!",
    b"!1",
    b"\\",
    b"\\\\",
    b"\\n",
    b"\\'",
    b"a\\",
    b";",
    b"; exit 9",
    b"&",
    b"&&",
    b"|",
    b"||",
    b">",
    b">/tmp/x",
    b"<",
    b"<<EOF",
    b"(",
    b")",
    b"{a,b}",
    b"*",
    b"?",
    b"[a-z]*",
    b"~",
    b"~root",
    b"#",
    b"# a",
    b"%s",
    b"%n",
    b"-",
    b"--",
    b"-n",
    b"-e",
    b"-rf",
    b"=",
    b"a=b",
    b"\x01",
    b"\x1b[2J",
    b"\x7f",
    b"\x80",
    b"\x81",
    b"\x82\x83\x84\x85\x86\x87\x88",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xc3",
    b"\xf0\x9f\xa6\x80",
    b"\xe2\x80\xae",
    b"end\n'\nend",
    b"EOF",
    b"#{pane_id}",
    b"#(id)",
];

/// What a shell that reads a script with these words on its standard input makes of them.
fn through(shell: &str, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut script = b"main() { printf '%s\\0' \"$@\"; }\nset --".to_vec();
    for word in words {
        script.push(b' ');
        script.extend(quote(word).unwrap());
    }
    script.extend_from_slice(b"\nmain \"$@\" 3<&0 </dev/null\nexit\n");
    let mut child =
        Command::new(shell).arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    child.stdin.take().unwrap().write_all(&script).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{shell}: {words:?}");
    out.stdout.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// All shells of this machine that can be the `sh` of another.
fn shells() -> impl Iterator<Item = &'static str> {
    let all = ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/zsh", "/bin/ksh"];
    all.into_iter().filter(|shell| std::path::Path::new(shell).exists())
}

#[test]
fn hostile_words_come_through_every_shell_unchanged() {
    let words: Vec<Vec<u8>> =
        HOSTILE.iter().map(|word| word.to_vec()).chain([vec![b'a'; 300], vec![b'\''; 300]]).collect();
    assert!(words.len() >= 60);
    for shell in shells() {
        assert_eq!(through(shell, &words), words, "{shell}");
    }
}

#[test]
fn a_command_is_refused_or_carried() {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(check_command(&words(&["A=b=c", "_x9="]), &words(&["a=b", "", "-x"])), Ok(()));
    assert_eq!(check_command(&[], &[]), Err(Unsayable::Nothing));
    assert_eq!(check_command(&[], &words(&[""])), Err(Unsayable::Nothing));
    assert_eq!(check_command(&[], &words(&["-c", "x"])), Err(Unsayable::Option("-c".into())));
    assert_eq!(check_command(&[], &words(&["a", "b\0c"])), Err(Unsayable::Nul));
    assert!(matches!(check_command(&[], &[vec![b'a'; WORDS_BYTES_LIMIT]]), Err(Unsayable::Long(_))));
    for bad in ["", "A", "=b", "1A=b", "A-B=c", "A B=c", "$(id)=1", "IFS=x", "AIVCS_MARK=x", "é=1"] {
        let refused = check_command(&words(&[bad]), &words(&["true"]));
        assert!(matches!(refused, Err(Unsayable::Variable(_))), "{bad:?}");
    }
}

#[test]
fn what_is_shown_can_be_typed() {
    assert_eq!(shown(b"a/b.c"), "a/b.c");
    assert_eq!(shown(b"a b"), "'a b'");
    assert_eq!(shown(b""), "''");
    assert_eq!(shown(b"~x"), "'~x'");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_words_there_are_a_shell_takes_them_as_they_are(
        words in proptest::collection::vec(proptest::collection::vec(1_u8.., 0..40), 1..8),
    ) {
        for shell in shells() {
            prop_assert_eq!(&through(shell, &words), &words);
        }
    }

    #[test]
    fn hexadecimal_goes_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[0-9a-fA-Fx]{0,9}") {
        prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        if let Some(read) = unhex(&text) {
            prop_assert_eq!(hex(&read), text.to_lowercase());
        }
    }
}
