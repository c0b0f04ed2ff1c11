//! Compression, for those who ask for it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::future::{BoxFuture, Either};
use http::header::ACCEPT_ENCODING;
use tower::{Layer as _, Service};
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::compression::{Compression, CompressionLayer, CompressionLevel};

use crate::http::guard::NoCompression;

const SMALLEST_COMPRESSED_BYTES: u16 = 1024;

/// What is worth compressing: long enough, of a type that shrinks, and free of secrets.
#[derive(Clone, Copy)]
struct Worthwhile;

impl Predicate for Worthwhile {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        let is_secret = response.extensions().get::<NoCompression>().is_some();
        !is_secret
            && SizeAbove::new(SMALLEST_COMPRESSED_BYTES.into()).should_compress(response)
            && DefaultPredicate::new().should_compress(response)
    }
}

/// The routes, with and without compression around them.
///
/// The layer's answer holds the state of every encoder, some six kilobytes that move with it; who asks for no encoding is
/// therefore answered around it.
#[derive(Clone)]
pub(crate) struct Compressing {
    plain: Router,
    compressed: Compression<Router, Worthwhile>,
}

impl Compressing {
    pub(crate) fn new(router: Router) -> Compressing {
        let layer = CompressionLayer::new().quality(CompressionLevel::Precise(5)).compress_when(Worthwhile);
        Compressing { compressed: layer.layer(router.clone()), plain: router }
    }
}

impl Service<Request> for Compressing {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<<Router as Service<Request>>::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !request.headers().contains_key(ACCEPT_ENCODING) {
            return Either::Left(self.plain.call(request));
        }
        let answer = self.compressed.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await?.map(Body::new)) }))
    }
}
