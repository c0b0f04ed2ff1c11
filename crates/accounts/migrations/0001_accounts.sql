-- People, how they prove who they are, and what they may do. Identifiers are normalised in Rust and compared as bytes.

CREATE TABLE accounts_users (
    id {id} NOT NULL PRIMARY KEY,
    status {key:16} NOT NULL,
    username {key:64},
    username_norm {key:64},
    display_name {key:80} NOT NULL,
    locale {key:35} NOT NULL,
    sec_epoch {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    last_login_at {time},
    disabled_at {time},
    version {int} NOT NULL
);
CREATE UNIQUE INDEX accounts_users_username_norm ON accounts_users (username_norm);
CREATE INDEX accounts_users_created ON accounts_users (created_at, id);

-- An address stands here only once its mailbox is proven (SGN-1).
CREATE TABLE accounts_user_emails (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id} NOT NULL,
    email {key:254} NOT NULL,
    email_norm {key:254} NOT NULL,
    verified_at {time} NOT NULL,
    verified_by {key:16} NOT NULL,
    is_primary {flag} NOT NULL,
    CONSTRAINT accounts_user_emails_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_user_emails_email_norm ON accounts_user_emails (email_norm);
CREATE INDEX accounts_user_emails_user_id ON accounts_user_emails (user_id);

CREATE TABLE accounts_pending_signups (
    id {id} NOT NULL PRIMARY KEY,
    email {key:254} NOT NULL,
    email_norm {key:254} NOT NULL,
    handle_hash {hash} NOT NULL,
    token_hash {hash} NOT NULL,
    code_mac {hash} NOT NULL,
    tries {int} NOT NULL,
    password_phc {key:255},
    locale {key:35} NOT NULL,
    created_at {time} NOT NULL,
    mailed_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time}
);
CREATE UNIQUE INDEX accounts_pending_signups_token ON accounts_pending_signups (token_hash);
CREATE UNIQUE INDEX accounts_pending_signups_handle ON accounts_pending_signups (handle_hash);
CREATE INDEX accounts_pending_signups_email ON accounts_pending_signups (email_norm);
CREATE INDEX accounts_pending_signups_expires ON accounts_pending_signups (expires_at);

CREATE TABLE accounts_passwords (
    user_id {id} NOT NULL PRIMARY KEY,
    phc {key:255} NOT NULL,
    changed_at {time} NOT NULL,
    CONSTRAINT accounts_passwords_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);

-- Single use: UPDATE … SET used_at WHERE id = ? AND used_at IS NULL, and one row affected.
CREATE TABLE accounts_one_time_tokens (
    id {id} NOT NULL PRIMARY KEY,
    token_hash {hash} NOT NULL,
    purpose {key:32} NOT NULL,
    user_id {id},
    email_norm {key:254},
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time}
);
CREATE UNIQUE INDEX accounts_one_time_tokens_hash ON accounts_one_time_tokens (token_hash);
CREATE INDEX accounts_one_time_tokens_user ON accounts_one_time_tokens (user_id, purpose);
CREATE INDEX accounts_one_time_tokens_expires ON accounts_one_time_tokens (expires_at);

CREATE TABLE accounts_sessions (
    id {id} NOT NULL PRIMARY KEY,
    token_hash {hash},
    user_id {id} NOT NULL,
    kind {key:16} NOT NULL,
    amr {key:64} NOT NULL,
    auth_time {time} NOT NULL,
    created_at {time} NOT NULL,
    last_seen_at {time} NOT NULL,
    idle_at {time} NOT NULL,
    absolute_at {time} NOT NULL,
    revoked_at {time},
    ip {key:45} NOT NULL,
    user_agent {key:256},
    CONSTRAINT accounts_sessions_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_sessions_token ON accounts_sessions (token_hash);
CREATE INDEX accounts_sessions_user_id ON accounts_sessions (user_id, created_at);
CREATE INDEX accounts_sessions_absolute ON accounts_sessions (absolute_at);
CREATE INDEX accounts_sessions_idle ON accounts_sessions (idle_at);
CREATE INDEX accounts_sessions_revoked ON accounts_sessions (revoked_at);

CREATE TABLE accounts_refresh_tokens (
    id {id} NOT NULL PRIMARY KEY,
    session_id {id} NOT NULL,
    token_hash {hash} NOT NULL,
    next_id {id},
    access_jti {id} NOT NULL,
    access_used_at {time},
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    consumed_at {time},
    revoked_at {time},
    CONSTRAINT accounts_refresh_tokens_session FOREIGN KEY (session_id) REFERENCES accounts_sessions (id)
);
CREATE UNIQUE INDEX accounts_refresh_tokens_token ON accounts_refresh_tokens (token_hash);
CREATE INDEX accounts_refresh_tokens_session_id ON accounts_refresh_tokens (session_id);
CREATE INDEX accounts_refresh_tokens_jti ON accounts_refresh_tokens (access_jti);
CREATE INDEX accounts_refresh_tokens_expires ON accounts_refresh_tokens (expires_at);

CREATE TABLE accounts_throttles (
    key_hash {hash} NOT NULL PRIMARY KEY,
    fails {int} NOT NULL,
    last_at {time} NOT NULL,
    blocked_until {time} NOT NULL
);
CREATE INDEX accounts_throttles_last ON accounts_throttles (last_at);

CREATE TABLE accounts_roles (
    id {id} NOT NULL PRIMARY KEY,
    name {key:64} NOT NULL,
    is_builtin {flag} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX accounts_roles_name ON accounts_roles (name);

CREATE TABLE accounts_role_permissions (
    role_id {id} NOT NULL,
    permission {key:120} NOT NULL,
    PRIMARY KEY (role_id, permission),
    CONSTRAINT accounts_role_permissions_role FOREIGN KEY (role_id) REFERENCES accounts_roles (id)
);

CREATE TABLE accounts_user_roles (
    user_id {id} NOT NULL,
    role_id {id} NOT NULL,
    PRIMARY KEY (user_id, role_id),
    CONSTRAINT accounts_user_roles_user FOREIGN KEY (user_id) REFERENCES accounts_users (id),
    CONSTRAINT accounts_user_roles_role FOREIGN KEY (role_id) REFERENCES accounts_roles (id)
);
CREATE INDEX accounts_user_roles_role_id ON accounts_user_roles (role_id);

CREATE TABLE accounts_signing_keys (
    id {id} NOT NULL PRIMARY KEY,
    kid {key:64} NOT NULL,
    algorithm {key:16} NOT NULL,
    public_jwk {json} NOT NULL,
    private_sealed {bytes} NOT NULL,
    created_at {time} NOT NULL,
    active_from {time} NOT NULL,
    retire_at {time} NOT NULL
);
CREATE UNIQUE INDEX accounts_signing_keys_kid ON accounts_signing_keys (kid);
