-- What a stored hash costs to check, for the mix that unknown names are checked with, and who has to change a password (ENU-2, PWD-7).
ALTER TABLE accounts_passwords ADD COLUMN scheme {key:64};
ALTER TABLE accounts_passwords ADD COLUMN must_change {flag} NOT NULL DEFAULT 0;
CREATE INDEX accounts_passwords_scheme ON accounts_passwords (scheme);
