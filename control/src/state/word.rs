//! Fields that have one of a few words: the enum, its JSON and its schema, from one list.

/// Makes an enum of each list; its first word is the default.
macro_rules! words {
    ($($(#[$doc:meta])* $word:ident { $($variant:ident = $text:literal),* $(,)? })*) => {
        $($(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize,
        )]
        pub enum $word {
            #[default]
            $(#[serde(rename = $text)] #[doc = concat!("`", $text, "`")] $variant),*
        }

        impl schemars::JsonSchema for $word {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($word).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),*] })
            }
        })*
    };
}

pub(crate) use words;
