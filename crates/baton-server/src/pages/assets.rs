//! The stylesheet and the script, under names that carry their content's hash.
//!
//! Such a name never stands for other content, so browsers keep them for good; nothing is fetched
//! from anywhere else.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::body::BlobHash;

/// How long a browser keeps them: a year, the longest that is heeded.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// How many hexadecimal digits of a hash stand in a name.
const DIGITS: usize = 16;

/// A file that pages need.
#[derive(Debug)]
pub struct Asset {
    /// What it is called: `pages.HASH.css`.
    pub name: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, ending: &str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash = BlobHash::of(bytes).to_string();
        let name = format!("{stem}.{}.{ending}", hash.get(..DIGITS).unwrap_or_default());
        Self { name, media_type, bytes }
    }
}

/// The stylesheet.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("pages", "css", "text/css; charset=utf-8", include_bytes!("../../assets/pages.css"))
});

/// The script.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let bytes = include_bytes!("../../assets/pages.js");
    Asset::new("pages", "js", "text/javascript; charset=utf-8", bytes)
});

/// The icon of the browser's tab.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg"))
});

/// Answers with the file of this name.
pub async fn asset(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file; load the page again\n")
            .into_response();
    };
    let kind = HeaderValue::from_static(asset.media_type);
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_in_it() {
        let name = &STYLE.name;
        assert!(name.starts_with("pages.") && name.ends_with(".css"), "{name}");
        assert_ne!(Asset::new("a", "b", "c", b"x").name, Asset::new("a", "b", "c", b"y").name);
    }
}
