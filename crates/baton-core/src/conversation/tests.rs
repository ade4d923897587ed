//! Stories and laws of conversations.
