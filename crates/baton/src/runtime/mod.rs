//! What runs around the engine: the owner's thread, the executor, the clock, the hub of events.
//!
//! Threads live here and nowhere else; every rule lives elsewhere.

mod calls;
mod clock;
mod death;
mod executor;
mod handle;
mod hub;
mod inbox;
mod keeper;
mod owner;
mod reports;
mod speech;
mod texts;

pub use clock::SystemClock;
pub use death::{Death, DeathPoint};
pub use executor::Bounds;
pub use handle::Handle;
pub use owner::{Owner, OwnerEnded, OwnerReport, Parts};
