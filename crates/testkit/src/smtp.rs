//! A mail server that takes everything and tells what it got.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A mail server on a free port of 127.0.0.1; gone when it is dropped.
#[derive(Debug)]
pub struct SmtpSink {
    address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    // Stops listening when dropped.
    _listening: JoinSet<()>,
}

impl SmtpSink {
    /// Starts listening.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> SmtpSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let (mut listening, kept) = (JoinSet::new(), got.clone());
        listening.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                sessions.spawn(async move { _ = converse(stream, &kept).await });
            }
        });
        SmtpSink { address, got, _listening: listening }
    }

    /// The value of the setting `mail.smtp_url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The messages so far, head and body as they came.
    pub fn messages(&self) -> Vec<String> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn converse(stream: TcpStream, got: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 sink\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "DATA" => b"354 go on\r\n",
            "QUIT" => b"221 bye\r\n",
            _ => b"250 fine\r\n",
        };
        writer.write_all(answer).await?;
        if verb == "DATA" {
            let mut message = String::new();
            while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                message.push_str(line.strip_prefix('.').unwrap_or(&line));
                message.push('\n');
            }
            got.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            writer.write_all(b"250 kept\r\n").await?;
        }
    }
    Ok(())
}
