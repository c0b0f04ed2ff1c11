//! The document of the whole product.

use std::collections::BTreeSet;

use crate::app;

#[tokio::test]
async fn r101_the_document_says_everything_about_every_operation() {
    let gaps = app().await.document_gaps();
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[tokio::test]
async fn r100_what_is_documented_is_what_is_routed() {
    let app = app().await;
    let documented: BTreeSet<String> = app.operations().iter().map(testkit::DocumentedOperation::title).collect();
    let visible = app.kernel().plan().operations().filter(|operation| !operation.doc().is_hidden);
    assert_eq!(documented, visible.map(|operation| format!("{} {}", operation.method(), operation.path())).collect());
}

#[tokio::test]
async fn r9_the_reserved_first_segments_are_known() {
    let app = app().await;
    let reserved = undercroft::http::reserved_segments(app.kernel());
    for segment in ["api", "healthz", "metrics", "problems", "readyz"] {
        assert!(reserved.contains(&segment), "{segment} is not in {reserved:?}");
    }
}

#[tokio::test]
async fn r51_every_error_code_has_a_page() {
    let app = app().await;
    for problem in app.kernel().plan().problems() {
        app.get(&format!("/problems/{}", problem.code)).header("Accept", "text/html").await.expect(200);
    }
}
