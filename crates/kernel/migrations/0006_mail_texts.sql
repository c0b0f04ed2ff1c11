-- Texts of mails that operators changed, or added in another language.
CREATE TABLE platform_mail_texts (
    template {key:80} NOT NULL,
    locale {key:35} NOT NULL,
    subject {text} NOT NULL,
    text_body {text} NOT NULL,
    html_body {text} NOT NULL,
    version {int} NOT NULL,
    changed_at {time} NOT NULL,
    changed_by {id},
    PRIMARY KEY (template, locale)
);
