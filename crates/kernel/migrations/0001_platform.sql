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

CREATE TABLE platform_audit (
    id {id} NOT NULL PRIMARY KEY,
    at {time} NOT NULL,
    actor {key:64} NOT NULL,
    action {key:120} NOT NULL,
    subject {key:120},
    result {key:32} NOT NULL,
    ip {key:45},
    request_id {key:64},
    detail {json}
);
CREATE INDEX platform_audit_at ON platform_audit (at, id);
CREATE INDEX platform_audit_subject ON platform_audit (subject, at);

-- The row is written in the transaction of the effect; the answer follows, sealed, before it is sent.
CREATE TABLE platform_idempotency (
    key_hash {hash} NOT NULL PRIMARY KEY,
    fingerprint {hash} NOT NULL,
    status {int},
    answer_sealed {bytes},
    created_at {time} NOT NULL
);
CREATE INDEX platform_idempotency_created ON platform_idempotency (created_at);
