//! People who call, made through the front door.

use serde_json::json;

use crate::app::TestApp;
use crate::mail::token_in;
use crate::request::TestResponse;

/// The password of everybody that [`TestApp::member`] and [`TestApp::owner`] make.
pub const PASSWORD: &str = "seven bridges of Koenigsberg";

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The access token; empty for somebody who is not logged in.
    pub token: String,
    /// The person's id; empty for somebody who is not logged in.
    pub user_id: String,
    /// The primary address; empty for somebody who is not logged in.
    pub email: String,
}

impl Person {
    /// The person that a login, sign-up or invitation in token mode answers with.
    pub fn of(login: &TestResponse, email: &str) -> Person {
        Person { token: login.text("/tokens/access_token"), user_id: login.text("/user/id"), email: email.to_owned() }
    }
}

impl TestApp {
    /// Nobody in particular: no credential.
    pub fn anyone(&self) -> Person {
        Person { token: String::new(), user_id: String::new(), email: String::new() }
    }

    /// A new account with this address: signs up, takes the link from the mail, completes.
    pub async fn member(&self, email: &str) -> Person {
        let begun = self
            .post("/api/v1/auth/signup")
            .header("X-Session-Mode", "token")
            .json(&json!({ "email": email, "password": PASSWORD }))
            .await
            .expect(202);
        let mail = self.last_mail_to(email).await;
        let body = json!({ "token": token_in(&mail), "signup_token": begun.text("/signup_token") });
        let done = self.post("/api/v1/auth/signup/complete").header("X-Session-Mode", "token").json(&body).await.expect(201);
        self.run_jobs().await;
        Person::of(&done, email)
    }

    /// The first owner, `owner@example.com`, made with the token of the line that `serve` prints.
    pub async fn owner(&self) -> Person {
        let lines = self.kernel().notices().await.unwrap_or_else(|error| panic!("no notices: {error:?}"));
        let token = lines
            .iter()
            .find_map(|line| crate::mail::find_token(line))
            .unwrap_or_else(|| panic!("no line names an owner token: {lines:?}"));
        let email = "owner@example.com";
        let body = json!({ "token": token, "email": email, "password": PASSWORD });
        let done = self.post("/api/v1/auth/owner").header("X-Session-Mode", "token").json(&body).await.expect(201);
        self.run_jobs().await;
        Person::of(&done, email)
    }

    /// Logs in with a password in token mode.
    pub async fn log_in(&self, email: &str, password: &str) -> Person {
        let body = json!({ "identifier": email, "password": password });
        let login = self.post("/api/v1/auth/login").header("X-Session-Mode", "token").json(&body).await.expect(200);
        Person::of(&login, email)
    }
}
