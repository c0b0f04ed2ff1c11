//! One serving app and the requests that reach it.

use std::net::SocketAddr;
use std::sync::Arc;

use db::Db;
use kernel::http::{Listening, router, serve};
use kernel::platform::HttpSettings;
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{App, Clock, Launch, Plan, Random};
use reqwest::Method;

use crate::checker::Checker;
use crate::request::{Request, Target};

/// What a node is started from.
pub(crate) struct Parts {
    pub(crate) plan: Plan,
    pub(crate) source: Source,
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

/// An app that serves real connections on a free port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Node {
    kernel: App,
    address: SocketAddr,
    target: Arc<Target>,
}

impl Node {
    pub(crate) async fn start(parts: Parts) -> Node {
        let Parts { plan, source, db, keyring, clock, random } = parts;
        let kernel = App::build(plan, Launch { source, db, keyring, clock, random })
            .unwrap_or_else(|error| panic!("cannot build the app: {error:?}"));
        kernel.start_modules().await.unwrap_or_else(|error| panic!("a module does not start: {error:?}"));
        let listening = Listening::bind(kernel.settings::<HttpSettings>()).unwrap_or_else(|error| panic!("{error}"));
        let address = listening.address;
        let (app, routes, grace) = (kernel.clone(), router(&kernel), *kernel.settings::<HttpSettings>().shutdown_grace);
        kernel.spawn(async move { serve(&app, routes, listening, grace).await.expect("the server ends well") });
        let target = Target { base: format!("http://{address}"), client: client(), checker: Checker::new(kernel.plan()) };
        Node { kernel, address, target: Arc::new(target) }
    }

    /// The app itself.
    pub fn kernel(&self) -> &App {
        &self.kernel
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.base)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.target.clone(), method, path)
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// A HEAD request.
    pub fn head(&self, path: &str) -> Request {
        self.request(Method::HEAD, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// A PUT request.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// The OpenAPI document that answers are compared with.
    pub fn document(&self) -> &serde_json::Value {
        self.target.checker.document()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test calls its own server, and wants to see redirects")]
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().tls_certs_only([]);
    builder.build().expect("a client without certificates can be built")
}
