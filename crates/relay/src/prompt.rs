//! Prompts: speech of ours by name, in both laws of G.711, ready to be sent.
//!
//! They are read before the first packet and never change: all workers read the same ones.

use codec::g711::{A_LAW_SILENCE, MU_LAW_SILENCE, to_a_law, to_mu_law};

use crate::tone::SAMPLES;

/// Which prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptId(u16);

/// One of them.
struct Prompt {
    name: Box<str>,
    /// µ-law, then A-law; whole packets.
    laws: [Box<[u8]>; 2],
}

/// All there are, by name.
#[derive(Default)]
pub struct Prompts(Box<[Prompt]>);

impl Prompts {
    /// More of them have no number.
    pub const COUNT_MAX: usize = u16::MAX as usize;

    /// Of names and samples at 8 kHz. Of two of one name the first counts; those beyond [`Self::COUNT_MAX`] and
    /// those without a sample are left out.
    #[must_use]
    pub fn new<'a>(speech: impl IntoIterator<Item = (&'a str, &'a [i16])>) -> Self {
        let speech = speech.into_iter().filter(|(_, samples)| !samples.is_empty());
        let mut prompts: Vec<Prompt> = speech
            .map(|(name, samples)| {
                let coded = |law: fn(i16) -> u8, silence: u8| {
                    let mut words: Vec<u8> = samples.iter().copied().map(law).collect();
                    words.resize(words.len().next_multiple_of(SAMPLES), silence);
                    words.into_boxed_slice()
                };
                let laws = [coded(to_mu_law, MU_LAW_SILENCE), coded(to_a_law, A_LAW_SILENCE)];
                Prompt { name: name.into(), laws }
            })
            .collect();
        prompts.sort_by(|one, other| one.name.cmp(&other.name));
        prompts.dedup_by(|later, first| later.name == first.name);
        prompts.truncate(Self::COUNT_MAX);
        Self(prompts.into_boxed_slice())
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PromptId> {
        let place = self.0.binary_search_by(|prompt| (*prompt.name).cmp(name)).ok()?;
        u16::try_from(place).ok().map(PromptId)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all of them, in both laws.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().flat_map(|prompt| &prompt.laws).map(|law| law.len()).sum()
    }

    /// Packets of one.
    #[must_use]
    pub fn packets(&self, prompt: PromptId) -> u32 {
        self.0.get(usize::from(prompt.0)).map_or(0, |it| (it.laws[0].len() / SAMPLES) as u32)
    }

    /// The samples of one packet.
    pub(crate) fn packet(&self, id: PromptId, packet: u32, is_a_law: bool) -> Option<&[u8]> {
        let law = &self.0.get(usize::from(id.0))?.laws[usize::from(is_a_law)];
        law.chunks_exact(SAMPLES).nth(packet as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_found_by_name_and_end_with_silence() {
        let long = [1_000; 161];
        let prompts = Prompts::new([
            ("b", long.as_slice()),
            ("a", &[0; 160]),
            ("b", &[0; 500]),
            ("empty", &[]),
        ]);
        assert_eq!((prompts.len(), prompts.bytes()), (2, 2 * (320 + 160)));
        let b = prompts.find("b").unwrap();
        assert_eq!(prompts.packets(b), 2);
        for (is_a_law, word, silence) in
            [(false, to_mu_law(1_000), MU_LAW_SILENCE), (true, to_a_law(1_000), A_LAW_SILENCE)]
        {
            assert_eq!(prompts.packet(b, 0, is_a_law), Some([word; 160].as_slice()));
            let last = prompts.packet(b, 1, is_a_law).unwrap();
            assert_eq!((last[0], last[1], last[159]), (word, silence, silence));
            assert_eq!(prompts.packet(b, 2, is_a_law), None);
        }
        assert_eq!(prompts.find("c"), None);
        assert_eq!(prompts.find("empty"), None);
    }
}
