//! The command line's verbs for accounts: `owner create`, `user list|show|invite|disable|enable|reset|logout|role`, `keys rotate`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use kernel::error::MALFORMED_REQUEST;
use kernel::{Ctx, Error, Id, LogAndContinue as _, Parts, Result, Timestamp, UserId};

use crate::emails::address::EmailAddress;
use crate::users::http::UserView;
use crate::users::{UserRecord, UserStatus};
use crate::{invitations, owners, roles, tokens, users};

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts
        .command("owner", "The first owner", owner_shape(), owner)
        .command("user", "The people with an account", user_shape(), user)
        .command("keys", "The keys that sign access tokens", keys_shape(), keys);
}

fn owner_shape() -> Command {
    let create = Command::new("create")
        .about("Prints a one-time token that makes the first owner, and voids older ones")
        .after_help("Example: undercroft owner create");
    Command::new("owner").subcommand_required(true).subcommand(create)
}

fn user_shape() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, one object a line");
    let name = || Arg::new("user").required(true).help("An id, an address or a username");
    Command::new("user")
        .subcommand_required(true)
        .subcommand(
            Command::new("list").about("Lists everybody, oldest first").arg(json()).after_help("Example: undercroft user list --json"),
        )
        .subcommand(
            Command::new("show")
                .about("Shows one person")
                .arg(name())
                .arg(json())
                .after_help("Example: undercroft user show ada@example.com"),
        )
        .subcommand(
            Command::new("disable")
                .about("Locks an account: all its logins end, and none begins")
                .arg(name())
                .after_help("Example: undercroft user disable ada@example.com"),
        )
        .subcommand(
            Command::new("enable").about("Unlocks an account").arg(name()).after_help("Example: undercroft user enable ada@example.com"),
        )
        .subcommand(
            Command::new("invite")
                .about("Mails an invitation; the account begins when it is accepted")
                .arg(Arg::new("email").required(true).help("The address"))
                .arg(
                    Arg::new("role")
                        .long("role")
                        .action(ArgAction::Append)
                        .help("The name of a role that the account starts with; repeatable"),
                )
                .after_help("Example: undercroft user invite grace@example.com --role editor"),
        )
        .subcommand(
            Command::new("reset")
                .about("Mails a link to set a new password; nobody else ever sets or sees it")
                .arg(name())
                .after_help("Example: undercroft user reset ada@example.com"),
        )
        .subcommand(
            Command::new("logout")
                .about("Ends all logins of a person")
                .arg(name())
                .after_help("Example: undercroft user logout ada@example.com"),
        )
        .subcommand(
            Command::new("role")
                .about("Gives a person a role, or takes it")
                .arg(name())
                .arg(Arg::new("role").required(true).help("The name of the role"))
                .arg(Arg::new("take").long("take").action(ArgAction::SetTrue).help("Take the role instead of giving it"))
                .after_help("Example: undercroft user role ada@example.com admin"),
        )
}

fn keys_shape() -> Command {
    let now =
        Arg::new("now").long("now").action(ArgAction::SetTrue).help("Sign with the new key at once instead of a day after it is published");
    let rotate = Command::new("rotate")
        .about("Makes a new key; tokens of the old one stay good until they expire")
        .arg(now)
        .after_help("Example: undercroft keys rotate --now");
    Command::new("keys").subcommand_required(true).subcommand(rotate)
}

async fn owner(ctx: Ctx, _matches: ArgMatches) -> Result<()> {
    match owners::service::offer(&ctx.app).await? {
        Some(token) => println!("{}", owners::service::invitation(&token)),
        None => println!("There is an owner already. An owner can make others."),
    }
    Ok(())
}

async fn user(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("list", options)) => list(&ctx, options.get_flag("json")).await,
        Some(("show", options)) => {
            let (user, roles) = users::service::find_by_name(&ctx, name_in(options)).await?;
            print_user(user, roles, options.get_flag("json"))
        }
        Some(("disable", options)) => {
            let (user, _) = users::service::find_by_name(&ctx, name_in(options)).await?;
            users::service::disable(&ctx, user.id).await?;
            println!("Locked {} ({}); all logins ended.", user.display_name, user.email);
            Ok(())
        }
        Some(("enable", options)) => {
            let (user, _) = users::service::find_by_name(&ctx, name_in(options)).await?;
            users::service::enable(&ctx, user.id).await?;
            println!("Unlocked {} ({}).", user.display_name, user.email);
            Ok(())
        }
        Some(("invite", options)) => {
            let typed = options.get_one::<String>("email").map_or("", String::as_str);
            let email = EmailAddress::from_body(typed, "/email").map_err(|error| Error::invalid(vec![error]))?;
            let roles = options.get_many::<String>("role").unwrap_or_default().cloned().collect();
            let (invitation, _) = invitations::service::invite(&ctx, email, roles, None).await?;
            println!("Queued an invitation to {}, good until {}.", invitation.email, invitation.expires_at);
            Ok(())
        }
        Some(("reset", options)) => {
            let (user, _) = users::service::find_by_name(&ctx, name_in(options)).await?;
            users::administration::send_password_reset(&ctx, user.id).await?;
            println!("Queued a mail to {}, unless one went out within the last minute.", user.email);
            Ok(())
        }
        Some(("logout", options)) => {
            let (user, _) = users::service::find_by_name(&ctx, name_in(options)).await?;
            let count = users::administration::revoke_sessions(&ctx, user.id).await?;
            println!("Ended {count} logins of {} ({}).", user.display_name, user.email);
            Ok(())
        }
        Some(("role", options)) => role(&ctx, options).await,
        _ => Err(MALFORMED_REQUEST.because("Say what to do: list, show, invite, disable, enable, reset, logout or role.")),
    }
}

fn name_in(options: &ArgMatches) -> &str {
    options.get_one::<String>("user").map_or("", String::as_str)
}

async fn role(ctx: &Ctx, options: &ArgMatches) -> Result<()> {
    let (user, _) = users::service::find_by_name(ctx, name_in(options)).await?;
    let name = options.get_one::<String>("role").map_or("", String::as_str);
    let role = roles::service::find_by_name(ctx, name).await?;
    if options.get_flag("take") {
        roles::service::take(ctx, user.id, role).await?;
        println!("Took the role {name} from {} ({}).", user.display_name, user.email);
    } else {
        roles::service::give(ctx, user.id, role).await?;
        println!("Gave {} ({}) the role {name}.", user.display_name, user.email);
    }
    Ok(())
}

/// Rows read at once, so that a million people need no more memory than a few.
const BATCH: u32 = 500;

async fn list(ctx: &Ctx, as_json: bool) -> Result<()> {
    let mut after: Option<(Timestamp, UserId)> = None;
    loop {
        let batch = ctx.read_long(move |c| Ok(users::store::list(c, after, BATCH)?)).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = Some((last.created_at, Id::from_uuid(last.id.uuid())));
        for user in batch {
            print_user(user, Vec::new(), as_json)?;
        }
    }
}

fn print_user(user: UserRecord, roles: Vec<String>, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(&UserView::of(user, roles)).map_err(Error::internal)?);
        return Ok(());
    }
    let status = if user.status == UserStatus::Active { "active  " } else { "disabled" };
    let roles = if roles.is_empty() { String::new() } else { format!("  [{}]", roles.join(", ")) };
    println!("{}  {status}  {}  {}  {}{roles}", user.id, user.created_at, user.email, user.display_name);
    Ok(())
}

async fn keys(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    let at_once = matches.subcommand_matches("rotate").is_some_and(|options| options.get_flag("now"));
    let kid = tokens::signing::rotate(&ctx, at_once).await?;
    println!("Made the signing key {kid}; it signs {}.", if at_once { "from now on" } else { "from tomorrow on" });
    Ok(())
}

/// The line with the owner's token that the server prints while there is no owner.
pub(crate) async fn notices(app: &kernel::App) -> Result<Vec<String>> {
    let offered = owners::service::offer(app).await.log_and_continue("offering the owner link").flatten();
    Ok(offered.iter().map(owners::service::invitation).collect())
}
