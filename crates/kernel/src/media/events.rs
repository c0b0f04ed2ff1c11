//! What happens to files.

use utoipa::ToSchema;
use uuid::Uuid;

/// A file as events carry it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MediaData {
    /// The file.
    pub id: Uuid,
    /// Who uploaded it; null when the system did.
    pub owner_id: Option<Uuid>,
    /// What it is.
    pub mime: String,
    /// The size of the original.
    pub size_bytes: i64,
    /// The width of a picture.
    pub width: Option<i64>,
    /// The height of a picture.
    pub height: Option<i64>,
    /// What a picture shows, for those who do not see it.
    pub alt: Option<String>,
    /// `public` or `private`.
    pub visibility: String,
    /// Counts the changes.
    pub version: i64,
}

crate::event! {
    /// A file was uploaded.
    pub struct MediaCreated as "media.file.created" {
        /// The file.
        pub file: MediaData,
    }
}

crate::event! {
    /// What is known about a file was changed.
    pub struct MediaUpdated as "media.file.updated" {
        /// The file.
        pub file: MediaData,
    }
}

crate::event! {
    /// A file was deleted.
    pub struct MediaDeleted as "media.file.deleted" {
        /// The file.
        pub media_id: Uuid,
    }
}
