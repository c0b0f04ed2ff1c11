//! The routes of an app, made from the operations of its modules.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;

use crate::app::App;
use crate::http::compress::Compressing;
use crate::http::cors::CrossOrigin;
use crate::http::edge::{Edge, EdgeService, other_method};
use crate::http::guard::{Guard, GuardLayer};
use crate::http::{Operation, fallback};
use crate::platform::HttpSettings;

/// Everything that the app serves, ready for a listener.
pub fn router(app: &App) -> Router {
    let mut router: Router<App> = Router::new();
    for (path, operations) in by_path(app) {
        let allowed = allow_header(&operations);
        let mut methods = axum::routing::MethodRouter::new();
        for operation in operations {
            let state = Arc::new(Guard::new(app, operation.doc()));
            methods = methods.merge(operation.handler().layer(GuardLayer(state)));
        }
        let methods = methods.fallback(move |request: Request| async move { other_method(request.method(), allowed) });
        router = router.route(path, methods);
    }
    let (asked, fallbacks) = (app.clone(), app.plan().fallbacks());
    let router: Router = router.fallback(move |request: Request| fallback::ask(asked, fallbacks, request)).with_state(app.clone());
    // Around the router as a whole: a layer on a router is cloned and boxed once more for every route.
    let edge = Arc::new(Edge::new(app));
    let inner = Compressing::new(router);
    match CrossOrigin::new(&app.settings::<HttpSettings>().cors_origins, reserved_segments(app), &inner) {
        Some(cross_origin) => Router::new().fallback_service(EdgeService::new(edge, cross_origin)),
        None => Router::new().fallback_service(EdgeService::new(edge, inner)),
    }
}

/// The first segment of every route; no short link may take one of them.
pub fn reserved_segments(app: &App) -> Vec<&'static str> {
    let mut segments: Vec<&str> = app.plan().operations().filter_map(|operation| operation.path().split('/').nth(1)).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

fn by_path(app: &App) -> BTreeMap<&'static str, Vec<&Operation>> {
    let mut paths: BTreeMap<&'static str, Vec<&Operation>> = BTreeMap::new();
    for operation in app.plan().operations() {
        paths.entry(operation.path()).or_default().push(operation);
    }
    paths
}

/// The `Allow` header of a path; made once per route when the server starts, hence the leak.
fn allow_header(operations: &[&Operation]) -> &'static str {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.method().as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ").leak()
}
