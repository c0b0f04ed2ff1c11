//! The command line's verbs for links: `links create|lookup|import|export`.

use std::io::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};
use kernel::error::MALFORMED_REQUEST;
use kernel::{Ctx, Error, Parts, Result};

use crate::domains::Domains;
use crate::imports::{self, OnConflict};
use crate::links::http::LinkView;
use crate::links::service::{self, Options};
use crate::links::{Draft, NOBODY, PasswordChange, Tagged};
use crate::settings::LinkSettings;
use crate::slugs::Slug;
use crate::targets::Target;

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.command("links", "Short links", shape(), run);
}

fn shape() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, one object a line");
    let file = || Arg::new("file").required(true).help("The CSV file; - is standard input or output");
    let create = Command::new("create")
        .about("Makes a link that belongs to the server")
        .arg(Arg::new("url").required(true).help("Where it leads"))
        .arg(Arg::new("slug").long("slug").help("What follows the host; random without it"))
        .arg(Arg::new("title").long("title").help("A name for people"))
        .arg(json())
        .after_help("Example: undercroft links create https://example.com/sale --slug sale");
    let lookup = Command::new("lookup")
        .about("Shows where a slug leads")
        .arg(Arg::new("slug").required(true).help("What follows the host"))
        .arg(json())
        .after_help("Example: undercroft links lookup sale");
    let import = Command::new("import")
        .about("Makes links from a CSV file; importing it twice changes nothing")
        .arg(file())
        .arg(
            Arg::new("on-conflict")
                .long("on-conflict")
                .value_parser(["skip", "rename", "update"])
                .default_value("skip")
                .help("What to do when a slug is taken"),
        )
        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Only tell what would happen"))
        .after_help("Example: undercroft links import yourls.csv --dry-run");
    let export = Command::new("export")
        .about("Writes all links as CSV, in the form that import reads")
        .arg(file())
        .after_help("Example: undercroft links export links.csv");
    Command::new("links").subcommand_required(true).subcommand(create).subcommand(lookup).subcommand(import).subcommand(export)
}

async fn run(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("create", options)) => create(&ctx, options).await,
        Some(("lookup", options)) => {
            let tagged = service::lookup(&ctx, text(options, "slug")).await?;
            print(&ctx, tagged, options.get_flag("json"))
        }
        Some(("import", options)) => import(&ctx, options).await,
        Some(("export", options)) => export(&ctx, text(options, "file")).await,
        _ => Err(MALFORMED_REQUEST.because("Say what to do: create, lookup, import or export.")),
    }
}

fn text<'m>(options: &'m ArgMatches, name: &str) -> &'m str {
    options.get_one::<String>(name).map_or("", String::as_str)
}

async fn create(ctx: &Ctx, options: &ArgMatches) -> Result<()> {
    let url = Target::from_body(text(options, "url"), "/url").map_err(|field| Error::invalid(vec![field]))?;
    let is_case_sensitive = ctx.state::<Domains>().default_domain()?.is_case_sensitive;
    let slug = match text(options, "slug") {
        "" => None,
        typed => Some(Slug::parse(typed, is_case_sensitive).map_err(|_| MALFORMED_REQUEST.because("This is not a slug."))?),
    };
    let status = u16::try_from(ctx.settings::<LinkSettings>().default_status).unwrap_or(302);
    let draft = Draft { slug, title: text(options, "title").to_owned(), ..Draft::to(url, status) };
    let (tagged, _) = service::create(ctx, draft, PasswordChange::Keep, Options::default()).await?;
    print(ctx, tagged, options.get_flag("json"))
}

fn print(ctx: &Ctx, tagged: Tagged, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(&LinkView::of(ctx, tagged)).map_err(Error::internal)?);
        return Ok(());
    }
    let short = crate::domains::short_url(&ctx.app, &tagged.link.slug);
    println!("{short}  {}  {}  {} clicks", tagged.link.status.as_str(), tagged.link.url, tagged.link.click_count);
    Ok(())
}

async fn import(ctx: &Ctx, options: &ArgMatches) -> Result<()> {
    let bytes = match text(options, "file") {
        "-" => std::io::read_to_string(std::io::stdin()).map(String::into_bytes),
        path => std::fs::read(path),
    };
    let bytes = bytes.map_err(|error| MALFORMED_REQUEST.because(format!("The file cannot be read: {error}.")))?;
    let on_conflict = OnConflict::of(text(options, "on-conflict"));
    let started = imports::service::receive(ctx, NOBODY, bytes.into(), on_conflict, options.get_flag("dry-run")).await?;
    let done = imports::service::carry_out(ctx, started.id).await?;
    println!(
        "{} rows: {} made, {} changed, {} left out, {} refused{}.",
        done.total,
        done.created_count,
        done.updated_count,
        done.skipped_count,
        done.failed_count,
        if done.is_dry_run { "; nothing was written" } else { "" }
    );
    for report in imports::service::problems(ctx, done.id).await? {
        println!("line {}: {} {}", report.line, report.code.unwrap_or_default(), report.pointer.unwrap_or_default());
    }
    Ok(())
}

async fn export(ctx: &Ctx, path: &str) -> Result<()> {
    let unwritable = |error: std::io::Error| MALFORMED_REQUEST.because(format!("The file cannot be written: {error}."));
    let mut out: Box<dyn std::io::Write + Send> = match path {
        "-" => Box::new(std::io::stdout()),
        path => Box::new(std::fs::File::create(path).map_err(unwritable)?),
    };
    let mut after = None;
    out.write_all(imports::csv::HEADER_LINE.as_bytes()).map_err(unwritable)?;
    loop {
        let (lines, last) = imports::service::export_page(ctx, None, after).await?;
        out.write_all(&lines).map_err(unwritable)?;
        match last {
            Some(last) => after = Some(last),
            None => return out.flush().map_err(unwritable),
        }
    }
}
