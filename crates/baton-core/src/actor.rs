//! Who commands. No command exists without an actor, and no event without the one behind it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::ActorKind;

/// The longest actor name, in characters.
pub const NAME_CHARS_MAX: usize = 200;

/// Who a command comes from, within a workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// What it is.
    pub kind: ActorKind,
    /// Unique among its kind in the workspace.
    pub name: String,
}

impl Actor {
    /// A person; the name is cut at [`NAME_CHARS_MAX`].
    pub fn user(name: &str) -> Self {
        Self { kind: ActorKind::User, name: name.chars().take(NAME_CHARS_MAX).collect() }
    }

    /// Baton itself.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, name: "baton".to_owned() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}
