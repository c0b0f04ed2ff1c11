//! Who other modules ask about people.

use futures_util::future::BoxFuture;
use kernel::ports::{Directory, Person};
use kernel::{App, Error, Result, UserId};

use crate::users::store;

/// Answers from the tables of users and addresses.
pub(crate) struct UserDirectory;

impl Directory for UserDirectory {
    fn people<'a>(&'a self, app: &'a App, ids: &'a [UserId]) -> BoxFuture<'a, Result<Vec<Person>>> {
        Box::pin(async move {
            let ids = ids.to_vec();
            let users = app.db().read(move |c| Ok::<_, Error>(store::people(c, &ids)?)).await?;
            let person = |user: crate::users::UserRecord| Person {
                id: user.id,
                display_name: user.display_name,
                email: user.email,
                locale: user.locale,
            };
            Ok(users.into_iter().map(person).collect())
        })
    }
}
