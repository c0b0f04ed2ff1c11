//! The redirect as visitors meet it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

#[tokio::test]
async fn inv_l15_a_redirect_is_not_kept_and_names_nothing_else() {
    let app = app().await;
    link(&app, "sale", "https://example.com/<script>").await;
    let answer = visit(&app, "/sale").await;
    answer.is(302);
    answer.leads_to("https://example.com/%3Cscript%3E");
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(answer.header("x-robots-tag"), "noindex");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.body, "https://example.com/%3Cscript%3E\n");
    for absent in ["set-cookie", "access-control-allow-origin", "etag"] {
        assert!(!answer.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn inv_l18_no_other_origin_may_read_where_a_link_leads() {
    let app = app_with(&[("http.cors_origins", "https://app.example")]).await;
    link(&app, "sale", "https://example.com/").await;
    let answer = visit_as(&app, Method::GET, "/sale", &[("origin", "https://app.example")]).await;
    answer.is(302);
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials")), ("", ""));
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    let answer = visit_as(&app, Method::OPTIONS, "/sale", &preflight).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let answer = visit_as(&app, Method::OPTIONS, "/api/v1/links", &preflight).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
}

#[tokio::test]
async fn inv_l15_permanent_redirects_are_kept_for_minutes_and_never_past_their_end() {
    let app = app().await;
    for (slug, status) in [("a", 301), ("b", 308)] {
        make(&app, json!({ "url": "https://example.com/", "slug": slug, "redirect_status": status, "is_crawlable": true }))
            .await
            .expect(201);
        let answer = visit(&app, &format!("/{slug}")).await;
        answer.is(status);
        assert_eq!((answer.header("cache-control"), answer.header("x-robots-tag")), ("private, max-age=300", ""));
    }
    let body = json!({ "url": "https://example.com/", "slug": "c", "redirect_status": 301, "expires_at": "2026-11-22T12:01:00.000Z" });
    make(&app, body).await.expect(201);
    assert_eq!(visit(&app, "/c").await.header("cache-control"), "private, max-age=60");
    make(&app, json!({ "url": "https://example.com/", "slug": "d", "redirect_status": 301, "max_clicks": 9 })).await.expect(201);
    assert_eq!(visit(&app, "/d").await.header("cache-control"), "private, no-store");
}

#[tokio::test]
async fn inv_l13_head_answers_as_get_does() {
    let app = app().await;
    link(&app, "sale", "https://example.com/").await;
    let (get, head) = (visit(&app, "/sale").await, visit_as(&app, Method::HEAD, "/sale", &[("user-agent", FIREFOX)]).await);
    assert_eq!(get.status, head.status);
    for name in ["location", "cache-control", "x-robots-tag", "content-type", "content-length", "referrer-policy"] {
        assert_eq!(get.header(name), head.header(name), "{name}");
    }
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn other_methods_are_redirected_only_where_they_are_kept() {
    let app = app().await;
    for status in [301, 302, 307, 308] {
        let slug = format!("s{status}");
        make(&app, json!({ "url": "https://example.com/", "slug": slug, "redirect_status": status })).await.expect(201);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = visit_as(&app, method.clone(), &format!("/{slug}"), &[]).await;
            answer.is(if status >= 307 { status } else { 404 });
        }
    }
    // A slash at the end is canonicalised for reads, and ignored where the method is kept.
    visit_as(&app, Method::POST, "/s307/", &[]).await.is(307);
    visit(&app, "/s302/").await.is(308);
}

#[tokio::test]
async fn validity_begins_and_ends() {
    let app = app().await;
    let body = json!({ "url": "https://example.com/", "slug": "a", "valid_from": "2026-11-22T13:00:00.000Z", "expires_at": "2026-11-22T14:00:00.000Z" });
    make(&app, body).await.expect(201);
    let body = json!({ "url": "https://example.com/", "slug": "b", "expires_at": "2026-11-22T12:00:01.000Z", "expired_url": "https://example.com/over" });
    make(&app, body).await.expect(201);
    visit(&app, "/a").await.is(404);
    visit(&app, "/b").await.leads_to("https://example.com/");
    app.advance(HOUR);
    visit(&app, "/a").await.leads_to("https://example.com/");
    let over = visit(&app, "/b").await;
    over.leads_to("https://example.com/over");
    assert_eq!((over.status.as_u16(), over.header("cache-control")), (302, "private, no-store"));
    app.advance(HOUR);
    visit(&app, "/a").await.is(410);
}

#[tokio::test]
async fn inv_l16_a_banned_link_is_over_and_a_quarantined_one_looks_like_none() {
    let app = app().await;
    for (slug, status) in [("bad", "banned"), ("odd", "quarantined")] {
        make(&app, json!({ "url": "https://example.com/", "slug": slug, "title": status })).await.expect(201);
    }
    let decided = app.kernel().db().write(|tx| tx.execute("UPDATE links_links SET status = title", db::params![]));
    decided.await.expect("written");
    visit(&app, "/bad").await.is(410);
    visit(&app, "/odd").await.is(404);
}

#[tokio::test]
async fn inv_l16_what_looks_like_no_link_looks_the_same() {
    let app = app().await;
    make(&app, json!({ "url": "https://example.com/", "slug": "later", "valid_from": "2027-01-01T00:00:00.000Z" })).await.expect(201);
    let off = link(&app, "off", "https://example.com/").await;
    app.post(&format!("{}/actions/disable", path_of(&off))).by(&ada()).await.expect(200);
    let gone = link(&app, "gone", "https://example.com/").await;
    app.delete(&path_of(&gone)).by(&ada()).await.expect(204);
    let mut seen = Vec::new();
    for path in ["/later", "/off", "/gone", "/never"] {
        let answer = visit_as(&app, Method::GET, path, &[("x-request-id", "the-same-for-all")]).await;
        answer.is(404);
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        seen.push((answer.body.replace(path, "/x"), names));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
}

/// A visit from this address.
async fn from(app: &App, address: &str, path: &str) -> Answer {
    visit_as(app, Method::GET, path, &[("x-forwarded-for", address)]).await
}

#[tokio::test]
async fn inv_l16_a_network_that_guesses_is_held_back_and_links_still_work() {
    let app = app_with(&[("http.trusted_proxies", "loopback")]).await;
    link(&app, "sale", "https://example.com/").await;
    from(&app, "198.51.100.1", "/sale").await.is(302);
    for n in 0..60 {
        from(&app, &format!("203.0.113.{n}"), &format!("/guess{n}")).await.is(404);
    }
    let refused = from(&app, "203.0.113.99", "/guess").await;
    refused.is(429);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|secs| secs >= 1), "{refused:#?}");
    // What memory knows to be a link works, what it knows to be none is a guess as well.
    from(&app, "203.0.113.99", "/sale").await.is(302);
    from(&app, "203.0.113.99", "/guess1").await.is(429);
    from(&app, "203.0.114.1", "/guess").await.is(404);
    for n in 0..60 {
        from(&app, &format!("2001:db8:7:{n:x}::1"), "/guess").await.is(404);
    }
    from(&app, "2001:db8:7:ffff::1", "/guess").await.is(429);
    from(&app, "2001:db8:8::1", "/guess").await.is(404);
    app.advance(SECOND);
    from(&app, "203.0.113.99", "/guess").await.is(404);
}

#[tokio::test]
async fn inv_l16_a_scan_is_refused_before_the_database_is_asked() {
    let app = app_with(&[("http.trusted_proxies", "loopback")]).await;
    link(&app, "sale", "https://example.com/").await;
    make(&app, json!({ "url": "https://example.com/docs", "slug": "docs2", "forward_path": true })).await.expect(201);
    link(&app, "fresh", "https://example.com/").await;
    for path in ["/sale", "/docs2/a"] {
        from(&app, "198.51.100.1", path).await.is(302);
    }
    for n in 0..60 {
        from(&app, "203.0.113.1", &format!("/guess{n}")).await.is(404);
    }
    for path in ["/other", "/other/below", "/sale/below", "/%zz"] {
        let (refused, statements) = app.statements(from(&app, "203.0.113.2", path)).await;
        refused.is(429);
        assert_eq!(statements, 0, "{path}");
    }
    // A link that somebody followed before is read again, however old what memory holds of it.
    app.advance(Duration::from_millis(900));
    for _ in 0..2 {
        for path in ["/sale", "/docs2/a", "/docs2/b"] {
            from(&app, "203.0.113.2", path).await.is(302);
        }
        from(&app, "203.0.113.2", "/other").await.is(429);
        // Less than a second passes for the limit: somebody else guesses on.
        app.advance(6 * SECOND);
        for n in 0..6 {
            from(&app, "203.0.113.1", &format!("/more{n}")).await.is(404);
        }
    }
    // One that nobody followed looks like a guess to a network that only guesses, and to no other.
    from(&app, "203.0.113.2", "/fresh").await.is(429);
    from(&app, "198.51.100.1", "/fresh").await.is(302);
    from(&app, "203.0.113.2", "/fresh").await.is(302);
}

#[tokio::test]
async fn inv_l16_of_two_hundred_guesses_at_once_sixty_are_read() {
    let app = app().await;
    let client = client();
    let guesses = (0..200).map(|n| send(client.get(app.url(&format!("/guess{n}")))));
    let (answers, statements) = app.statements(futures_util::future::join_all(guesses)).await;
    assert_eq!((answers_with(&answers, 404), answers_with(&answers, 429), statements), (60, 140, 60));
}

#[tokio::test]
async fn inv_l16_links_that_are_found_use_up_no_guesses() {
    let app = app().await;
    for n in 0..100 {
        link(&app, &format!("s{n}"), "https://example.com/").await;
    }
    for n in 0..100 {
        visit(&app, &format!("/s{n}")).await.is(302);
    }
    visit(&app, "/guess").await.is(404);
}

#[tokio::test]
async fn redirects_are_measured_under_one_route_however_many_paths_there_are() {
    let app = app().await;
    for slug in ["sale", "a/b"] {
        link(&app, slug, "https://example.com/").await;
    }
    for path in ["/sale", "/a/b", "/SALE"] {
        visit(&app, path).await.is(302);
    }
    for n in 0..61 {
        visit(&app, &format!("/guess{n}")).await;
    }
    let counted = async |route: &str, status: &str| {
        metric(&app, &format!("http_request_seconds_count{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}")).await
    };
    assert!(counted("/{slug}", "302").await.ends_with(" 3"));
    assert!(counted("/{slug}", "429").await.ends_with(" 1"));
    // What is no link is nobody's.
    assert!(counted("unmatched", "404").await.ends_with(" 60"));
    assert_eq!(counted("unmatched", "302").await, "");
}

#[tokio::test]
async fn inv_l16_a_path_that_was_missing_works_once_it_is_made() {
    let app = app().await;
    visit(&app, "/soon").await.is(404);
    visit(&app, "/soon").await.is(404);
    link(&app, "soon", "https://example.com/").await;
    visit(&app, "/soon").await.leads_to("https://example.com/");
}

#[tokio::test]
async fn inv_l7_query_and_path_go_along_where_the_link_says_so() {
    let app = app().await;
    link(&app, "plain", "https://example.com/a?x=1").await;
    make(&app, json!({ "url": "https://example.com/a?x=1#f", "slug": "merge", "forward_query": "merge" })).await.expect(201);
    make(&app, json!({ "url": "https://example.com/a?x=1#f", "slug": "override", "forward_query": "override" })).await.expect(201);
    make(&app, json!({ "url": "https://example.com/docs/?v=1", "slug": "Docs2", "forward_path": true })).await.expect(201);
    link(&app, "docs2/exact", "https://example.com/exact").await;
    for (path, target) in [
        ("/plain?x=2", "https://example.com/a?x=1"),
        ("/merge?x=2&y=3&qr", "https://example.com/a?x=1&y=3#f"),
        ("/override?x=2&y=3", "https://example.com/a?x=2&y=3#f"),
        ("/docs2", "https://example.com/docs/?v=1"),
        ("/docs2/Install/Linux", "https://example.com/docs/Install/Linux?v=1"),
        ("/docs2/a%2Fb%3Fc", "https://example.com/docs/a/b%3Fc?v=1"),
        ("/docs2/exact", "https://example.com/exact"),
        ("/docs2/exact/more", "https://example.com/docs/exact/more?v=1"),
        ("/DOCS2/x", "https://example.com/docs/x?v=1"),
    ] {
        // The second time from memory.
        visit(&app, path).await.leads_to(target);
        visit(&app, path).await.leads_to(target);
    }
    visit(&app, "/plain/more").await.is(404);
    visit(&app, "/docs2/..%2f..%2fx").await.is(404);
}

#[tokio::test]
async fn malformed_paths_are_not_found_and_reflect_nothing() {
    let app = app().await;
    for path in ["/%", "/%zz", "/%ff%fe", "/a%00b", "/a%0d%0aSet-Cookie:x", "/a//b", "/%2e%2e/x", &format!("/{}", "x".repeat(3_000))] {
        let (status, head, body) =
            raw(&app, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(status, 404, "{path:.40}: {head}");
        assert!(!head.to_lowercase().contains("set-cookie") && !body.contains("xxxx"), "{head}{body}");
    }
    let (status, ..) = raw(&app, &format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "x".repeat(9_000))).await;
    assert_eq!(status, 414);
    let (status, ..) = raw(&app, "BREW /sale HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status, 404);
}

/// Sends these very bytes, and gives status, head and body.
async fn raw(app: &App, request: &str) -> (u16, String, String) {
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn r9_no_link_takes_an_address_of_the_server() {
    let app = app().await;
    let mut parts: Vec<String> =
        kernel::http::reserved_segments(app.kernel()).iter().map(ToString::to_string).filter(|part| !part.is_empty()).collect();
    parts.extend(["admin", "Login", "graphql", "static", "feeds", "favicon.ico", "robots.txt", "yourls-api.php"].map(str::to_owned));
    for part in parts {
        for slug in [part.clone(), format!("{part}/x"), part.to_uppercase()] {
            // A leading dot is no slug to begin with.
            if let Some(refused) = (!part.starts_with('.')).then(|| make(&app, json!({ "url": "https://example.com/", "slug": slug }))) {
                refused.await.expect(422).problem("slug_reserved").field("/slug", "slug_reserved");
            }
        }
    }
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 0);
    make(&app, json!({ "url": "https://example.com/", "slug": "apis" })).await.expect(201);
}

#[tokio::test]
async fn inv_l18_what_may_come_is_reserved_and_the_operator_hears_of_what_is_hidden() {
    let app = app().await;
    for part in ["feeds", "login", "static", "assets", "graphql", "realworld", "rest", "yourls-api.php", "favicon.ico"] {
        make(&app, json!({ "url": "https://example.com/", "slug": part })).await.problem("slug_reserved");
    }
    let findings = async || {
        let findings = app.kernel().findings().await.expect("findings");
        findings.into_iter().filter(|(module, _)| *module == "links").map(|(_, finding)| finding.text).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(findings().await, "");
    // A module that was switched on later has a route where a link is: the route wins.
    link(&app, "later", "https://example.com/").await;
    let moved = app.kernel().db().write(|tx| tx.execute("UPDATE links_links SET slug = 'api/x', slug_key = 'api/x'", db::params![]));
    moved.await.expect("written");
    assert!(findings().await.contains("/api/x"));
    visit(&app, "/api/x").await.is(404);
}

#[tokio::test]
async fn a_host_of_their_own_serves_links_alone() {
    let app = app_with(&[("links.host", "go.example")]).await;
    let made = link(&app, "sale", "https://example.com/").await;
    assert_eq!((&made["short_url"], &made["domain"]), (&json!("http://go.example/sale"), &json!("go.example")));
    visit(&app, "/sale").await.is(404);
    visit_as(&app, Method::GET, "/sale", &[("host", "go.example")]).await.is(302);
    visit_as(&app, Method::GET, "/sale", &[("host", "GO.example:8000")]).await.is(302);
}

#[tokio::test]
async fn inv_l8_links_that_lead_in_circles_are_refused() {
    let app = app().await;
    let own = |path: &str| format!("http://undercroft.test/{path}");
    make(&app, json!({ "url": own("a"), "slug": "a" })).await.expect(422).problem("redirect_loop").field("/url", "redirect_loop");
    make(&app, json!({ "url": own("A/?x=1"), "slug": "a" })).await.problem("redirect_loop");
    make(&app, json!({ "url": own("b"), "slug": "a" })).await.expect(201);
    make(&app, json!({ "url": own("a"), "slug": "b" })).await.problem("redirect_loop");
    make(&app, json!({ "url": own("p/q"), "slug": "p", "forward_path": true })).await.problem("redirect_loop");
    make(&app, json!({ "url": "https://example.com/", "slug": "e", "expired_url": own("e") }))
        .await
        .problem("redirect_loop")
        .field("/expired_url", "redirect_loop");
    let b = link(&app, "b", "https://example.com/").await;
    app.patch(&path_of(&b)).by(&ada()).json(&json!({ "url": own("a") })).await.problem("redirect_loop");
    // Five links of our own are fine, a sixth is too many.
    link(&app, "h1", "https://example.com/").await;
    for n in 2..=6 {
        link(&app, &format!("h{n}"), &own(&format!("h{}", n - 1))).await;
    }
    make(&app, json!({ "url": own("h6"), "slug": "h7" })).await.problem("redirect_loop");
}

#[tokio::test]
async fn inv_l8_two_who_close_a_circle_at_once_do_not_both_succeed() {
    let app = app().await;
    for round in 0..10 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let requests =
            [(&a, &b), (&b, &a)].map(|(slug, to)| make(&app, json!({ "url": format!("http://undercroft.test/{to}"), "slug": slug })));
        let answers = at_once(requests).await;
        assert_eq!(count(&answers, 201), 1, "{answers:#?}");
    }
}

#[tokio::test]
async fn a_redirect_from_memory_asks_the_database_nothing() {
    let app = app().await;
    link(&app, "sale", "https://example.com/").await;
    visit(&app, "/sale").await.is(302);
    let (answer, statements) = app.statements(visit(&app, "/sale")).await;
    answer.is(302);
    assert_eq!(statements, 0);
    app.advance(5 * SECOND);
    let (answer, statements) = app.statements(visit(&app, "/sale")).await;
    answer.is(302);
    assert_eq!(statements, 1, "believed for five seconds, then read once");
}
