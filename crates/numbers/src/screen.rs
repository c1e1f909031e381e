//! Screens: which numbers pass a gateway, by their length and what they begin with.

/// What one number of a call has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Prefixes of which it has one; none: it begins as it likes.
    pub allowed: Vec<String>,
    /// Prefixes of which it has none, whatever is allowed.
    pub denied: Vec<String>,
    /// Fewest characters.
    pub digits_min: usize,
    /// Most characters; 0: as many as it likes.
    pub digits_max: usize,
}

impl Screen {
    /// Whether a number passes. Who has none passes where nothing is asked of it.
    #[must_use]
    pub fn passes(&self, number: Option<&[u8]>) -> bool {
        let Some(number) = number else { return self.allowed.is_empty() && self.digits_min == 0 };
        let begins = |prefixes: &[String]| {
            prefixes.iter().any(|prefix| number.starts_with(prefix.as_bytes()))
        };
        let digits_max = if self.digits_max == 0 { usize::MAX } else { self.digits_max };
        (self.digits_min..=digits_max).contains(&number.len())
            && (self.allowed.is_empty() || begins(&self.allowed))
            && !begins(&self.denied)
    }
}

/// The screens of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screens {
    /// Of who calls.
    pub caller: Screen,
    /// Of who is called.
    pub callee: Screen,
    /// Of who forwarded; a call that nobody forwarded passes.
    pub forwarder: Screen,
}

/// Whose number does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// The caller's, or it has none.
    Caller,
    /// The callee's.
    Callee,
    /// Of whoever forwarded.
    Forwarder,
}

impl Screens {
    /// The first number of a call that does not pass.
    #[must_use]
    pub fn barred(
        &self,
        caller: Option<&[u8]>,
        callee: &[u8],
        forwarder: Option<&[u8]>,
    ) -> Option<Barred> {
        if !self.callee.passes(Some(callee)) {
            Some(Barred::Callee)
        } else if !self.caller.passes(caller) {
            Some(Barred::Caller)
        } else if forwarder.is_some_and(|number| !self.forwarder.passes(Some(number))) {
            Some(Barred::Forwarder)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(allowed: &[&str], denied: &[&str], digits: (usize, usize)) -> Screen {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        let (digits_min, digits_max) = digits;
        Screen { allowed: texts(allowed), denied: texts(denied), digits_min, digits_max }
    }

    #[test]
    fn who_is_not_allowed_is_refused_and_what_is_denied_beats_what_is_allowed() {
        let by_both = screen(&["1", "44"], &["442"], (0, 0));
        for (number, passes) in [
            ("1212", true),
            ("44", true),
            ("441", true),
            ("442", false),
            ("4420", false),
            ("33", false),
        ] {
            assert_eq!(by_both.passes(Some(number.as_bytes())), passes, "{number}");
        }
        assert!(!by_both.passes(None), "nobody is not one of them");
        assert!(screen(&[], &["44"], (0, 0)).passes(None));
    }

    #[test]
    fn lengths_count_both_ends() {
        let by_length = screen(&[], &[], (3, 5));
        for (number, passes) in [("12", false), ("123", true), ("12345", true), ("123456", false)] {
            assert_eq!(by_length.passes(Some(number.as_bytes())), passes, "{number}");
        }
        assert!(!by_length.passes(None));
        assert!(screen(&[], &[], (0, 5)).passes(None));
    }

    #[test]
    fn a_call_that_nobody_forwarded_is_not_asked_by_whom() {
        let forwarder = screen(&["39"], &[], (0, 0));
        let screens = Screens { forwarder, ..Screens::default() };
        assert_eq!(screens.barred(None, b"44", None), None);
        assert_eq!(screens.barred(None, b"44", Some(b"391")), None);
        assert_eq!(screens.barred(None, b"44", Some(b"33")), Some(Barred::Forwarder));
    }
}
