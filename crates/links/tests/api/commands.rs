//! The command line's verbs for links.

use crate::support::*;

#[tokio::test]
async fn links_are_made_found_exported_and_imported_by_the_operator() {
    let app = app().await;
    command(&app, &["links", "create", "https://example.com/", "--slug", "Sale", "--title", "T"]).await.expect("made");
    command(&app, &["links", "lookup", "sale", "--json"]).await.expect("found");
    assert_eq!(command(&app, &["links", "lookup", "other"]).await.expect_err("missing").code(), "not_found");
    assert_eq!(command(&app, &["links", "create", "javascript:1"]).await.expect_err("refused").code(), "validation_failed");
    assert_eq!(
        command(&app, &["links", "create", "https://example.com/", "--slug", "SALE"]).await.expect_err("taken").code(),
        "slug_taken"
    );
    let file = app.folder().join("links.csv").display().to_string();
    command(&app, &["links", "export", &file]).await.expect("exported");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(text.lines().nth(1), Some("Sale,https://example.com/,T,,,,302,,,,,,,,,"), "{text}");
    let other = app_with(&[]).await;
    command(&other, &["links", "import", &file, "--dry-run"]).await.expect("rehearsed");
    visit(&other, "/sale").await.is(404);
    command(&other, &["links", "import", &file]).await.expect("imported");
    visit(&other, "/sale").await.leads_to("https://example.com/");
    other.run_jobs().await;
    assert_eq!(command(&other, &["links", "import", "/no/such/file"]).await.expect_err("missing").code(), "malformed_request");
}
