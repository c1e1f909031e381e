//! Fields that have one of a few words: the enum, its JSON and its schema, from one list.

use link::record::{RECORDED_PCAP, RECORDED_WAV};

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

words! {
    /// How calls are written to disk.
    Recording { Off = "off", Wav = "wav", Pcap = "pcap", Both = "both" }
    /// What a document of money is.
    Paper { Invoice = "invoice", CreditNote = "credit_note", DebitNote = "debit_note" }
    /// What a line of it tells of.
    LineOf { Calls = "calls", Rent = "rent", Package = "package" }
}

impl Recording {
    /// As [`link::CallRecord::recorded`] says it.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Wav => RECORDED_WAV,
            Self::Pcap => RECORDED_PCAP,
            Self::Both => RECORDED_WAV | RECORDED_PCAP,
        }
    }

    /// From [`Self::bits`].
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let all = [Self::Off, Self::Wav, Self::Pcap, Self::Both];
        all.into_iter().find(|word| word.bits() == bits).unwrap_or_default()
    }

    /// The word in CDRs; none where nothing is recorded.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Wav => Some("wav"),
            Self::Pcap => Some("pcap"),
            Self::Both => Some("both"),
        }
    }
}

pub(crate) use words;
