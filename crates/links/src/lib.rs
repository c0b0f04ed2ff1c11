//! Short links: slugs, redirects, clicks, statistics, QR codes.
