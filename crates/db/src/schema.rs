//! What tables and columns a database has, and everything that is in them.

use crate::row::Values;
use crate::{Conn, Error, Sql, Value};

/// A column, described so that all engines say the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnInfo {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold no value.
    pub nullable: bool,
}

/// What a column holds, in terms that every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Integers, flags, times, money.
    Int,
    /// Text.
    Text,
    /// Bytes, identifiers, hashes.
    Bytes,
    /// A type that is not portable.
    Other,
}

impl ColumnKind {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "integer" | "bigint" | "smallint" | "int" | "tinyint" | "mediumint" => ColumnKind::Int,
            "text" | "character varying" | "varchar" | "longtext" | "mediumtext" | "tinytext" | "char" | "character" => ColumnKind::Text,
            "blob" | "uuid" | "bytea" | "binary" | "varbinary" | "longblob" | "mediumblob" | "tinyblob" => ColumnKind::Bytes,
            _ => ColumnKind::Other,
        }
    }
}

static COLUMNS: Sql = Sql::new(
    "SELECT m.name, p.name, p.type, CASE WHEN p.\"notnull\" = 1 OR p.pk > 0 THEN 0 ELSE 1 END
     FROM sqlite_schema m JOIN pragma_table_info(m.name) p
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, p.name",
)
.postgres(
    "SELECT c.table_name::text, c.column_name::text, c.data_type::text, CASE WHEN c.is_nullable = 'YES' THEN 1 ELSE 0 END
     FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
     WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
     ORDER BY c.table_name::text COLLATE \"C\", c.column_name::text COLLATE \"C\"",
)
.mysql(
    "SELECT c.table_name, c.column_name, CAST(c.data_type AS CHAR(64)), CASE WHEN c.is_nullable = 'YES' THEN 1 ELSE 0 END
     FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
     WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' ORDER BY BINARY c.table_name, BINARY c.column_name",
);

/// Lists all columns of all tables, ordered by table and name.
pub(crate) fn columns(conn: &mut Conn) -> Result<Vec<ColumnInfo>, Error> {
    let rows: Vec<(String, String, String, bool)> = conn.all(&COLUMNS, &[])?;
    let info = |(table, column, kind, nullable): (_, _, String, _)| ColumnInfo { table, column, kind: ColumnKind::named(&kind), nullable };
    Ok(rows.into_iter().map(info).collect())
}

/// Reads every value of every table, table by table.
pub(crate) fn dump(conn: &mut Conn) -> Result<Vec<(String, Value)>, Error> {
    let columns = columns(conn)?;
    let mut values = Vec::new();
    for table in columns.chunk_by(|a, b| a.table == b.table) {
        let names: Vec<String> = table.iter().map(|column| format!("\"{}\"", column.column)).collect();
        let sql = format!("SELECT {} FROM \"{}\"", names.join(", "), table[0].table);
        let labels: Vec<String> = table.iter().map(|column| format!("{}.{}", column.table, column.column)).collect();
        conn.each(sql, &[], |row: Values| {
            values.extend(labels.iter().cloned().zip(row.0));
            Ok(())
        })?;
    }
    Ok(values)
}
