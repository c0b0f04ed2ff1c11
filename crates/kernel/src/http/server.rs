//! The listener: timeouts for slow clients, a bound on connections, a shutdown that drains.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::accept::{Accept, DefaultAcceptor};
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::error::{Error, Result};
use crate::platform::HttpSettings;

/// The largest HTTP/1 request head that is read at all, in bytes: well above what the edge accepts, so that it is the edge that
/// refuses, in the words of the API.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// A bound listener that is not served yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listening {
    /// Binds the configured address.
    ///
    /// # Errors
    /// One sentence that names the setting, when the address is taken, unreadable or unsafe.
    pub fn bind(settings: &HttpSettings) -> Result<Listening, String> {
        let address: SocketAddr = settings
            .listen
            .replace("localhost:", "127.0.0.1:")
            .parse()
            .map_err(|_| format!("http.listen = {:?} is not an address and port such as 127.0.0.1:8000.", settings.listen))?;
        let is_exposed = !address.ip().is_loopback();
        if is_exposed && settings.trusted_proxies.is_empty() && !settings.insecure_bind {
            return Err(format!(
                "http.listen = {address} would serve plain HTTP to the network. Put a TLS proxy in front and name it in http.trusted_proxies, \
                 or set http.insecure_bind = true."
            ));
        }
        let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => format!("The address {address} is taken by another program: stop it, or set http.listen."),
            _ => format!("Cannot listen on {address}: {error}. Set http.listen."),
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Listening { listener, address })
    }
}

/// Serves until the app stops, then lets running requests end within `grace`.
pub async fn serve(app: &App, router: Router, listening: Listening, grace: Duration) -> Result<()> {
    let settings = app.settings::<HttpSettings>().clone();
    let handle = axum_server::Handle::new();
    let acceptor = Bounded { permits: Arc::new(Semaphore::new(settings.max_connections as usize)) };
    let mut server = axum_server::from_tcp(listening.listener)
        .map_err(Error::internal)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(*settings.header_timeout);
    let mut http = server.http_builder().http1();
    http.header_read_timeout(*settings.header_timeout).max_buf_size(MAX_HEAD_BYTES).keep_alive(true);
    let mut http = server.http_builder().http2();
    http.keep_alive_interval(Some(*settings.keep_alive)).max_concurrent_streams(250).max_header_list_size(16 * 1024);
    let mut stopping = app.stopping();
    app.spawn(async move {
        stopping.wait().await;
        handle.graceful_shutdown(Some(grace));
    });
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await.map_err(Error::internal)
}

/// Accepts a connection only while fewer than the maximum are open; the rest wait in the operating system's queue.
#[derive(Clone, Debug)]
struct Bounded {
    permits: Arc<Semaphore>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = Held<TcpStream>;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permits = self.permits.clone();
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            stream.set_nodelay(true)?;
            let (stream, service) = DefaultAcceptor::new().accept(stream, service).await?;
            Ok((Held { stream, _permit: permit }, service))
        })
    }
}

/// A stream that gives its connection permit back when it is closed.
#[derive(Debug)]
struct Held<S> {
    stream: S,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl<S: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Held<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for Held<S> {
    fn poll_write(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>, buf: &[u8]) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
