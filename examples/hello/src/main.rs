//! The smallest server: one public route. `cargo run -p hello`, then `curl 127.0.0.1:8000/api/v1/greeting?name=Ada`.

use std::process::ExitCode;

use undercroft::http::{Json, Operation, Query};
use undercroft::{App, Ctx, Module, Parts, Result};

/// Who wants to be greeted.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Visitor {
    /// The visitor's name.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

/// What is said.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"text": "Hello, Ada!"}))]
struct Greeting {
    /// One friendly sentence.
    text: String,
}

async fn greet(_ctx: Ctx, Query(visitor): Query<Visitor>) -> Result<Json<Greeting>> {
    let name = visitor.name.unwrap_or_else(|| "world".to_owned());
    Ok(Json(Greeting { text: format!("Hello, {name}!") }))
}

struct Hello;

impl Module for Hello {
    fn name(&self) -> &'static str {
        "hello"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        let greeting = Operation::get("/api/v1/greeting", "getGreeting", greet);
        parts.route(greeting.tag("Hello").summary("Say hello").describe("Greets the world unless told whom.").public());
    }
}

fn main() -> ExitCode {
    undercroft::run(App::builder().module(Hello))
}

#[cfg(test)]
mod tests;
