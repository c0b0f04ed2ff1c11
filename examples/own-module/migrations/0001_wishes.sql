CREATE TABLE wishes (
    id {id} NOT NULL PRIMARY KEY,
    text {text} NOT NULL,
    made_at {time} NOT NULL
);
