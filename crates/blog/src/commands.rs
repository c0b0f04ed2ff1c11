//! The command line's verbs for the blog: `blog publish|reindex|rerender`.

use clap::{Arg, ArgMatches, Command};
use kernel::error::MALFORMED_REQUEST;
use kernel::http::IfMatch;
use kernel::{Ctx, Parts, Result};

use crate::posts::lifecycle::{self, Times};
use crate::{comments, search};

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.command("blog", "Posts", shape(), run);
}

fn shape() -> Command {
    let id = Arg::new("id").required(true).help("The id of the post");
    Command::new("blog")
        .subcommand_required(true)
        .after_help("Example:\n  undercroft blog reindex")
        .subcommand(
            Command::new("publish")
                .about("Publishes a post, with its draft if it has one")
                .arg(id)
                .after_help("Example: undercroft blog publish 019ab0b2-8f00-7000-8000-000000000001"),
        )
        .subcommand(Command::new("reindex").about("Fills the search index anew").after_help("Example: undercroft blog reindex"))
        .subcommand(
            Command::new("rerender")
                .about("Makes HTML anew that another version of the renderer made")
                .after_help("Example: undercroft blog rerender"),
        )
}

async fn run(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("publish", options)) => {
            let id = options.get_one::<String>("id").and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| MALFORMED_REQUEST.because("This is not the id of a post."))?;
            let post = lifecycle::publish(&ctx, id, Times::default(), IfMatch::Any).await?;
            println!("Published {} ({id}).", post.record.title);
            Ok(())
        }
        Some(("reindex", _)) => {
            let count = search::service::reindex(&ctx).await?;
            println!("Indexed {count} posts.");
            Ok(())
        }
        Some(("rerender", _)) => {
            comments::service::rerender(&ctx).await?;
            lifecycle::rerender(&ctx).await
        }
        _ => Err(MALFORMED_REQUEST.because("Say what to do: publish, reindex or rerender.")),
    }
}
