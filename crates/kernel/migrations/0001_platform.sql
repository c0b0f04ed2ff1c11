-- What every feature shares: events, jobs, schedules, messages, the audit trail and remembered answers.

CREATE TABLE platform_events (
    id {id} NOT NULL PRIMARY KEY,
    name {key:120} NOT NULL,
    at {time} NOT NULL,
    actor_id {id},
    request_id {key:64},
    data {json} NOT NULL
);
CREATE INDEX platform_events_at ON platform_events (at);

-- A waiting job is due when run_at has passed. Claiming it moves run_at to the end of the lease, so a job whose runner died is due again.
CREATE TABLE platform_jobs (
    id {id} NOT NULL PRIMARY KEY,
    kind {key:120} NOT NULL,
    payload {json} NOT NULL,
    is_dead {flag} NOT NULL,
    run_at {time} NOT NULL,
    lease {int} NOT NULL,
    attempts {int} NOT NULL,
    last_error {text},
    created_at {time} NOT NULL
);
CREATE INDEX platform_jobs_due ON platform_jobs (is_dead, run_at);

CREATE TABLE platform_schedules (
    name {key:120} NOT NULL PRIMARY KEY,
    next_at {time} NOT NULL
);

CREATE TABLE platform_messages (
    id {id} NOT NULL PRIMARY KEY,
    channel {key:8} NOT NULL,
    template {key:120} NOT NULL,
    recipient {key:254} NOT NULL,
    content_sealed {bytes},
    status {key:16} NOT NULL,
    last_error {text},
    created_at {time} NOT NULL,
    sent_at {time}
);
CREATE INDEX platform_messages_created ON platform_messages (created_at, id);

-- Rows are inserted unsealed, in the transaction of the change; the sealer gives them seq, prev_hash and hash. What may be erased (where
-- somebody called from, names) enters the chain as a salted hash, so that erasing value and salt leaves the chain whole.
CREATE TABLE platform_audit (
    id {id} NOT NULL PRIMARY KEY,
    at {time} NOT NULL,
    actor {key:64} NOT NULL,
    action {key:120} NOT NULL,
    subject {key:120},
    result {key:32} NOT NULL,
    ip {key:45},
    user_agent {key:256},
    origin_salt {id},
    origin_hash {hash},
    request_id {key:64},
    detail {json},
    personal {json},
    personal_salt {id},
    personal_hash {hash},
    seq {int},
    prev_hash {hash},
    hash {hash}
);
-- No two rows have one place, so a chain never forks; the rows without one stand together and are found at once.
CREATE UNIQUE INDEX platform_audit_seq ON platform_audit (seq);
-- The list, the filter by time, and what is past its retention.
CREATE INDEX platform_audit_at ON platform_audit (at, id);
-- The history of an object or a person.
CREATE INDEX platform_audit_subject ON platform_audit (subject, at, id);
-- What somebody did, and the erasure of a person.
CREATE INDEX platform_audit_actor ON platform_audit (actor, at, id);

-- Where the chain ends: one row, moved on by whoever seals. Its lock is the lease of the one sealer.
CREATE TABLE platform_audit_head (
    id {int} NOT NULL PRIMARY KEY,
    seq {int} NOT NULL,
    hash {hash} NOT NULL,
    at {time} NOT NULL,
    mac {hash} NOT NULL,
    addresses_until {time} NOT NULL
);

-- Where the chain was at some time: 'daily' heads, and 'pruned', the row before the first that is kept.
CREATE TABLE platform_audit_checkpoints (
    kind {key:16} NOT NULL,
    seq {int} NOT NULL,
    hash {hash} NOT NULL,
    at {time} NOT NULL,
    mac {hash} NOT NULL,
    PRIMARY KEY (kind, seq)
);

CREATE TABLE platform_audit_verifications (
    id {id} NOT NULL PRIMARY KEY,
    status {key:16} NOT NULL,
    created_at {time} NOT NULL,
    finished_at {time},
    row_count {int} NOT NULL,
    first_seq {int},
    last_seq {int},
    last_hash {hash},
    bad_seq {int},
    fault {key:32}
);
CREATE INDEX platform_audit_verifications_created ON platform_audit_verifications (created_at, id);

-- The row is written in the transaction of the effect; the answer follows, sealed, before it is sent.
CREATE TABLE platform_idempotency (
    key_hash {hash} NOT NULL PRIMARY KEY,
    fingerprint {hash} NOT NULL,
    status {int},
    answer_sealed {bytes},
    created_at {time} NOT NULL
);
CREATE INDEX platform_idempotency_created ON platform_idempotency (created_at);
