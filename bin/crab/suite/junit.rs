//! All results as one file of JUnit's XML, as Jenkins, GitLab and others read it.

use std::io;
use std::path::Path;

use anyhow::Context;
use policy::shards::{Found, How, Work};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::results::{Results, Seen};
use super::runner::Suite;
use super::times::write_whole;

/// Writes it whole, in place of what was there.
pub(super) fn write(
    path: &Path,
    name: &str,
    (suite, work, results): (&Suite, &Work, &Results),
) -> anyhow::Result<()> {
    let text = document(name, (suite, work, results))?;
    write_whole(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

fn document(name: &str, (suite, work, results): (&Suite, &Work, &Results)) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<usize> = (0..suite.tests.len()).collect();
    let mut root = element("testsuites", &[("name", name)]);
    count(&mut root, work, &all);
    attribute(&mut root, "time", &seconds(results.whole()));
    xml.write_event(Event::Start(root))?;
    for (group, of) in suite.groups.iter().enumerate() {
        let tests: Vec<usize> =
            all.iter().copied().filter(|&test| suite.tests[test].group as usize == group).collect();
        if tests.is_empty() {
            continue;
        }
        let program = if of.name.is_empty() { name } else { &*of.name };
        let mut head = element("testsuite", &[("name", program)]);
        count(&mut head, work, &tests);
        attribute(&mut head, "time", &seconds(tests.iter().filter_map(|&test| results.of(test).took).sum()));
        xml.write_event(Event::Start(head))?;
        for test in tests {
            case(&mut xml, (program, &suite.ids[test]), work.found(test), results.of(test))?;
        }
        xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut text = xml.into_inner();
    text.push(b'\n');
    Ok(text)
}

fn count(head: &mut BytesStart<'_>, work: &Work, tests: &[usize]) {
    let of = |wanted: &[How]| tests.iter().filter(|&&test| wanted.contains(&work.found(test).how)).count();
    attribute(head, "tests", &tests.len().to_string());
    attribute(head, "failures", &of(&[How::Failed]).to_string());
    attribute(head, "errors", &of(&[How::Silent]).to_string());
    attribute(head, "skipped", &of(&[How::Skipped, How::NotRun]).to_string());
}

fn case(
    xml: &mut Writer<Vec<u8>>,
    (program, name): (&str, &str),
    found: Found,
    seen: &Seen,
) -> io::Result<()> {
    let mut head = element("testcase", &[("classname", program), ("name", name)]);
    attribute(&mut head, "time", &seconds(seen.took.unwrap_or_default()));
    let said = seen.said.as_deref().unwrap_or_default();
    let (kind, message) = match found.how {
        How::Passed => return xml.write_event(Event::Empty(head)),
        // As Maven's surefire tells of them.
        How::Flaky => ("flakyFailure", format!("failed {} of {} times", found.failures, found.tries)),
        How::Failed => ("failure", said.lines().next().unwrap_or("failed").to_owned()),
        How::Silent => ("error", "did not report".to_owned()),
        How::Skipped => ("skipped", String::new()),
        How::NotRun => ("skipped", "not run".to_owned()),
    };
    xml.write_event(Event::Start(head))?;
    let inner = element(
        kind,
        if message.is_empty() { vec![] } else { vec![("message", message.as_str())] }.as_slice(),
    );
    if matches!(found.how, How::Skipped | How::NotRun) {
        xml.write_event(Event::Empty(inner))?;
    } else {
        xml.write_event(Event::Start(inner))?;
        xml.write_event(Event::Text(BytesText::new(&allowed(said))))?;
        xml.write_event(Event::End(BytesEnd::new(kind)))?;
    }
    xml.write_event(Event::End(BytesEnd::new("testcase")))
}

fn element<'e>(name: &'e str, attributes: &[(&str, &str)]) -> BytesStart<'e> {
    let mut element = BytesStart::new(name);
    attributes.iter().for_each(|(name, value)| attribute(&mut element, name, value));
    element
}

fn attribute(element: &mut BytesStart<'_>, name: &str, value: &str) {
    element.push_attribute((name, &*allowed(value)));
}

/// Without the characters that XML cannot have at all.
fn allowed(text: &str) -> String {
    let may = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if may(c) { c } else { '\u{fffd}' }).collect()
}

fn seconds(time: std::time::Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use policy::id::TaskId;
    use policy::shards::{By, Cut, Told, Verdict};
    use quick_xml::Reader;

    use super::*;
    use crate::cli::suite::heard;

    /// Three tests: one passes, one fails with words that no XML may have, one says nothing.
    fn run(said: &str, name: &str) -> Vec<u8> {
        let suite = Suite::for_test(&[("prog", name), ("prog", "good"), ("other<&>", "silent")]);
        let cut =
            Cut { shards: 1, by: By::Slice, retries: 0, start: std::time::Duration::ZERO, batch_bytes: 9000 };
        let (mut work, mut results) = (Work::new(&suite.tests, &cut), Results::new(3));
        while let Some(batch) = work.next(0) {
            let of = |&test: &usize| match test {
                0 => Some((0, Verdict::Failed)),
                1 => Some((1, Verdict::Passed)),
                _ => None,
            };
            let verdicts: Vec<_> = batch.tests.iter().filter_map(of).collect();
            let heard = heard::Told {
                verdicts: verdicts.iter().copied().collect(),
                said: [(0, said.to_owned())].into(),
                ..heard::Told::default()
            };
            work.report(batch.number, &Told { verdicts, failed: true, ran: true }).unwrap();
            results.take(TaskId(1), &batch, heard, "failed: exited with 1");
        }
        document("all", (&suite, &work, &results)).unwrap()
    }

    /// Its name, attributes and text.
    type Element = (String, Vec<(String, String)>, String);

    /// The document's elements with their attributes and texts, as a parser sees them.
    fn parsed(document: &[u8]) -> Vec<Element> {
        let mut reader = Reader::from_reader(document);
        let mut found: Vec<Element> = Vec::new();
        let mut open = 0;
        loop {
            let event = reader.read_event().unwrap();
            match &event {
                Event::Start(start) | Event::Empty(start) => {
                    open += u32::from(matches!(event, Event::Start(_)));
                    let name = start.name().as_ref().to_owned();
                    let attributes = start.attributes().map(|attribute| {
                        let attribute = attribute.unwrap();
                        let name = attribute.key.as_ref().to_owned();
                        let value = attribute.value.clone();
                        (name, quick_xml::escape::unescape(&value).unwrap().into_owned())
                    });
                    found.push((name, attributes.collect(), String::new()));
                }
                Event::Text(text) => {
                    let text: &str = text;
                    found.iter_mut().last().into_iter().for_each(|last| last.2.push_str(text));
                }
                Event::GeneralRef(of) => {
                    let text = format!("&{};", &**of);
                    let text = quick_xml::escape::unescape(&text).unwrap().into_owned();
                    found.iter_mut().last().into_iter().for_each(|last| last.2.push_str(&text));
                }
                Event::End(_) => open -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open, 0);
        found
    }

    #[test]
    fn a_parser_reads_what_was_meant() {
        let found = parsed(&run("b is <bad> & \"so\"\nsecond\u{1b}[31m line", "a[x<1]"));
        let of = |name: &str| found.iter().filter(|(of, ..)| of == name).cloned().collect::<Vec<_>>();
        let attribute = |element: &Element, name: &str| {
            element.1.iter().find(|(of, _)| of == name).map(|(_, is)| is.clone()).unwrap_or_default()
        };
        let all = &of("testsuites")[0];
        let counts = ["tests", "failures", "errors", "skipped"].map(|name| attribute(all, name));
        assert_eq!(counts, ["3", "1", "1", "0"]);
        let programs: Vec<String> = of("testsuite").iter().map(|suite| attribute(suite, "name")).collect();
        assert_eq!(programs, ["prog", "other<&>"]);
        assert_eq!(attribute(&of("testcase")[0], "name"), "a[x<1]");
        let failure = &of("failure")[0];
        assert_eq!(attribute(failure, "message"), "b is <bad> & \"so\"");
        assert!(failure.2.contains("b is <bad> & \"so\"\nsecond\u{fffd}[31m line"), "{}", failure.2);
        assert_eq!(attribute(&of("error")[0], "message"), "did not report");
    }

    proptest::proptest! {
        #[test]
        fn whatever_tests_say_the_document_is_sound(said in ".{0,80}", name in "[^\n]{1,20}") {
            let found = parsed(&run(&said, &name));
            proptest::prop_assert_eq!(found.iter().filter(|(name, ..)| name == "testcase").count(), 3);
        }
    }
}
