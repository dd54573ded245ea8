//! As much of HTTP/1.1 as a collector needs: one GET for each connection, an answer, and the end.
//!
//! It reads bytes and makes bytes; whoever holds the connection has the deadlines. Must not know what is measured.

use std::fmt::Write;

/// Bytes of a request's head that are read: a collector sends a few hundred.
pub const HEAD_LIMIT_BYTES: usize = 8 * 1024;

/// What came of the bytes that have arrived so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// More is needed.
    Partial,
    /// It is whole, and asks for this path, without what follows a `?`.
    Get(String),
    /// It cannot be answered: the answer that says so.
    Refused(Answer),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// What follows the head.
    pub body: String,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    /// A line of text.
    #[must_use]
    pub fn line(status: u16, text: &str) -> Self {
        Self { status, content_type: TEXT, body: format!("{text}\n") }
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        let length = self.body.len();
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "Content-Type: {}\r\nContent-Length: {length}\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n{}",
            self.content_type, self.body
        );
        text.into_bytes()
    }
}

/// Looks at the bytes that have arrived so far.
#[must_use]
pub fn head(bytes: &[u8]) -> Head {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match bytes.len() >= HEAD_LIMIT_BYTES {
            true => Head::Refused(Answer::line(431, "the request's head is too long")),
            false => Head::Partial,
        };
    };
    let first = bytes[..end].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(first) else {
        return Head::Refused(Answer::line(400, "the request is not text"));
    };
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [method, target, version] if version.starts_with("HTTP/1.") && target.starts_with('/') => {
            match method {
                "GET" => Head::Get(target.split('?').next().unwrap_or_default().to_owned()),
                _ => Head::Refused(Answer::line(405, "only GET is answered")),
            }
        }
        _ => Head::Refused(Answer::line(400, "this is no HTTP/1.1 request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &Head) -> u16 {
        match head {
            Head::Refused(answer) => answer.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_with_its_empty_line() {
        let request = b"GET /metrics?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for length in 0..request.len() {
            assert_eq!(head(&request[..length]), Head::Partial);
        }
        assert_eq!(head(request), Head::Get("/metrics".to_owned()));
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        assert_eq!(status(&head(b"POST /metrics HTTP/1.1\r\n\r\n")), 405);
        assert_eq!(status(&head(b"GET metrics HTTP/1.1\r\n\r\n")), 400);
        assert_eq!(status(&head(b"GET /metrics\r\n\r\n")), 400);
        assert_eq!(status(&head(b"\xff\xfe / HTTP/1.1\r\n\r\n")), 400);
        assert_eq!(status(&head(&vec![b'a'; HEAD_LIMIT_BYTES])), 431);
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        let bytes = Answer::line(200, "ok").bytes();
        let text = String::from_utf8(bytes).expect("it is text");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"), "{text}");
        assert!(text.contains("Content-Length: 3\r\n") && text.contains("Connection: close\r\n"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_any_harm(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = head(&bytes);
        }
    }
}
