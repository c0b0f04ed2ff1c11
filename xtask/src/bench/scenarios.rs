//! What is measured, as data; nothing else here knows a path. Ours has the limit server's rows below `/api/v1/bench`.

use std::path::PathBuf;

use crate::process;

/// Something worth a figure. Ratios are those of each further run to the last one.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) runs: &'static [Run],
}

/// One server under one load.
pub(crate) struct Run {
    pub(crate) label: &'static str,
    pub(crate) program: Program,
    pub(crate) load: Load,
    /// A second load beside it, whose answers do not count.
    pub(crate) flood: Option<Load>,
    /// The most writes in one commit; the server's own default when none.
    pub(crate) max_group: Option<u32>,
    /// How much longer every fsync takes, in microseconds.
    pub(crate) fsync_delay_us: u32,
    /// Settings of ours, as `section.key=value`.
    pub(crate) settings: &'static [&'static str],
}

/// What the clients ask for, again and again.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// A file of `benches/wrk`, without `.lua`.
    pub(crate) script: &'static str,
    /// `{id}` is a seeded row.
    pub(crate) path: &'static str,
    pub(crate) caller: Caller,
    pub(crate) connections: u32,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Anyone,
    /// With `Authorization: Bearer $BENCH_TOKEN`.
    Token,
    /// With `Cookie: $BENCH_COOKIE` (a whole `name=value`).
    Session,
}

/// A server that knows `--port 0 --data DIR --seed N --max-group N`, prints `BENCH_…=…` lines for what clients need and
/// then `listening on http://127.0.0.1:PORT`. Seeding leaves a filled database as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Ours,
    Limit,
}

impl Program {
    pub(crate) const ALL: [Program; 2] = [Program::Ours, Program::Limit];

    /// The package, and the program in it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Program::Ours => "bench-server",
            Program::Limit => "limit",
        }
    }

    pub(crate) fn path(self) -> PathBuf {
        process::built("release").join(self.package())
    }

    /// A path that answers 200 to anyone as soon as the server is up.
    pub(crate) fn first_path(self) -> &'static str {
        match self {
            Program::Ours => OURS_STATIC,
            Program::Limit => LIMIT_STATIC,
        }
    }
}

const OURS_STATIC: &str = "/api/v1/bench/static";
const OURS_ROWS: &str = "/api/v1/bench/rows";
const OURS_ROW: &str = "/api/v1/bench/rows/{id}";
const OURS_LIST: &str = "/api/v1/bench/rows?limit=20";
const OURS_ME: &str = "/api/v1/bench/me";
const OURS_LOGIN: &str = "/api/v1/auth/login";
const OURS_POST: &str = "/api/v1/blog/posts/by-slug/post-{n}";
const OURS_ONE_POST: &str = "/api/v1/blog/posts/by-slug/post-7";
const OURS_POSTS: &str = "/api/v1/blog/posts?limit=20";
const OURS_ORDERS: &str = "/api/v1/shop/orders";
const UNCACHED: &[&str] = &["blog.cache_size=0"];
const LIMIT_POST: &str = "/posts/post-{n}";
const LIMIT_POSTS: &str = "/posts?limit=20";
/// Both servers have short links under these names.
const LINK: &str = "/link-7";
const LINKS: &str = "/link-{n}";
const LIMIT_STATIC: &str = "/static";
const LIMIT_ROWS: &str = "/rows";
const LIMIT_ROW: &str = "/rows/{id}";
const LIMIT_LIST: &str = "/rows?limit=20";

/// How many rows both servers are seeded with.
pub(crate) const SEED: u32 = 10_000;

const CONNECTIONS: u32 = 32;
const SLOW_DISK_US: u32 = 2_000;

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "static",
        what: "a bare request: routing, headers, a fixed answer",
        runs: &[ours("get", OURS_STATIC), limit("get", LIMIT_STATIC)],
    },
    Scenario { name: "read", what: "one random row of 10,000", runs: &[ours("ids", OURS_ROW), limit("ids", LIMIT_ROW)] },
    Scenario { name: "list", what: "the newest 20 rows", runs: &[ours("get", OURS_LIST), limit("get", LIMIT_LIST)] },
    Scenario {
        name: "insert",
        what: "a durable insert, 32 writers, group commit",
        runs: &[ours("insert", OURS_ROWS).by(Caller::Token), limit("insert", LIMIT_ROWS)],
    },
    Scenario {
        name: "insert-single",
        what: "the same with one commit per request",
        runs: &[ours("insert", OURS_ROWS).by(Caller::Token).max_group(1), limit("insert", LIMIT_ROWS).max_group(1)],
    },
    Scenario {
        name: "insert-slow-disk",
        what: "a durable insert on a disk whose fsync takes 2 ms",
        runs: &[ours("insert", OURS_ROWS).by(Caller::Token).on_slow_disk(), limit("insert", LIMIT_ROWS).on_slow_disk()],
    },
    Scenario {
        name: "insert-single-slow-disk",
        what: "the same with one commit per request",
        runs: &[
            ours("insert", OURS_ROWS).by(Caller::Token).max_group(1).on_slow_disk(),
            limit("insert", LIMIT_ROWS).max_group(1).on_slow_disk(),
        ],
    },
    Scenario {
        name: "token",
        what: "a bare request with a bearer token",
        runs: &[ours("get", OURS_ME).by(Caller::Token), limit("get", LIMIT_STATIC)],
    },
    Scenario {
        name: "session",
        what: "a bare request with a session cookie",
        runs: &[ours("get", OURS_ME).by(Caller::Session), limit("get", LIMIT_STATIC)],
    },
    Scenario { name: "redirect", what: "one hot short link, clicks on", runs: &[ours("get", LINK), limit("get", LINK)] },
    Scenario { name: "redirect-spread", what: "10,000 short links, clicks on", runs: &[ours("numbers", LINKS), limit("numbers", LINKS)] },
    Scenario {
        name: "post",
        what: "one random published post of 10,000 with authors and tags, from the database",
        runs: &[ours("numbers", OURS_POST).with(UNCACHED), limit("numbers", LIMIT_POST)],
    },
    Scenario {
        name: "post-cached",
        what: "one published post from the cache, against a fixed answer",
        runs: &[ours("get", OURS_ONE_POST), ours("get", OURS_STATIC).labelled("static")],
    },
    Scenario {
        name: "post-304",
        what: "the same with If-None-Match, against a fixed answer",
        runs: &[ours("conditional", OURS_ONE_POST), ours("get", OURS_STATIC).labelled("static")],
    },
    Scenario {
        name: "post-list",
        what: "the newest 20 posts with authors and tags, from the database",
        runs: &[ours("get", OURS_POSTS).with(UNCACHED), limit("get", LIMIT_POSTS)],
    },
    Scenario {
        name: "checkout",
        what: "a durable checkout of three lines, 32 clients, against one commit per request",
        runs: &[ours("checkout", OURS_ORDERS), ours("checkout", OURS_ORDERS).max_group(1).labelled("single")],
    },
    Scenario { name: "login", what: "a login with the right password", runs: &[ours("login", OURS_LOGIN).connections(8)] },
    Scenario {
        name: "read-during-login-flood",
        what: "one random row while 64 clients log in, against the same when it is quiet",
        runs: &[ours("ids", OURS_ROW).labelled("flood").during(load("login", OURS_LOGIN, 64)), ours("ids", OURS_ROW).labelled("quiet")],
    },
];

const fn ours(script: &'static str, path: &'static str) -> Run {
    run("ours", Program::Ours, load(script, path, CONNECTIONS))
}

const fn limit(script: &'static str, path: &'static str) -> Run {
    run("limit", Program::Limit, load(script, path, CONNECTIONS))
}

const fn load(script: &'static str, path: &'static str, connections: u32) -> Load {
    Load { script, path, caller: Caller::Anyone, connections }
}

const fn run(label: &'static str, program: Program, load: Load) -> Run {
    Run { label, program, load, flood: None, max_group: None, fsync_delay_us: 0, settings: &[] }
}

impl Run {
    const fn by(mut self, caller: Caller) -> Run {
        self.load.caller = caller;
        self
    }

    const fn connections(mut self, connections: u32) -> Run {
        self.load.connections = connections;
        self
    }

    const fn max_group(mut self, max_group: u32) -> Run {
        self.max_group = Some(max_group);
        self
    }

    const fn on_slow_disk(mut self) -> Run {
        self.fsync_delay_us = SLOW_DISK_US;
        self
    }

    const fn during(mut self, flood: Load) -> Run {
        self.flood = Some(flood);
        self
    }

    const fn with(mut self, settings: &'static [&'static str]) -> Run {
        self.settings = settings;
        self
    }

    const fn labelled(mut self, label: &'static str) -> Run {
        self.label = label;
        self
    }
}
