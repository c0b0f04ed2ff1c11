//! A module of one's own: a table, two routes, a permission and an event. `cargo run -p own-module`

mod store;

use std::process::ExitCode;

use store::Wish;
use undercroft::accounts::Accounts;
use undercroft::http::{Body, Created, List, Operation};
use undercroft::{App, Ctx, Module, Parts, Permission, Result, event, page::Page};

static READ_WISHES: Permission = Permission::new("wishes:wishes:read", "Read what people wish for.");

/// A wish that somebody wants to make.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "A pony"}))]
struct NewWish {
    /// What is wished for.
    #[schema(min_length = 1, max_length = 200)]
    text: String,
}

event! {
    /// Somebody made a wish.
    struct WishMade as "wishes.wish.made" {
        /// What is wished for.
        text: String,
    }
}

async fn make(ctx: Ctx, Body(new): Body<NewWish>) -> Result<Created<Wish>> {
    let wish = Wish { id: ctx.new_id(), text: new.text, made_at: ctx.now() };
    let row = wish.clone();
    ctx.write(move |tx| {
        store::insert(tx, &row)?;
        tx.record(&WishMade { text: row.text.clone() })
    })
    .await?;
    Ok(Created { location: format!("/api/v1/wishes/{}", wish.id), body: wish })
}

async fn list(ctx: Ctx) -> Result<List<Wish>> {
    let items = ctx.read(|c| Ok(store::newest(c)?)).await?;
    Ok(List(Page { items, next_cursor: None, total: None }))
}

struct Wishes;

impl Module for Wishes {
    fn name(&self) -> &'static str {
        "wishes"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        let make = Operation::post("/api/v1/wishes", "createWish", make).tag("Wishes").summary("Make a wish");
        let list = Operation::get("/api/v1/wishes", "listWishes", list).tag("Wishes").summary("Read the newest wishes");
        parts.migrations(store::MIGRATIONS).permissions(&[&READ_WISHES]).emits::<WishMade>();
        parts.route(make.describe("Everybody may wish.").public());
        parts.route(list.describe("At most a hundred.").requires(&READ_WISHES));
    }
}

fn main() -> ExitCode {
    undercroft::run(App::builder().module(Accounts::new()).module(Wishes))
}

#[cfg(test)]
mod tests;
