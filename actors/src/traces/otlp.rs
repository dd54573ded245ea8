//! Spans as OTLP over HTTP: the body, and as much of HTTP as sending it needs. Knows nothing of tasks.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use policy::time::Timestamp;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::telemetry::Endpoint;
use crate::traces::span::{Span, Value};

/// Bytes of an answer that are read: a status line, some headers, and a message of a few words.
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Posted {
    /// It was taken, but for so many of it, for this reason.
    Taken { rejected: u64, why: String },
    /// It may be tried again.
    Later(String),
    /// It will never be taken.
    Refused(String),
}

/// The body that tells these spans: by machine, each a resource of its own; the scheduler's by the daemon's name.
pub(super) fn body(daemon: &str, spans: &[Span]) -> Vec<u8> {
    let mut by_machine: BTreeMap<Option<&str>, Vec<otlp::Span>> = BTreeMap::new();
    for span in spans {
        by_machine.entry(span.node.as_ref().map(|node| &*node.0)).or_default().push(told(span));
    }
    let resource_spans = by_machine.into_iter().map(|(machine, spans)| resource(daemon, machine, spans));
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

fn resource(daemon: &str, machine: Option<&str>, spans: Vec<otlp::Span>) -> otlp::ResourceSpans {
    let side = if machine.is_some() { "worker" } else { "scheduler" };
    let attributes = vec![
        text("service.name", "knittingcrab"),
        text("service.namespace", daemon),
        text("service.instance.id", &format!("{side}@{}", machine.unwrap_or(daemon))),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("host.name", machine.unwrap_or(daemon)),
    ];
    let scope = InstrumentationScope { name: "knittingcrab".to_owned(), ..InstrumentationScope::default() };
    otlp::ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![otlp::ScopeSpans { scope: Some(scope), spans, ..otlp::ScopeSpans::default() }],
        ..otlp::ResourceSpans::default()
    }
}

fn told(span: &Span) -> otlp::Span {
    let link = |id: &[u8; 8]| otlp::span::Link {
        trace_id: span.trace.to_vec(),
        span_id: id.to_vec(),
        ..otlp::span::Link::default()
    };
    let code = |code: otlp::status::StatusCode| code as i32;
    let status = match &span.trouble {
        None => otlp::Status { code: code(otlp::status::StatusCode::Unset), message: String::new() },
        Some(why) => otlp::Status { code: code(otlp::status::StatusCode::Error), message: why.clone() },
    };
    otlp::Span {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind: otlp::span::SpanKind::Internal as i32,
        start_time_unix_nano: nanos(span.from),
        end_time_unix_nano: nanos(span.to),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        links: span.link.iter().map(link).collect(),
        status: Some(status),
        ..otlp::Span::default()
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.0.saturating_mul(1000)
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    match value {
        Value::Text(words) => text(key, words),
        Value::Number(number) => key_value(key, any_value::Value::IntValue(*number)),
    }
}

fn text(key: &str, words: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(words.to_owned()))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Sends a body, over a connection of its own. Whoever calls has the deadline.
pub(super) async fn post(endpoint: &Endpoint, body: &[u8]) -> std::io::Result<Posted> {
    let mut stream = TcpStream::connect(&endpoint.authority).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\
         User-Agent: knittingcrab/{}\r\nConnection: close\r\n\r\n",
        endpoint.path,
        endpoint.authority,
        body.len(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT_BYTES).read_to_end(&mut answer).await?;
    Ok(read(&answer))
}

/// What an answer means, by OTLP's table of statuses.
fn read(answer: &[u8]) -> Posted {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + 4));
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default().to_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    match status {
        Some(200..=299) => {
            // A body in pieces, or of JSON, says nothing that could be read here.
            let told = ExportTraceServiceResponse::decode(body).ok().and_then(|told| told.partial_success);
            let told = told.unwrap_or_default();
            Posted::Taken {
                rejected: u64::try_from(told.rejected_spans).unwrap_or(0),
                why: told.error_message,
            }
        }
        Some(429 | 502..=504) => Posted::Later(line),
        Some(_) => Posted::Refused(line),
        None => Posted::Refused("it does not speak HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_by_its_status() {
        let part = ExportTraceServiceResponse {
            partial_success: Some(
                opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess {
                    rejected_spans: 3,
                    error_message: "too old".to_owned(),
                },
            ),
        };
        let told = [b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", part.encode_to_vec().as_slice()].concat();
        assert_eq!(read(&told), Posted::Taken { rejected: 3, why: "too old".to_owned() });
        let whole = Posted::Taken { rejected: 0, why: String::new() };
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\n{}"), whole);
        assert_eq!(read(b"HTTP/1.0 202 Accepted\r\n\r\n"), whole);
        assert_eq!(read(b"HTTP/1.1 503 No\r\n\r\n"), Posted::Later("HTTP/1.1 503 No".to_owned()));
        assert_eq!(read(b"HTTP/1.1 400 No\r\n\r\n"), Posted::Refused("HTTP/1.1 400 No".to_owned()));
        assert!(matches!(read(b"SSH-2.0-x\r\n"), Posted::Refused(_)));
    }
}
