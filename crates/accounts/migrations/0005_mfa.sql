-- Second factors. The seed of an authenticator is sealed with a key outside the database; of recovery codes only hashes are kept.

CREATE TABLE accounts_totp_factors (
    user_id {id} NOT NULL PRIMARY KEY,
    seed_sealed {bytes} NOT NULL,
    -- The latest step whose code was taken: no code counts twice, nor an older one after it (MFA-1).
    last_step {int} NOT NULL,
    created_at {time} NOT NULL,
    confirmed_at {time},
    CONSTRAINT accounts_totp_factors_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);

CREATE TABLE accounts_recovery_codes (
    user_id {id} NOT NULL,
    selector {key:2} NOT NULL,
    phc {key:255} NOT NULL,
    created_at {time} NOT NULL,
    used_at {time},
    PRIMARY KEY (user_id, selector),
    CONSTRAINT accounts_recovery_codes_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);

-- A login whose password was right and whose second factor is still asked for (MFA-2).
CREATE TABLE accounts_challenges (
    id {id} NOT NULL PRIMARY KEY,
    token_hash {hash} NOT NULL,
    user_id {id} NOT NULL,
    kind {key:16} NOT NULL,
    is_remembered {flag} NOT NULL,
    -- Another password voids it.
    password_changed_at {time} NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time},
    CONSTRAINT accounts_challenges_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_challenges_token ON accounts_challenges (token_hash);
CREATE INDEX accounts_challenges_expires ON accounts_challenges (expires_at);
CREATE INDEX accounts_challenges_user_id ON accounts_challenges (user_id);
