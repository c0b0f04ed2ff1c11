//! As much of an HTTP client as a readiness check needs: one request, one answer, the connection closed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

const TIMEOUT: Duration = Duration::from_secs(10);

/// One request. The body is empty or JSON.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Whole header lines, without their line ends.
    pub(crate) headers: &'a [String],
    pub(crate) body: &'a str,
}

/// A GET without headers.
pub(crate) fn get(path: &str) -> Request<'_> {
    Request { method: "GET", path, headers: &[], body: "" }
}

impl Request<'_> {
    /// Sends it and returns the status and the body.
    pub(crate) fn send(&self, server: SocketAddr) -> Result<(u16, String)> {
        self.answer(server).map(|answer| (answer.status, answer.body))
    }

    /// Sends it and returns the whole answer.
    pub(crate) fn answer(&self, server: SocketAddr) -> Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(self.text(server).as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&String::from_utf8_lossy(&answer)).with_context(|| format!("{} {} got no HTTP answer", self.method, self.path))
    }

    fn text(&self, server: SocketAddr) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n", self.method, self.path);
        for header in self.headers {
            text += &format!("{header}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", self.body.len());
        }
        text + "\r\n" + self.body
    }
}

/// What a server answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header lines.
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

fn parse(answer: &str) -> Option<Answer> {
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_its_headers_and_its_body() {
        let answer = parse("HTTP/1.1 201 Created\r\nX: y\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.header("x"), answer.body.as_str()), (201, Some("y"), "{}"));
        assert_eq!(answer.header("z"), None);
        assert_eq!(parse("garbage"), None);
    }
}
