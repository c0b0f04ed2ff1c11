//! What the pages say, in English and German. A text that is missing in one of them does not compile.
//!
//! No text depends on a number that could be one, so that no plural rules are needed (docs/decisions/0011).

use kernel::{Timestamp, error};

use crate::problems;

macro_rules! texts {
    ($($name:ident: $en:literal, $de:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(crate) struct Texts {
            /// The language, BCP 47.
            pub(crate) lang: &'static str,
            $(pub(crate) $name: &'static str,)+
        }

        static ENGLISH: Texts = Texts { lang: "en", $($name: $en,)+ };
        static GERMAN: Texts = Texts { lang: "de", $($name: $de,)+ };
    };
}

texts! {
    error_prefix: "Error:", "Fehler:";
    error_heading: "That did not work yet", "Das hat noch nicht geklappt";
    optional: "(optional)", "(freiwillig)";
    show: "Show", "Zeigen";
    hide: "Hide", "Verbergen";
    email: "Email address", "E-Mail-Adresse";
    password: "Password", "Passwort";
    new_password: "New password", "Neues Passwort";
    present_password: "Present password", "Bisheriges Passwort";
    password_help: "At least {} characters. A few words in a row are easy to remember and hard to guess.",
        "Mindestens {} Zeichen. Ein paar Wörter hintereinander sind leicht zu merken und schwer zu erraten.";
    display_name: "Name", "Name";
    display_name_help: "As others see it.", "So sehen dich andere.";
    username: "Username", "Benutzername";
    username_help: "To log in with, beside your address: 3 to 32 of a to z, 0 to 9, - and _.",
        "Zum Einloggen, neben deiner Adresse: 3 bis 32 Zeichen aus a bis z, 0 bis 9, - und _.";

    login_title: "Log in", "Einloggen";
    login_button: "Log in", "Einloggen";
    identifier: "Email address or username", "E-Mail-Adresse oder Benutzername";
    remember: "Stay logged in on this device", "Auf diesem Gerät eingeloggt bleiben";
    to_reset: "Forgot your password?", "Passwort vergessen?";
    to_signup: "Create an account", "Konto anlegen";
    to_login: "Log in instead", "Stattdessen einloggen";

    second_title: "One more step", "Noch ein Schritt";
    second_lead: "Your account also asks for a code of your authenticator app.", "Dein Konto fragt auch nach einem Code deiner Authenticator-App.";
    second_code: "Code", "Code";
    second_help: "Six digits of the app, or one of your recovery codes.", "Sechs Ziffern aus der App, oder einer deiner Wiederherstellungscodes.";
    second_again: "Log in as somebody else", "Als jemand anderes einloggen";
    second_late: "That took too long. Log in again.", "Das hat zu lange gedauert. Logge dich noch einmal ein.";

    signup_title: "Create an account", "Konto anlegen";
    signup_lead: "We mail you a link to prove that the address is yours. Nothing exists before you open it.",
        "Wir schicken dir einen Link, mit dem du zeigst, dass die Adresse dir gehört. Vorher entsteht nichts.";
    signup_button: "Continue", "Weiter";

    complete_title: "Confirm your address", "Adresse bestätigen";
    complete_lead: "We have sent a mail. Open the link in it, or type its code here.",
        "Wir haben eine Nachricht geschickt. Öffne den Link darin, oder tippe ihren Code hier ein.";
    complete_linked: "Nearly done: press the button to create your account.", "Fast fertig: Mit dem Knopf legst du dein Konto an.";
    proof: "Code or link from the mail", "Code oder Link aus der Nachricht";
    signup_password: "Password that you chose", "Passwort, das du gewählt hast";
    signup_password_help: "Because this is not the browser in which you began.", "Denn dies ist nicht der Browser, in dem du begonnen hast.";
    complete_button: "Create account", "Konto anlegen";
    again_lead: "No mail? Look in the spam folder, and give it a minute.", "Keine Nachricht? Sieh im Spam-Ordner nach, und warte eine Minute.";
    again_button: "Send another mail", "Noch eine Nachricht schicken";
    again_done: "If a minute has passed, another mail is on its way. The former link and code no longer work.",
        "Wenn eine Minute vergangen ist, ist eine neue Nachricht unterwegs. Link und Code davor gelten nicht mehr.";
    welcome: "Welcome! Your account is ready.", "Willkommen! Dein Konto ist fertig.";

    invitation_title: "You are invited", "Du bist eingeladen";
    invitation_lead: "Choose a password to accept the invitation, or decline it. Nothing exists before you accept.",
        "Wähle ein Passwort, um die Einladung anzunehmen, oder lehne sie ab. Vorher entsteht nichts.";
    invitation_decline: "Decline the invitation", "Einladung ablehnen";
    invitation_declined: "You have declined the invitation.", "Du hast die Einladung abgelehnt.";

    reset_title: "Forgot your password?", "Passwort vergessen?";
    reset_lead: "Tell us the address of your account, and we mail you a link to set a new password.",
        "Nenne uns die Adresse deines Kontos, und wir schicken dir einen Link, um ein neues Passwort zu setzen.";
    reset_button: "Send the link", "Link schicken";
    reset_sent: "If an account has this address, a mail with a link is on its way. The link is good for 30 minutes.",
        "Wenn ein Konto diese Adresse hat, ist eine Nachricht mit einem Link unterwegs. Er gilt 30 Minuten.";
    to_reset_confirm: "You have the mail already? Set a new password", "Du hast die Nachricht schon? Neues Passwort setzen";
    reset_confirm_title: "Set a new password", "Neues Passwort setzen";
    reset_confirm_lead: "All your logins end. Afterwards you log in with the new password.",
        "Alle deine Anmeldungen enden. Danach loggst du dich mit dem neuen Passwort ein.";
    mailed_link: "Link from the mail", "Link aus der Nachricht";
    mailed_link_help: "Copy the whole link, and paste it here.", "Kopiere den ganzen Link, und füge ihn hier ein.";
    reset_confirm_button: "Set new password", "Neues Passwort setzen";
    reset_done: "Your new password is set. Log in with it.", "Dein neues Passwort gilt. Logge dich damit ein.";
    to_reset_again: "Ask for a new link", "Neuen Link anfordern";

    overview_title: "Your account", "Dein Konto";
    member_since: "Member since", "Dabei seit";
    logout_button: "Log out", "Ausloggen";
    logout_done: "You are logged out.", "Du bist ausgeloggt.";
    logins_title: "Where you are logged in", "Wo du eingeloggt bist";
    logins_lead: "End what you do not recognise, and change your password then.",
        "Beende, was du nicht kennst, und ändere dann dein Passwort.";
    this_login: "this one", "hier";
    last_used: "last used", "zuletzt benutzt";
    end_login: "Log out", "Ausloggen";
    end_others: "Log out everywhere else", "Überall sonst ausloggen";
    end_login_done: "That login has ended.", "Diese Anmeldung ist beendet.";
    end_others_done: "All other logins have ended.", "Alle anderen Anmeldungen sind beendet.";
    unknown_program: "Unknown program", "Unbekanntes Programm";
    to_overview: "Your account", "Dein Konto";

    password_title: "Change password", "Passwort ändern";
    password_lead: "All other logins end.", "Alle anderen Anmeldungen enden.";
    password_button: "Change password", "Passwort ändern";
    password_done: "Your password is changed. All other logins have ended.", "Dein Passwort ist geändert. Alle anderen Anmeldungen sind beendet.";
    to_first_password: "Never set a password? Set one by mail", "Noch nie ein Passwort gesetzt? Setze eins per E-Mail";

    authenticator_title: "Authenticator app", "Authenticator-App";
    authenticator_lead: "With an app on your phone, whoever knows your password still cannot log in: every login also asks for a code that only the app shows.",
        "Mit einer App auf deinem Telefon kann sich auch nicht einloggen, wer dein Passwort kennt: Jedes Einloggen fragt dann nach einem Code, den nur die App zeigt.";
    authenticator_begin: "Set up the app", "App einrichten";
    authenticator_scan: "Scan this picture with the app, then type the code that it shows.",
        "Lies dieses Bild mit der App ein, und tippe dann den Code, den sie zeigt.";
    authenticator_image: "QR code for the authenticator app", "QR-Code für die Authenticator-App";
    authenticator_type: "No camera? Type this key into the app, or", "Keine Kamera? Tippe diesen Schlüssel in die App, oder";
    authenticator_open: "open the app on this device.", "öffne die App auf diesem Gerät.";
    authenticator_code: "Code of the app", "Code der App";
    authenticator_code_help: "Six digits; they change twice a minute.", "Sechs Ziffern; sie wechseln zweimal in der Minute.";
    authenticator_confirm: "Confirm the app", "App bestätigen";
    authenticator_lost: "The app shows no code? Begin anew with another picture.", "Die App zeigt keinen Code? Beginne mit einem neuen Bild.";
    authenticator_restart: "Begin anew", "Neu beginnen";
    authenticator_on: "Your logins ask for a code since", "Dein Einloggen fragt nach einem Code seit";
    authenticator_remove: "Remove the app", "App entfernen";
    authenticator_remove_help: "Your password alone logs you in then, and the recovery codes are void.",
        "Dann genügt dein Passwort zum Einloggen, und die Wiederherstellungscodes gelten nicht mehr.";
    authenticator_removed: "The authenticator app is removed.", "Die Authenticator-App ist entfernt.";
    codes_title: "Your recovery codes", "Deine Wiederherstellungscodes";
    codes_done: "From now on your logins ask for a code.", "Ab jetzt fragt dein Einloggen nach einem Code.";
    codes_lead: "Write them down, or print this page, and keep it where nobody else looks. Each opens your account once if you lose the app. They are shown only now.",
        "Schreibe sie auf, oder drucke diese Seite, und verwahre sie, wo sonst niemand nachsieht. Jeder öffnet dein Konto ein Mal, wenn die App verloren geht. Sie werden nur jetzt gezeigt.";
    codes_kept: "I have kept them", "Ich habe sie verwahrt";
    codes_left: "Recovery codes left:", "Übrige Wiederherstellungscodes:";
    codes_renew: "Make new recovery codes", "Neue Wiederherstellungscodes";
    codes_renew_help: "The old ones are void then.", "Die alten gelten dann nicht mehr.";

    confirm_title: "Confirm that it is you", "Bestätige, dass du es bist";
    confirm_lead: "This concerns the security of your account, and your login is some time ago.",
        "Hier geht es um die Sicherheit deines Kontos, und dein Einloggen ist eine Weile her.";
    confirm_button: "Continue", "Weiter";

    email_title: "Change of email address", "Änderung der E-Mail-Adresse";
    email_lead: "Paste the link from the mail. One from “Confirm your new address” or “Shall your account leave this address?” agrees to the change; one from “Your address was changed” takes your account back and ends all logins.",
        "Füge den Link aus der Nachricht ein. Einer aus „Bestätige deine neue Adresse“ oder „Soll dein Konto diese Adresse verlassen?“ stimmt der Änderung zu; einer aus „Deine Adresse wurde geändert“ holt dein Konto zurück und beendet alle Anmeldungen.";
    email_confirm_lead: "Your account changes to another address. Press the button to agree.",
        "Dein Konto wechselt zu einer anderen Adresse. Mit dem Knopf stimmst du zu.";
    email_undo_lead: "Your account returns to this address, every login of it ends, and its password is removed. We mail you a link to set a new one.",
        "Dein Konto kehrt zu dieser Adresse zurück, alle Anmeldungen enden, und das Passwort wird gelöscht. Wir schicken dir einen Link, um ein neues zu setzen.";
    email_button: "Yes, continue", "Ja, weiter";
    email_confirmed: "Thank you, that is confirmed. If your other address was asked too, open the link in its mail as well.",
        "Danke, das ist bestätigt. Wenn auch deine andere Adresse gefragt wurde, öffne auch den Link in ihrer Nachricht.";
    email_undone: "Your account is back at your former address, and all logins have ended. A mail with a link for a new password is on its way.",
        "Dein Konto ist wieder bei deiner früheren Adresse, und alle Anmeldungen sind beendet. Eine Nachricht mit einem Link für ein neues Passwort ist unterwegs.";
    email_new_title: "Change email address", "E-Mail-Adresse ändern";
    email_new_lead: "We mail a link to the new address, and one to your present address where that has to agree too.",
        "Wir schicken einen Link an die neue Adresse und einen an deine bisherige, wenn auch die zustimmen muss.";
    email_new: "New email address", "Neue E-Mail-Adresse";
    email_new_button: "Send the links", "Links schicken";
    email_new_done: "Look into your mail: the address changes once the links in our mails are opened.",
        "Sieh in deine Post: Die Adresse ändert sich, sobald die Links in unseren Nachrichten geöffnet wurden.";
    change_waits: "A new address waits for its confirmation", "Eine neue Adresse wartet auf Bestätigung";
    change_waits_text: "It takes effect once the links in our mails are opened.", "Sie gilt, sobald die Links in unseren Nachrichten geöffnet wurden.";
    change_cancel: "Cancel this change", "Änderung abbrechen";
    change_canceled: "The change of address is canceled.", "Die Änderung der Adresse ist abgebrochen.";

    required: "This is needed.", "Das wird gebraucht.";
    too_long: "This is too long.", "Das ist zu lang.";
    not_allowed: "This cannot be used here.", "Das geht hier nicht.";
    email_invalid: "This is no address that we can mail to.", "An diese Adresse können wir nichts schicken.";
    email_same: "This is your address already.", "Das ist schon deine Adresse.";
    username_invalid: "3 to 32 of a to z, 0 to 9, - and _, and no reserved name.", "3 bis 32 Zeichen aus a bis z, 0 bis 9, - und _, und kein reservierter Name.";
    username_taken: "Somebody else has this username.", "Diesen Benutzernamen hat schon jemand.";
    name_invalid: "A name has at least one visible character and no control characters.",
        "Ein Name hat mindestens ein sichtbares Zeichen und keine Steuerzeichen.";
    password_too_short: "At least {} characters.", "Mindestens {} Zeichen.";
    password_too_long: "This password is too long.", "Dieses Passwort ist zu lang.";
    password_blocklisted: "Many people use this password, so it is among the first to be tried. Choose another.",
        "Viele benutzen dieses Passwort, darum wird es als eines der ersten probiert. Wähle ein anderes.";
    password_resembles: "It is hardly more than the site’s name, your address or your username. Choose another.",
        "Es ist kaum mehr als der Name der Seite, deine Adresse oder dein Benutzername. Wähle ein anderes.";
    password_wrong: "This is not your present password.", "Das ist nicht dein bisheriges Passwort.";

    invalid_credentials: "The name or the password is wrong.", "Name oder Passwort ist falsch.";
    challenge_required: "There were too many failures for this name. Reset your password to prove that the mailbox is yours.",
        "Für diesen Namen gab es zu viele Fehlversuche. Setze dein Passwort zurück, um zu zeigen, dass das Postfach dir gehört.";
    code_invalid: "The code is wrong or was used before. Wait for the next one of the app.",
        "Der Code ist falsch oder wurde schon benutzt. Warte auf den nächsten der App.";
    token_invalid: "This link or code is not valid. Copy it whole, or ask for a new one.",
        "Dieser Link oder Code gilt nicht. Kopiere ihn ganz, oder fordere einen neuen an.";
    token_spent: "This link or code was used already, or it is too old. Ask for a new one.",
        "Dieser Link oder Code wurde schon benutzt oder ist zu alt. Fordere einen neuen an.";
    rate_limited: "Too many attempts. Try again {}.", "Zu viele Versuche. Versuche es {} noch einmal.";
    hasher_busy: "Many people log in at this moment. Try again {}.", "Gerade loggen sich viele ein. Versuche es {} noch einmal.";
    in_seconds: "in a few seconds", "in ein paar Sekunden";
    in_a_minute: "in a minute", "in einer Minute";
    in_five_minutes: "in five minutes", "in fünf Minuten";
    in_a_quarter: "in a quarter of an hour", "in einer Viertelstunde";
    in_an_hour: "in an hour", "in einer Stunde";
    tomorrow: "tomorrow", "morgen";

    failed_title: "Something went wrong", "Etwas ist schiefgegangen";
    failed_text: "It is not your fault. Try again in a while.", "Es liegt nicht an dir. Versuche es nach einer Weile noch einmal.";
    refused_title: "This request is not understood", "Diese Anfrage verstehen wir nicht";
    refused_text: "Go back and try again.", "Gehe zurück und versuche es noch einmal.";
    csrf_title: "This page was open for too long", "Diese Seite war zu lange offen";
    csrf_text: "To be sure that it was you who sent the form, open the page anew and send it again. Your browser must allow cookies for this site.",
        "Damit sicher ist, dass du das Formular geschickt hast, öffne die Seite neu und schicke es noch einmal. Dein Browser muss Cookies für diese Seite erlauben.";
    closed_title: "New accounts cannot be made here", "Neue Konten gibt es hier nicht";
    closed_text: "Ask those who run this site for an invitation.", "Bitte die Betreiber dieser Seite um eine Einladung.";
    missing_title: "There is nothing here", "Hier ist nichts";
    missing_text: "It may have ended already.", "Vielleicht ist es schon beendet.";
    wait_title: "One moment, please", "Einen Moment, bitte";
    open_again: "Open the page again", "Seite neu öffnen";
}

impl Texts {
    /// The texts for whoever asks for this language, such as `de-AT`.
    pub(crate) fn of(locale: &str) -> &'static Texts {
        let base = locale.split('-').next().unwrap_or_default();
        if base.eq_ignore_ascii_case("de") { &GERMAN } else { &ENGLISH }
    }

    /// How long to wait, in words that are never too short.
    pub(crate) fn wait(&self, seconds: u64) -> &'static str {
        match seconds {
            0..=5 => self.in_seconds,
            6..=60 => self.in_a_minute,
            61..=300 => self.in_five_minutes,
            301..=900 => self.in_a_quarter,
            901..=3600 => self.in_an_hour,
            _ => self.tomorrow,
        }
    }

    /// A day: `22 Nov 2026` or `22.11.2026`.
    pub(crate) fn day(&self, at: &Timestamp) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let text = at.to_string();
        let (year, month, day) = (&text[..4], &text[5..7], &text[8..10]);
        if self.lang == "de" {
            return format!("{day}.{month}.{year}");
        }
        let name = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
        format!("{} {} {year}", day.trim_start_matches('0'), name.unwrap_or(&month))
    }

    /// An instant to the minute.
    pub(crate) fn instant(&self, at: &Timestamp) -> String {
        format!("{}, {} UTC", self.day(at), &at.to_string()[11..16])
    }

    /// What a field's error says; the shortest password where it speaks of it.
    pub(crate) fn field(&self, code: &str, name: &str, min_password: usize) -> String {
        let text = match (code, name) {
            ("required" | "invalid_format", "display_name") => self.name_invalid,
            ("required", _) => self.required,
            ("too_long" | "out_of_range", _) => self.too_long,
            ("not_allowed", "email") => self.email_same,
            ("email_invalid", _) => self.email_invalid,
            ("username_invalid", _) => self.username_invalid,
            ("username_taken", _) => self.username_taken,
            ("password_too_short", _) => return self.password_too_short.replace("{}", &min_password.to_string()),
            ("password_too_long", _) => self.password_too_long,
            ("password_blocklisted", _) => self.password_blocklisted,
            ("password_resembles_account", _) => self.password_resembles,
            ("current_password_wrong", _) => self.password_wrong,
            _ => self.not_allowed,
        };
        text.to_owned()
    }

    /// What an error says that no field is to blame for; none for one that has a page of its own.
    pub(crate) fn problem(&self, error: &kernel::Error) -> Option<String> {
        let wait = self.wait(error.retry_after_secs().unwrap_or(60));
        let text = match () {
            () if error.is(&problems::INVALID_CREDENTIALS) => self.invalid_credentials,
            () if error.is(&problems::CODE_INVALID) => self.code_invalid,
            () if error.is(&problems::CHALLENGE_REQUIRED) => self.challenge_required,
            () if error.is(&problems::TOKEN_INVALID) => self.token_invalid,
            () if error.is(&problems::TOKEN_SPENT) => self.token_spent,
            () if error.is(&problems::SIGNUP_CLOSED) => self.closed_text,
            () if error.is(&error::RATE_LIMITED) => return Some(self.rate_limited.replace("{}", wait)),
            () if error.is(&problems::HASHER_BUSY) => return Some(self.hasher_busy.replace("{}", wait)),
            () => return None,
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_its_base() {
        assert_eq!(
            ["de", "de-AT", "DE", "en", "fr", "deutsch", ""].map(|locale| Texts::of(locale).lang),
            ["de", "de", "de", "en", "en", "en", "en"]
        );
    }

    #[test]
    fn a_wait_is_never_told_too_short() {
        assert_eq!(
            [1, 6, 60, 61, 900, 901, 3601].map(|secs| ENGLISH.wait(secs)),
            ["in a few seconds", "in a minute", "in a minute", "in five minutes", "in a quarter of an hour", "in an hour", "tomorrow",]
        );
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        let at: Timestamp = "2026-03-04T12:05:00.000Z".parse().unwrap();
        assert_eq!((ENGLISH.instant(&at), GERMAN.instant(&at)), ("4 Mar 2026, 12:05 UTC".to_owned(), "04.03.2026, 12:05 UTC".to_owned()));
    }
}
