//! Connections: slow ones are closed, running requests end before the server does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::notes::Switches;
use crate::{app, app_with};

/// All that comes until the server hangs up; fails when it does not.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    // A reset connection is a closed one too.
    drop(read.expect("the server hangs up"));
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_hung_up_on() {
    let app = app_with(&[("http.header_timeout", "200ms")]).await;
    for beginning in ["", "GET /api/v1/notes HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let text = until_closed(&mut stream).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_request() {
    let app = app_with(&[("http.request_timeout", "200ms")]).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let head =
        "POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let text = until_closed(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("request_timeout"), "{text}");
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let app = app().await;
    for noise in ["NONSENSE\r\n\r\n", "GET /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(noise.as_bytes()).await.unwrap();
        let text = until_closed(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    }
    app.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let app = app_with(&[("http.max_connections", "1")]).await;
    let mut first = TcpStream::connect(app.address()).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut second = JoinSet::new();
    second.spawn(app.get("/healthz").send());
    drop(first);
    second.join_next().await.unwrap().unwrap().expect(200);
}

#[tokio::test]
async fn a_running_request_ends_before_the_server_does() {
    let app = app().await;
    let switches = app.kernel().state::<Arc<Switches>>().clone();
    let mut running = JoinSet::new();
    running.spawn(app.get("/api/v1/note-wait").send());
    switches.started.notified().await;
    app.kernel().announce_stop();
    let mut stopping = app.kernel().stopping();
    stopping.wait().await;
    switches.go_on.notify_one();
    assert_eq!(running.join_next().await.unwrap().unwrap().expect(200)["text"], "done");
    app.kernel().stop(Duration::from_secs(10)).await;
    assert!(TcpStream::connect(app.address()).await.is_err(), "the listener is closed");
    assert!(app.kernel().db().ping().await.is_err(), "the database is closed");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_the_grace() {
    let app = app_with(&[("http.shutdown_grace", "100ms")]).await;
    let switches = app.kernel().state::<Arc<Switches>>().clone();
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"GET /api/v1/note-wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    switches.started.notified().await;
    app.kernel().announce_stop();
    assert_eq!(until_closed(&mut stream).await, "");
    app.kernel().stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_stopping_server_is_healthy_but_not_ready() {
    let app = app().await;
    app.kernel().announce_stop();
    let router = kernel::http::router(app.kernel());
    let mut statuses = Vec::new();
    for path in ["/healthz", "/readyz"] {
        let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        statuses.push(answer.status());
    }
    assert_eq!(statuses, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
}
