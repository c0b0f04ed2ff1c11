//! SQL of wishes.

use undercroft::db::{self, Conn, Error, Tx, params};
use undercroft::{Id, Timestamp};

pub(crate) const MIGRATIONS: &[db::Migration] = db::migrations![(1, "wishes", include_str!("../migrations/0001_wishes.sql"))];

db::row! {
    /// A wish that somebody made.
    #[derive(Clone, serde::Serialize, utoipa::ToSchema)]
    #[schema(example = json!({"id": "019ab0b2-8f00-7000-8000-000000000001", "text": "A pony", "made_at": "2026-11-22T12:00:00.000Z"}))]
    pub(crate) struct Wish {
        /// The wish.
        #[schema(value_type = uuid::Uuid)]
        pub(crate) id: Id<Wish>,
        /// What is wished for.
        pub(crate) text: String,
        /// When it was made.
        pub(crate) made_at: Timestamp,
    }
}

pub(crate) fn insert(tx: &mut Tx<'_>, wish: &Wish) -> Result<u64, Error> {
    tx.execute("INSERT INTO wishes (id, text, made_at) VALUES (?, ?, ?)", params![wish.id, wish.text, wish.made_at])
}

pub(crate) fn newest(c: &mut Conn) -> Result<Vec<Wish>, Error> {
    c.all("SELECT id, text, made_at FROM wishes ORDER BY id DESC LIMIT 100", params![])
}
