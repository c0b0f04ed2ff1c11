//! Databases made and removed for tests, by an account that may.

use super::{Connector, off_runtime};
use crate::Error;
use crate::settings::Target;

/// Creates a database on the server that the URL names.
pub(crate) fn create(server: &str, name: &str) -> Result<(), Error> {
    run(server, |target| match target {
        // `template1` may be in use.
        Target::Postgres(_) => format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"),
        _ => format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"),
    })
}

/// Removes a database, whoever still uses it.
pub(crate) fn remove(server: &str, name: &str) -> Result<(), Error> {
    run(server, |target| match target {
        Target::Postgres(_) => format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        _ => format!("DROP DATABASE IF EXISTS {name}"),
    })
}

/// The same server, another database.
pub(crate) fn with_database(server: &str, name: &str) -> String {
    match url::Url::parse(server) {
        Ok(mut url) => {
            url.set_path(name);
            url.into()
        }
        Err(_) => server.to_owned(),
    }
}

fn run(server: &str, statement: impl Fn(&Target) -> String + Send + Sync) -> Result<(), Error> {
    off_runtime(|| {
        let target = Target::parse(server)?;
        Connector::new(&target)?.connect(None)?.script(&statement(&target))
    })
}
