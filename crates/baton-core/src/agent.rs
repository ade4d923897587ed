//! Agents: what a model is told, what it answers, and what that costs, as plain data.
//!
//! The loop itself is part of the workflow's machine: an attempt of an agent's task is one turn, one
//! call of a model; a tool call it asks for is a task of its own. Providers' wire formats are not here.

mod check;
mod digest;
mod message;
mod person;
mod price;
mod spending;
mod usage;

pub use check::{call_fault, offered, read_output};
pub use digest::{Digest, RequestHead};
pub use message::{Message, Part, Piece, ToolAnswer};
pub use person::{ANSWER_FIELD, PERSON_ASK, PERSON_SERVER, asked_of_person, person_ask};
pub use price::{Cost, NoCost, Price};
pub use spending::{AtMost, Spending};
pub use usage::Usage;
