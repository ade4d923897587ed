//! `codes!`: a closed vocabulary declared once.
//!
//! One declaration gives the enum, its public words, its storage codes, `ALL`, parsing, serde and
//! the JSON Schema of its words. Stores fill their vocabulary tables from `ALL`; nothing else may
//! list the words again. This module knows no particular vocabulary.

use std::fmt;

/// A vocabulary declared by [`codes!`](crate::codes!).
pub trait Code: Copy + Eq + fmt::Debug + Sized + 'static {
    /// The vocabulary's name: the name of its reference table in a store.
    const VOCABULARY: &'static str;
    /// Every member, in declaration order.
    const ALL: &'static [Self];
    /// The public word, as it stands in JSON, on pages and in the command line.
    fn word(self) -> &'static str;
    /// The small integer a store writes. Never reused, never changed.
    fn code(self) -> u8;
    /// Whether nothing follows this member.
    fn is_terminal(self) -> bool;
    /// The member a stored code stands for; `None` means the value cannot be read.
    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.code() == code)
    }
    /// The member a public word stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.word() == word)
    }
}

/// A word that is not in its vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// The vocabulary's name.
    pub vocabulary: &'static str,
    /// What was read.
    pub found: String,
    /// What would have been understood.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vocabulary, found, known } = self;
        write!(f, "`{found}` is not a {vocabulary}; known are {}", known.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

/// Declares a vocabulary: `codes! { /// doc pub enum Name: "table_name" { /// doc Member = 0 "word" terminal, } }`.
#[macro_export]
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $vocabulary:literal {
            $( $(#[$member_meta:meta])* $member:ident = $code:literal $word:literal $($terminal:ident)?, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $( $(#[$member_meta])* $member = $code, )+
        }

        impl $crate::codes::Code for $name {
            const VOCABULARY: &'static str = $vocabulary;
            const ALL: &'static [Self] = &[ $( Self::$member, )+ ];
            fn word(self) -> &'static str {
                match self { $( Self::$member => $word, )+ }
            }
            fn code(self) -> u8 {
                self as u8
            }
            fn is_terminal(self) -> bool {
                match self { $( Self::$member => $crate::codes!(@terminal $($terminal)?), )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad($crate::codes::Code::word(*self))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::codes::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                use $crate::codes::Code;
                Self::from_word(word).ok_or_else(|| $crate::codes::UnknownWord {
                    vocabulary: Self::VOCABULARY,
                    found: word.chars().take(80).collect(),
                    known: Self::ALL.iter().map(|member| member.word()).collect(),
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::codes::Code::word(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
    (@terminal) => { false };
    (@terminal terminal) => { true };
}

/// The JSON Schema of a vocabulary: a string out of its words.
pub fn schema<C: Code>() -> serde_json::Value {
    let words: Vec<&str> = C::ALL.iter().map(|member| member.word()).collect();
    serde_json::json!({ "type": "string", "enum": words })
}
