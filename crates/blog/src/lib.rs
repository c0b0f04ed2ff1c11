//! Posts, comments, tags, authors, feeds and search.
