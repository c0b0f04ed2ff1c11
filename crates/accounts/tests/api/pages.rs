//! The hosted pages, as a browser without JavaScript uses them (accounts.md §5.3).

use std::collections::BTreeMap;

use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use testkit::{Node, PASSWORD, Request, TestApp, TestResponse, code_in, token_in};

use crate::support::*;

/// A browser without JavaScript: it keeps cookies and fills in forms.
pub(crate) struct Tab<'a> {
    app: &'a Node,
    language: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl<'a> Tab<'a> {
    pub(crate) fn new(app: &'a Node) -> Tab<'a> {
        Tab { app, language: "en", cookies: BTreeMap::new() }
    }

    /// Somebody with an account, logged in.
    pub(crate) async fn of(app: &'a Node, email: &str) -> Tab<'a> {
        let mut tab = Tab::new(app);
        tab.log_in(email, PASSWORD).await.expect(303);
        tab
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let request = self.app.request(method, path).header("Accept", "text/html").header("Accept-Language", self.language);
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("Cookie", &cookies.join("; ")) }
    }

    fn keep(&mut self, answer: &TestResponse) {
        for line in answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text")) {
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> TestResponse {
        let answer = self.request(Method::GET, path).await;
        self.keep(&answer);
        answer
    }

    /// A form as it is posted, with whatever it holds.
    fn posting(&self, action: &str, fields: &[(&str, &str)]) -> Request {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request(Method::POST, action).body("application/x-www-form-urlencoded", body)
    }

    pub(crate) async fn post(&mut self, action: &str, fields: &[(&str, &str)]) -> TestResponse {
        let answer = self.posting(action, fields).header("Sec-Fetch-Site", "same-origin").await;
        self.keep(&answer);
        answer
    }

    /// Opens a page and posts its form.
    pub(crate) async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> TestResponse {
        let shown = self.get(page).await.expect(200);
        let token = form_token(&shown, action);
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post(action, &fields).await
    }

    async fn log_in(&mut self, identifier: &str, password: &str) -> TestResponse {
        self.submit("/account/login", "/account/login", &[("identifier", identifier), ("password", password)]).await
    }

    /// The page that an answer leads to.
    async fn follow(&mut self, answer: &TestResponse) -> TestResponse {
        assert_eq!(answer.status, 303, "{answer}");
        self.get(answer.header("location")).await
    }
}

pub(crate) fn html(answer: &TestResponse) -> String {
    String::from_utf8(answer.bytes.clone()).expect("UTF-8")
}

/// The synchroniser token of the form with this action.
pub(crate) fn form_token(page: &TestResponse, action: &str) -> String {
    let html = html(page);
    let form = html
        .split("<form")
        .find(|form| form.contains(&format!("action=\"{action}\"")))
        .unwrap_or_else(|| panic!("no form {action}: {html}"));
    let after = form.split("name=\"form_token\" value=\"").nth(1).unwrap_or_else(|| panic!("no token: {form}"));
    after.split('"').next().unwrap_or_default().to_owned()
}

/// Every page and form of ours: method, path, access.
pub(crate) fn pages(app: &TestApp) -> Vec<(Method, &'static str, Access)> {
    let all = app.kernel().plan().operations().filter(|operation| operation.path().starts_with("/account"));
    all.map(|operation| (operation.method().clone(), operation.path(), operation.access())).collect()
}

async fn site() -> TestApp {
    let app = app().await;
    app.member(ADA).await;
    app
}

#[tokio::test]
async fn a_person_signs_up_logs_out_and_in_and_changes_the_password_without_javascript() {
    let app = app().await;
    let mut tab = Tab::new(&app);
    let begun = tab.submit("/account/signup", "/account/signup", &[("email", ADA), ("password", PASSWORD)]).await;
    assert_eq!(begun.header("location"), "/account/complete");
    let page = html(&tab.follow(&begun).await);
    assert!(!page.contains("name=\"password\""), "who began here needs no password: {page}");
    let code = code_in(&app.last_mail_to(ADA).await);
    let fields = [("proof", code.as_str()), ("display_name", "Ada"), ("username", "countess")];
    let done = tab.submit("/account/complete", "/account/complete", &fields).await;
    let account = html(&tab.follow(&done).await.expect(200));
    assert!(account.contains("Welcome!") && account.contains(ADA) && account.contains("countess"), "{account}");
    assert!(!tab.cookies.contains_key("signup"), "the sign-up is over");

    let out = tab.submit("/account", "/account/logout", &[]).await;
    assert_eq!((out.header("location"), out.header("clear-site-data")), ("/account/login?done=logout", "\"cache\", \"storage\""));
    assert!(!tab.cookies.contains_key("sid") && tab.cookies.contains_key("device"), "{:?}", tab.cookies);
    let back = tab.log_in("COUNTESS", PASSWORD).await;
    assert_eq!(back.header("location"), "/account");

    let fields = [("current_password", PASSWORD), ("new_password", OTHER)];
    let changed = tab.submit("/account/password", "/account/password", &fields).await;
    assert!(html(&tab.follow(&changed).await.expect(200)).contains("Your password is changed."));
    Tab::new(&app).log_in(ADA, PASSWORD).await.expect(401);
    Tab::new(&app).log_in(ADA, OTHER).await.expect(303);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst7_a_forgotten_password_is_set_anew_and_nobody_is_logged_in_by_it() {
    let app = site().await;
    let (mut old, mut tab) = (Tab::of(&app, ADA).await, Tab::new(&app));
    let asked = tab.submit("/account/reset", "/account/reset", &[("email", ADA)]).await;
    assert!(html(&tab.follow(&asked).await).contains("a mail with a link is on its way"));
    let mail = app.last_mail_to(ADA).await;
    let link = format!("http://undercroft.test/account/reset/confirm#{}", token_in(&mail));
    assert!(mail.text.contains(&link), "{}", mail.text);
    let set = tab.submit("/account/reset/confirm", "/account/reset/confirm", &[("proof", &link), ("password", OTHER)]).await;
    assert_eq!((set.header("location"), set.headers.get_all("set-cookie").iter().count()), ("/account/login?done=reset", 0));
    assert_eq!(old.get("/account").await.expect(303).header("location"), "/account/login?next=%2Faccount");
    tab.log_in(ADA, OTHER).await.expect(303);
    let again = tab.submit("/account/reset/confirm", "/account/reset/confirm", &[("proof", &link), ("password", PASSWORD)]).await;
    assert!(html(&again.expect(410)).contains("was used already"));
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn3_another_browser_completes_a_sign_up_with_its_password_only() {
    let app = app().await;
    let mut tab = Tab::new(&app);
    tab.submit("/account/signup", "/account/signup", &[("email", ADA), ("password", PASSWORD)]).await.expect(303);
    let token = token_in(&app.last_mail_to(ADA).await);
    let mut phone = Tab::new(&app);
    let complete = "/account/complete";
    let bare = phone.submit(complete, complete, &[("proof", &token), ("password", "")]).await.expect(400);
    assert!(html(&bare).contains("role=\"alert\""));
    phone.submit(complete, complete, &[("proof", &token), ("password", WRONG)]).await.expect(400);
    let done = phone.submit(complete, complete, &[("proof", &token), ("password", PASSWORD)]).await;
    assert_eq!(done.header("location"), "/account?done=welcome", "{done}");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst5_opening_the_page_of_a_mailed_link_ten_times_changes_nothing() {
    let app = site().await;
    let waiting = pending_of(&app, BOB).await;
    let reset_token = reset_token(&app, ADA).await;
    app.run_jobs().await;
    let before = app.kernel().db().dump_text().unwrap();
    for _ in 0..10 {
        for (path, token) in
            [("/account/complete", &waiting.token), ("/account/reset/confirm", &reset_token), ("/account/email", &reset_token)]
        {
            for method in [Method::GET, Method::HEAD] {
                let path = format!("{path}?token={token}&proof={token}&undo={token}");
                let answer = app.request(method, &path).header("Accept", "text/html").header("Sec-Purpose", "prefetch").await.expect(200);
                assert!(!html(&answer).contains(token.as_str()), "a token in a query is not even looked at");
            }
        }
    }
    assert_eq!(app.kernel().db().dump_text().unwrap(), before);
    reset(&app, &reset_token, OTHER).await.expect(204);
    complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_an_address_is_changed_and_taken_back_by_pasted_links() {
    let app = site().await;
    let mut tab = Tab::of(&app, ADA).await;
    let asked = tab.submit("/account/email/new", "/account/email/new", &[("email", "countess@example.com")]).await;
    assert!(html(&tab.follow(&asked).await).contains("countess@example.com"));
    for to in ["countess@example.com", ADA] {
        let link = format!("http://undercroft.test/account/email#{}", token_in(&app.last_mail_to(to).await));
        let done = Tab::new(&app).submit("/account/email", "/account/email", &[("proof", &link)]).await;
        assert_eq!(done.header("location"), "/account/email?done=confirmed", "{done}");
    }
    assert!(html(&tab.get("/account").await).contains("countess@example.com"));
    let link = app.last_mail_to(ADA).await.text.split_whitespace().find(|word| word.contains("#undo=")).unwrap().to_owned();
    let undone = Tab::new(&app).submit("/account/email", "/account/email", &[("proof", &link)]).await;
    assert_eq!(undone.header("location"), "/account/email?done=undone");
    tab.get("/account").await.expect(303);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_a_change_of_address_that_waits_is_cancelled() {
    let app = site().await;
    let mut tab = Tab::of(&app, ADA).await;
    tab.submit("/account/email/new", "/account/email/new", &[("email", "countess@example.com")]).await.expect(303);
    let page = html(&tab.get("/account").await);
    let id = page.split("name=\"change_id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    app.member(BOB).await;
    let mut bob = Tab::of(&app, BOB).await;
    bob.submit("/account/email/new", "/account/email/new", &[("email", "bobby@example.com")]).await.expect(303);
    bob.submit("/account", "/account/email/cancel", &[("change_id", &id)]).await.expect(404);
    let done = tab.submit("/account", "/account/email/cancel", &[("change_id", &id)]).await;
    assert_eq!(done.header("location"), "/account?done=canceled");
    assert!(!html(&tab.get("/account").await).contains("countess@example.com"));
    app.run_jobs().await;
}

#[tokio::test]
async fn an_invitation_is_accepted_or_declined_on_its_page() {
    let app = app().await;
    let owner = app.owner().await;
    let page = "/account/invitation";
    for (email, act) in [("grace@example.com", ""), ("jean@example.com", "decline")] {
        app.post("/api/v1/users").by(&owner).json(&json!({ "email": email, "roles": ["admin"] })).await.expect(202);
        let mail = app.last_mail_to(email).await;
        let link = format!("http://undercroft.test/account/invitation#{}", token_in(&mail));
        assert!(mail.text.contains(&link), "{}", mail.text);
        let mut tab = Tab::new(&app);
        let short = tab.submit(page, page, &[("proof", &link), ("password", "short"), ("act", "accept")]).await.expect(422);
        assert!(html(&short).contains("href=\"#f-password\""));
        let password = if act.is_empty() { PASSWORD } else { "" };
        let done = tab.submit(page, page, &[("proof", &link), ("password", password), ("act", act)]).await;
        let target = if act.is_empty() { "/account?done=welcome" } else { "/account/invitation?done=declined" };
        assert_eq!(done.header("location"), target, "{done}");
        tab.follow(&done).await.expect(200);
        let again = tab.submit(page, page, &[("proof", &link), ("password", PASSWORD)]).await;
        assert!(matches!(again.status.as_u16(), 400 | 410), "{again}");
    }
    log_in(&app, "grace@example.com", PASSWORD).await.expect(200);
    log_in(&app, "jean@example.com", PASSWORD).await.expect(401);
    app.run_jobs().await;
}

#[tokio::test]
async fn ses2_who_stays_logged_in_holds_a_cookie_that_lasts() {
    let app = site().await;
    for (remember, end) in [("yes", "; Max-Age=2592000"), ("", "")] {
        let fields = [("identifier", ADA), ("password", PASSWORD), ("remember", remember)];
        let answer = Tab::new(&app).submit("/account/login", "/account/login", &fields).await.expect(303);
        let (sessions, devices) = cookies_in(&answer);
        assert!(sessions[0].ends_with(&format!("; Path=/; HttpOnly; SameSite=Lax{end}")), "{sessions:?}");
        assert_eq!((sessions.len(), devices.len()), (1, 1));
    }
}

#[tokio::test]
async fn ses11_every_page_has_every_header() {
    let app = app_with(&[("public_url", "https://undercroft.test")]).await;
    app.member(ADA).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; object-src 'none'; \
                  base-uri 'none'; frame-ancestors 'none'";
    let mut ada = Tab::of(&app, ADA).await;
    assert_eq!(ada.cookies.keys().collect::<Vec<_>>(), ["__Host-device", "__Host-form", "__Host-sid"]);
    let mut count = 0;
    for (method, path, _) in pages(&app) {
        let answers = match method {
            Method::GET => vec![ada.get(path).await.expect(200), Tab::new(&app).get(path).await],
            // Without a token: the page of an error.
            _ => vec![ada.post(path, &[]).await.expect(403), Tab::new(&app).post(path, &[]).await],
        };
        for answer in answers {
            assert_eq!(answer.header("cache-control"), "no-store", "{answer}");
            assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
            assert_eq!((answer.header("x-content-type-options"), answer.header("referrer-policy")), ("nosniff", "no-referrer"));
            if answer.status == 303 {
                continue;
            }
            assert_eq!(answer.header("content-security-policy"), policy, "{answer}");
            assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            let html = html(&answer);
            assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick") && !html.contains("<script>"));
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
    let squeezed = app.get("/account/login").header("Accept-Encoding", "gzip, br").await;
    assert_eq!(squeezed.header("content-encoding"), "", "a page with a secret is not compressed (BREACH)");
    app.run_jobs().await;
}

#[tokio::test]
async fn ses2_the_cookies_of_the_pages_are_bound_to_the_host() {
    let app = app_with(&[("public_url", "https://undercroft.test")]).await;
    let shown = app.get("/account/signup").await.expect(200);
    let mut tab = Tab::new(&app);
    let begun = tab.submit("/account/signup", "/account/signup", &[("email", ADA), ("password", PASSWORD)]).await;
    for (answer, name, end) in [(&shown, "__Host-form", ""), (&begun, "__Host-signup", "; Max-Age=86400")] {
        let line = answer.header("set-cookie");
        let (pair, attributes) = line.split_once(';').unwrap();
        assert_eq!(pair.split('=').next(), Some(name));
        assert_eq!(attributes, format!(" Path=/; Secure; HttpOnly; SameSite=Lax{end}"));
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn ses6_a_form_needs_a_token_of_its_own_page_and_browser() {
    let app = site().await;
    let mut tab = Tab::new(&app);
    let login = form_token(&tab.get("/account/login").await, "/account/login");
    let reset = form_token(&tab.get("/account/reset").await, "/account/reset");
    let other = form_token(&Tab::new(&app).get("/account/login").await, "/account/login");
    let truncated = &login[..login.len() - 1];
    for token in ["", "nonsense", &reset, &other, truncated, &"A".repeat(43)] {
        let fields = [("identifier", ADA), ("password", PASSWORD), ("form_token", token)];
        let refused = tab.post("/account/login", &fields).await.expect(403);
        assert!(html(&refused).contains("csrf_failed") && refused.header("set-cookie").is_empty(), "{refused}");
    }
    let fields = [("identifier", ADA), ("password", PASSWORD)];
    tab.post("/account/login", &fields).await.expect(403);
    let twice = [("identifier", ADA), ("password", PASSWORD), ("form_token", &login), ("form_token", &login)];
    tab.post("/account/login", &twice).await.expect(403);
    Tab::new(&app).post("/account/login", &twice[..3]).await.expect(403);
    tab.post("/account/login", &twice[..3]).await.expect(303);
}

#[tokio::test]
async fn ses6_a_form_needs_a_token_of_its_own_session() {
    let app = site().await;
    app.member(BOB).await;
    let (mut ada, mut bob) = (Tab::of(&app, ADA).await, Tab::of(&app, BOB).await);
    let page = ada.get("/account").await;
    let (of_ada, of_bob) = (form_token(&page, "/account/logout"), form_token(&bob.get("/account").await, "/account/logout"));
    let mut again = Tab::of(&app, ADA).await;
    let of_another = form_token(&again.get("/account").await, "/account/logout");
    for token in [&of_bob, &of_another] {
        ada.post("/account/logout", &[("form_token", token)]).await.expect(403);
    }
    ada.get("/account").await.expect(200);
    ada.post("/account/logout", &[("form_token", &of_ada)]).await.expect(303);
    ada.get("/account").await.expect(303);
}

#[tokio::test]
async fn ses6_another_site_can_post_no_form_even_with_its_token() {
    let app = site().await;
    let mut tab = Tab::new(&app);
    let token = form_token(&tab.get("/account/login").await, "/account/login");
    let fields = [("identifier", ADA), ("password", PASSWORD), ("form_token", token.as_str())];
    for headers in [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.test")][..],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://other.undercroft.test")],
        &[("Origin", "https://evil.test")],
        &[("Origin", "null")],
        &[],
    ] {
        let request = headers.iter().fold(tab.posting("/account/login", &fields), |request, (name, value)| request.header(name, value));
        let refused = request.await.expect(403);
        assert!(html(&refused).contains("csrf_failed") && refused.header("set-cookie").is_empty(), "{headers:?}");
    }
    let ours = tab.posting("/account/login", &fields).header("Origin", "http://undercroft.test").await;
    assert_eq!(ours.status, 303);
}

#[tokio::test]
async fn fed6_a_login_leads_to_our_own_pages_and_configured_origins_only() {
    let app = app_with(&[("accounts.allowed_redirect_origins", "https://app.example")]).await;
    app.member(ADA).await;
    let policy = app.get("/account/login").await.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' https://app.example;"), "browsers apply it to redirects after a form: {policy}");
    let mut tab = Tab::new(&app);
    let token = form_token(&tab.get("/account/login").await, "/account/login");
    let mut lands = async |next: &str| {
        let fields = [("identifier", ADA), ("password", PASSWORD), ("next", next), ("form_token", token.as_str())];
        tab.post("/account/login", &fields).await.expect(303).header("location").to_owned()
    };
    for (next, target) in [
        ("/account/password", "/account/password"),
        ("/account?done=welcome#x", "/account?done=welcome#x"),
        ("http://undercroft.test/account/email/new", "/account/email/new"),
        ("/nowhere/../account/password", "/account/password"),
        ("https://app.example/cart?id=1", "https://app.example/cart?id=1"),
    ] {
        assert_eq!(lands(next).await, target, "{next}");
    }
    let elsewhere = [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "/account\r\nSet-Cookie: x=y",
        "\u{1}/account",
        " /account",
        "https://evil.test/account",
        "https://app.example.evil.test/",
        "http://app.example/",
        "https://app.example:8443/",
        "https://app.example@evil.test/",
        "https://evil@app.example/",
        "http://undercroft.test@evil.test/",
        "http://undercroft.test:81/account",
        "javascript:alert(1)",
        "data:text/html,x",
        "mailto:x@evil.test",
        // What no route takes may be a short link (POS-6).
        "/black-friday",
        "http://undercroft.test/black-friday",
        "/account/../black-friday",
        "/%61ccount",
        "/",
        "",
    ];
    for next in elsewhere.into_iter().chain([format!("/account?{}", "a".repeat(3000)).as_str()]) {
        assert_eq!(lands(next).await, "/account", "{next:?}");
    }
    let page = html(&Tab::new(&app).get("/account/login?next=//evil.test").await);
    assert!(!page.contains("evil"), "{page}");
}

/// A page without what its form was given and proves.
fn without(answer: &TestResponse, email: &str) -> (u16, Vec<String>, String) {
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    let body = html(answer);
    let token = body.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("no token").to_owned();
    (answer.status.as_u16(), names, body.replace(&token, "").replace(email, ""))
}

#[tokio::test]
async fn enu1_a_failed_login_shows_one_page_for_known_and_unknown_names() {
    let app = site().await;
    app.member(BOB).await;
    command(&app, &["user", "disable", BOB]).await.unwrap_or_else(|error| panic!("{error:?}"));
    pending(&app, json!({ "email": "carl@example.com", "password": PASSWORD })).await;
    let unknown = without(&Tab::new(&app).log_in("nobody@example.com", WRONG).await, "nobody@example.com");
    assert_eq!(unknown.0, 401);
    for (email, password) in [(ADA, WRONG), (BOB, PASSWORD), (BOB, WRONG), ("carl@example.com", PASSWORD), ("nobody", PASSWORD)] {
        assert_eq!(without(&Tab::new(&app).log_in(email, password).await, email), unknown, "{email}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn enu3_signing_up_and_asking_for_a_reset_show_one_page_for_free_and_taken_addresses() {
    let app = site().await;
    let follow = async |page: &str, email: &str, fields: &[(&str, &str)]| {
        let mut tab = Tab::new(&app);
        let posted = tab.submit(page, page, fields).await;
        let mut names: Vec<String> = posted.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        let location = posted.header("location").to_owned();
        (posted.status, location, names, without(&tab.follow(&posted).await, email))
    };
    let mut seen = Vec::new();
    for email in ["nobody@example.com", ADA] {
        let signup = follow("/account/signup", email, &[("email", email), ("password", OTHER)]).await;
        let reset = follow("/account/reset", email, &[("email", email)]).await;
        // Two forms on the page of the sign-up: what is left of its tokens differs by chance.
        seen.push((signup.0, signup.1, signup.2, signup.3.0, signup.3.1, signup.3.2.len(), reset));
    }
    assert_eq!(seen[0], seen[1]);
    app.run_jobs().await;
}

#[tokio::test]
async fn log1_the_wait_is_told_in_words_and_in_the_header() {
    let app = site().await;
    let mut tab = Tab::new(&app);
    for _ in 0..5 {
        tab.log_in(ADA, WRONG).await.expect(401);
    }
    let waiting = tab.log_in(ADA, PASSWORD).await.expect(429);
    assert!(html(&waiting).contains("Try again in a few seconds."), "{waiting}");
    assert_eq!(waiting.header("retry-after"), "1");
    app.advance(SECOND);
    tab.log_in(ADA, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn log3_a_hurried_visitor_gets_a_page_that_says_so() {
    let app = app_with(&[("limits.auth_per_minute", "2")]).await;
    let mut tab = Tab::new(&app);
    for _ in 0..2 {
        tab.log_in(ADA, WRONG).await.expect(401);
    }
    let hurried = tab.log_in(ADA, WRONG).await.expect(429);
    assert!(html(&hurried).contains("<title>One moment, please") && html(&hurried).contains("rate_limited"), "{hurried}");
    assert!(!hurried.header("retry-after").is_empty() && hurried.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn log2_a_device_that_is_known_logs_in_while_others_wait() {
    let app = site().await;
    let mut known = Tab::of(&app, ADA).await;
    for _ in 0..8 {
        Tab::new(&app).log_in(ADA, WRONG).await;
    }
    Tab::new(&app).log_in(ADA, PASSWORD).await.expect(429);
    known.log_in(ADA, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn pos4_a_name_full_of_markup_is_text() {
    let app = app().await;
    let name = "<img src=x onerror=alert(1)>\"'&{{7*7}}";
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let body = json!({ "token": waiting.token, "signup_token": waiting.handle, "display_name": name });
    complete(&app, &body).await.expect(201);
    let account = html(&Tab::of(&app, ADA).await.get("/account").await.expect(200));
    assert!(!account.contains("<img") && account.contains("&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;{{7*7}}"), "{account}");
    let mut tab = Tab::new(&app);
    let hostile = "\"><script>alert(1)</script>";
    let page = html(&tab.log_in(hostile, WRONG).await.expect(401));
    assert!(!page.contains("<script>") && page.contains("&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
    let page = html(&tab.get("/account/login?next=/account%22%3E%3Cscript%3E&done=%3Cscript%3E").await);
    assert!(!page.contains("<script>"), "{page}");
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd12_a_password_never_comes_back() {
    let app = site().await;
    let secret = "canary in the cellar";
    let (mut tab, mut ada) = (Tab::new(&app), Tab::of(&app, ADA).await);
    let answers = [
        tab.log_in("nobody@example.com", secret).await.expect(401),
        tab.log_in("", secret).await.expect(422),
        tab.submit("/account/signup", "/account/signup", &[("email", "no address"), ("password", secret)]).await.expect(422),
        tab.submit("/account/complete", "/account/complete", &[("proof", "x"), ("password", secret)]).await.expect(400),
        tab.submit("/account/reset/confirm", "/account/reset/confirm", &[("proof", "x"), ("password", secret)]).await.expect(400),
        tab.submit("/account/invitation", "/account/invitation", &[("proof", "x"), ("password", secret)]).await.expect(400),
        ada.submit("/account/confirm", "/account/confirm", &[("password", secret)]).await.expect(422),
        ada.submit("/account/password", "/account/password", &[("current_password", secret), ("new_password", secret)]).await.expect(422),
        ada.submit("/account/password", "/account/password", &[("current_password", ""), ("new_password", secret)]).await.expect(422),
        tab.submit("/account/signup", "/account/signup", &[("email", BOB), ("password", secret), ("x", secret)]).await.expect(422),
    ];
    for answer in answers {
        let html = html(&answer);
        assert!(html.contains("role=\"alert\"") || html.contains("validation_failed"), "{html}");
        assert!(!html.contains("canary"), "{html}");
    }
}

#[tokio::test]
async fn a1_every_error_is_announced_and_tied_to_its_field() {
    let app = app().await;
    let mut tab = Tab::new(&app);
    let wrong = tab.submit("/account/signup", "/account/signup", &[("email", "a@b"), ("password", "short")]).await.expect(422);
    let page = html(&wrong);
    assert!(page.contains("<title>Error: Create an account"), "{page}");
    assert!(page.contains("role=\"alert\"") && page.contains("href=\"#f-email\""));
    assert!(page.contains("aria-invalid=\"true\" aria-describedby=\"e-email\"") && page.contains("id=\"e-email\""));
    assert!(page.contains("value=\"a@b\""), "what was typed stays");
    let page = html(&tab.log_in("", "").await.expect(422));
    assert!(page.contains("href=\"#f-identifier\"") && page.contains("href=\"#f-password\""), "all at once: {page}");
    let page = html(&tab.log_in(&"n".repeat(321), WRONG).await.expect(422));
    assert!(page.contains("This is too long."), "{page}");
    let fields = [("proof", "x"), ("username", "a"), ("display_name", "\u{202e}x")];
    let page = html(&tab.submit("/account/complete", "/account/complete", &fields).await.expect(422));
    assert!(page.contains("href=\"#f-username\"") && page.contains("href=\"#f-display_name\""), "{page}");
}

#[tokio::test]
async fn nobody_is_led_to_the_login_and_back() {
    let app = site().await;
    for (method, path, access) in pages(&app) {
        let mut tab = Tab::new(&app);
        let is_own = matches!(access, Access::Authenticated);
        let answer = if method == Method::GET { tab.get(path).await } else { tab.post(path, &[]).await };
        match (is_own, method == Method::GET) {
            (true, true) => assert_eq!(answer.header("location"), format!("/account/login?next={}", path.replace('/', "%2F"))),
            (true, false) => assert!(answer.header("location").starts_with("/account/login?next=%2Faccount"), "{path} {answer}"),
            (false, true) => _ = answer.expect(200),
            (false, false) => _ = answer.expect(403),
        }
    }
    let mut tab = Tab::new(&app);
    let turned = tab.get("/account/email/new").await;
    let page = tab.follow(&turned).await.expect(200);
    let fields = [("identifier", ADA), ("password", PASSWORD), ("next", "/account/email/new")];
    assert!(html(&page).contains("name=\"next\" value=\"/account/email/new\""));
    let back = tab.submit(turned.header("location"), "/account/login", &fields).await;
    assert_eq!(back.header("location"), "/account/email/new");
    // An old cookie does not stand in the way of those who want to log in again.
    app.advance(8 * DAY);
    tab.get("/account").await.expect(303);
    tab.log_in(ADA, PASSWORD).await.expect(303);
    tab.get("/account").await.expect(200);
}

#[tokio::test]
async fn ses10_an_old_login_is_confirmed_before_anything_is_typed() {
    let app = site().await;
    let mut tab = Tab::of(&app, ADA).await;
    let token = form_token(&tab.get("/account/password").await, "/account/password");
    app.advance(11 * MINUTE);
    for path in ["/account/password", "/account/email/new"] {
        let confirm = tab.get(path).await.expect(303).header("location").to_owned();
        assert_eq!(confirm, format!("/account/confirm?next={}", path.replace('/', "%2F")));
    }
    let late = [("current_password", PASSWORD), ("new_password", OTHER), ("form_token", token.as_str())];
    assert_eq!(tab.post("/account/password", &late).await.header("location"), "/account/confirm?next=%2Faccount%2Fpassword");
    let page = "/account/confirm?next=/account/password";
    let fields = [("password", WRONG), ("next", "/account/password")];
    let wrong = tab.submit(page, "/account/confirm", &fields).await.expect(422);
    assert!(html(&wrong).contains("name=\"next\" value=\"/account/password\""));
    let before = tab.cookies["sid"].clone();
    let fields = [("password", PASSWORD), ("next", "/account/password")];
    assert_eq!(tab.submit(page, "/account/confirm", &fields).await.header("location"), "/account/password");
    assert_ne!(tab.cookies["sid"], before, "a new cookie (SES-1)");
    tab.get("/account/password").await.expect(200);
}

#[tokio::test]
async fn ses5_a_person_ends_logins_of_their_own_and_nobody_elses() {
    let app = site().await;
    app.member(BOB).await;
    let (mut ada, mut phone, mut bob) = (Tab::of(&app, ADA).await, Tab::of(&app, ADA).await, Tab::of(&app, BOB).await);
    let ids = |page: &TestResponse| -> Vec<String> {
        html(page).split("name=\"session_id\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    // The two here, and that of the sign-up; the present one has no button.
    let others = ids(&ada.get("/account").await);
    assert_eq!(others.len(), 2);
    for id in [others[0].as_str(), "019ab0b2-8f00-7000-8000-00000000ffff", "nonsense", ""] {
        let refused = bob.submit("/account", "/account/sessions/revoke", &[("session_id", id)]).await;
        assert!(html(&refused.expect(404)).contains("There is nothing here"));
    }
    phone.get("/account").await.expect(200);
    let ended = ada.submit("/account", "/account/sessions/revoke", &[("session_id", &others[0])]).await;
    assert_eq!(ended.header("location"), "/account?done=ended");
    phone.get("/account").await.expect(303);
    ada.submit("/account", "/account/sessions/revoke-others", &[]).await.expect(303);
    assert!(ids(&ada.get("/account").await.expect(200)).is_empty());
    bob.get("/account").await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn a6_the_overview_reads_the_database_six_times_at_most() {
    let app = site().await;
    let mut tab = Tab::of(&app, ADA).await;
    for _ in 0..5 {
        Tab::of(&app, ADA).await;
    }
    // The session is remembered between requests.
    tab.get("/account").await.expect(200);
    let (page, count) = app.statements(tab.get("/account")).await;
    assert!(count <= 6, "{count}");
    page.expect(200);
}

#[tokio::test]
async fn a9_the_pages_speak_german_to_those_who_ask_for_it() {
    let app = site().await;
    let mut tab = Tab { language: "de-AT,de;q=0.9,en;q=0.5", ..Tab::new(&app) };
    let page = tab.get("/account/login").await;
    assert_eq!(page.header("content-language"), "de");
    assert!(html(&page).contains("<html lang=\"de\">") && html(&page).contains("Passwort vergessen?"));
    assert!(html(&tab.log_in(ADA, WRONG).await).contains("Name oder Passwort ist falsch."));
    tab.submit("/account/signup", "/account/signup", &[("email", BOB), ("password", PASSWORD)]).await.expect(303);
    assert_eq!(app.last_mail_to(BOB).await.subject, "Bestätige deine Adresse", "so do their mails");
    app.run_jobs().await;
}

#[tokio::test]
async fn a17_styles_and_scripts_are_kept_for_ever_under_the_address_of_their_content() {
    let app = app().await;
    let page = html(&app.get("/account/login").await);
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(paths.len(), 3, "{page}");
    for path in paths {
        // A cookie that nobody knows any more is not even looked at.
        let asset = app.get(path).header("Cookie", "sid=nonsense").await.expect(200);
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(["text/css; charset=utf-8", "text/javascript; charset=utf-8"].contains(&asset.header("content-type")));
        assert_eq!((asset.header("set-cookie"), asset.header("x-content-type-options")), ("", "nosniff"));
    }
    for path in ["/assets/theme.css", "/assets/account.0000000000000000.css", "/assets/..%2f..%2fCargo.toml"] {
        app.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn pos3_a_form_is_small_plain_and_has_no_other_fields() {
    let app = site().await;
    let mut tab = Tab::new(&app);
    let login = "/account/login";
    let fields = [("identifier", ADA), ("password", PASSWORD)];
    tab.submit(login, login, &[fields[0], fields[1], ("is_owner", "yes")]).await.expect(422);
    tab.submit(login, login, &[fields[0], fields[1], fields[0]]).await.expect(422);
    let token = form_token(&tab.get(login).await, login);
    let body = format!("identifier=ada%40example.com&password=x&form_token={token}");
    for media in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let request = tab.request(Method::POST, login).header("Sec-Fetch-Site", "same-origin");
        request.body(media, body.clone()).await.expect(415);
    }
    for wrong in ["identifier=%zz", "identifier=%ff", "identifier=%00"] {
        let request = tab.request(Method::POST, login).header("Sec-Fetch-Site", "same-origin");
        request.body("application/x-www-form-urlencoded", format!("{wrong}&form_token={token}")).await.expect(400);
    }
    let long = "x".repeat(17 * 1024);
    tab.posting(login, &[("identifier", &long)]).header("Sec-Fetch-Site", "same-origin").await.expect(413);
    app.request(Method::PUT, login).header("X-CSRF", "1").await.expect(405);
}

#[tokio::test]
async fn sgn7_a_closed_sign_up_has_no_form() {
    let app = app_with(&[("accounts.signup", "invite")]).await;
    let mut tab = Tab::new(&app);
    let closed = tab.get("/account/signup").await.expect(403);
    assert!(html(&closed).contains("New accounts cannot be made here"));
    assert!(!html(&tab.get("/account/login").await).contains("/account/signup"));
}

#[tokio::test]
async fn password_managers_find_the_page_that_changes_a_password() {
    let app = app().await;
    let answer = app.get("/.well-known/change-password").await.expect(303);
    assert_eq!(answer.header("location"), "/account/password");
    // One that answers 200 to anything is believed by none of them.
    app.get("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").await.expect(404);
}

#[tokio::test]
async fn r100_pages_are_in_no_document() {
    let app = app().await;
    assert!(pages(&app).len() > 20);
    for path in app.document()["paths"].as_object().unwrap().keys() {
        assert!(path.starts_with("/api/"), "{path}");
    }
}

#[tokio::test]
async fn mfa2_a_person_sets_up_an_app_and_logs_in_with_it_without_javascript() {
    let app = site().await;
    let mut tab = Tab::of(&app, ADA).await;
    let overview = html(&tab.get("/account").await.expect(200));
    assert!(overview.contains("href=\"/account/authenticator\""), "{overview}");
    let begun = tab.submit("/account/authenticator", "/account/authenticator/begin", &[]).await.expect(200);
    let page = html(&begun);
    assert!(page.contains("data:image/svg+xml;base64,"), "{page}");
    let secret: String = page.split("class=\"seed\"><code>").nth(1).unwrap().split('<').next().unwrap().replace(' ', "");
    let token = form_token(&begun, "/account/authenticator/confirm");
    let wrong = tab.post("/account/authenticator/confirm", &[("factor", "000000"), ("form_token", &token)]).await.expect(401);
    assert!(html(&wrong).contains("The code is wrong"), "{}", html(&wrong));
    assert!(!html(&wrong).contains(&secret), "the seed is shown once");
    let code = crate::mfa::shown(&app, &secret);
    let done = tab.post("/account/authenticator/confirm", &[("factor", &code), ("form_token", &token)]).await.expect(200);
    let codes: Vec<String> = html(&done).split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), 10);
    let page = html(&tab.get("/account/authenticator").await.expect(200));
    assert!(page.contains("Recovery codes left: 10") && !codes.iter().any(|code| page.contains(code)), "{page}");

    app.advance(MINUTE);
    let mut tab = Tab::new(&app);
    let stray = tab.submit("/account/code", "/account/code", &[("factor", "000000")]).await.expect(303);
    assert_eq!(stray.header("location"), "/account/login?done=late", "without a login there is nothing to finish");
    let asked = tab
        .submit(
            "/account/login?next=%2Faccount%2Fpassword",
            "/account/login",
            &[("identifier", ADA), ("password", PASSWORD), ("next", "/account/password")],
        )
        .await
        .expect(303);
    assert_eq!(asked.header("location"), "/account/code?next=%2Faccount%2Fpassword");
    assert!(!tab.cookies.contains_key("sid") && tab.cookies.contains_key("challenge"), "{:?}", tab.cookies);
    let refused = tab.submit("/account/code", "/account/code", &[("factor", "000 000")]).await.expect(401);
    assert!(html(&refused).contains("The code is wrong"), "{}", html(&refused));
    let code = crate::mfa::shown(&app, &secret);
    let form = [("factor", code.as_str()), ("next", "/account/password")];
    let started = tab.submit("/account/code?next=%2Faccount%2Fpassword", "/account/code", &form).await.expect(303);
    assert_eq!(started.header("location"), "/account/password");
    assert!(tab.cookies.contains_key("sid") && !tab.cookies.contains_key("challenge"), "{:?}", tab.cookies);

    // A recovery code does as well, once; and a challenge that waited too long begins anew.
    for (code, status) in [(&codes[0], 303), (&codes[0], 401)] {
        let mut tab = Tab::new(&app);
        tab.log_in(ADA, PASSWORD).await.expect(303);
        tab.submit("/account/code", "/account/code", &[("factor", code)]).await.expect(status);
    }
    let mut late = Tab::new(&app);
    late.log_in(ADA, PASSWORD).await.expect(303);
    let page = late.get("/account/code").await.expect(200);
    app.advance(11 * MINUTE);
    let token = form_token(&page, "/account/code");
    let answer = late.post("/account/code", &[("factor", &codes[1]), ("form_token", &token)]).await.expect(303);
    assert_eq!(answer.header("location"), "/account/login?done=late");
    assert!(html(&late.follow(&answer).await).contains("That took too long"));

    let mut tab = Tab::new(&app);
    tab.log_in(ADA, PASSWORD).await.expect(303);
    tab.submit("/account/code", "/account/code", &[("factor", &codes[2])]).await.expect(303);
    let renewed = tab.submit("/account/authenticator", "/account/authenticator/codes", &[]).await.expect(200);
    assert_eq!(html(&renewed).matches("<li><code>").count(), 10);
    let removed = tab.submit("/account/authenticator", "/account/authenticator/remove", &[]).await.expect(303);
    assert!(html(&tab.follow(&removed).await).contains("The authenticator app is removed."));
    Tab::of(&app, ADA).await.get("/account").await.expect(200);
    app.run_jobs().await;
}
