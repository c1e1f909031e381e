//! The texts of one dialog, packed into one fixed block.
//!
//! Fields lie in the order of their number without gaps, so that replacing one (a target refresh)
//! moves those behind it. What does not fit is refused, never cut: a cut tag is another dialog.

/// Bytes of a dialog's texts.
pub(crate) const ARENA_BYTES: usize = 1_100;

/// How many fields [`Arena`] has.
pub(crate) const FIELDS: usize = 8;

/// The texts of a dialog (RFC 3261 §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    /// Call-ID.
    CallId,
    /// Our tag.
    LocalTag,
    /// The far end's tag.
    RemoteTag,
    /// The URI of our side's From or To.
    LocalUri,
    /// The URI of the far side's From or To.
    RemoteUri,
    /// The far end's Contact URI.
    Target,
    /// Route header values, in the order of sending, joined by commas.
    Routes,
    /// What we described to the far end last, for the refresh of its session and for transfers. It gives
    /// way where any other field needs its room.
    Description,
}

/// It does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Eight texts in one block.
#[derive(Clone)]
pub(crate) struct Arena {
    /// Where each field ends; it begins where the one before ends.
    ends: [u16; FIELDS],
    bytes: [u8; ARENA_BYTES],
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { ends: [0; FIELDS], bytes: [0; ARENA_BYTES] }
    }

    pub(crate) fn clear(&mut self) {
        self.ends = [0; FIELDS];
    }

    fn range(&self, field: Field) -> core::ops::Range<usize> {
        let index = field as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        usize::from(start)..usize::from(self.ends[index])
    }

    /// Bytes in use.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.ends[FIELDS - 1])
    }

    /// The text of a field; empty if never set.
    pub(crate) fn text(&self, field: Field) -> &[u8] {
        &self.bytes[self.range(field)]
    }

    /// Replaces a field. On refusal nothing has changed.
    pub(crate) fn set(&mut self, field: Field, text: &[u8]) -> Result<(), TooLong> {
        let mut length = self.len();
        let grown = length - self.range(field).len() + text.len();
        if grown > ARENA_BYTES {
            let spare = self.range(Field::Description).len();
            if field == Field::Description || grown - spare > ARENA_BYTES {
                return Err(TooLong);
            }
            self.ends[Field::Description as usize] -= spare as u16;
            length -= spare;
        }
        let old = self.range(field);
        self.bytes.copy_within(old.end..length, old.start + text.len());
        self.bytes[old.start..old.start + text.len()].copy_from_slice(text);
        for end in &mut self.ends[field as usize..] {
            // Cannot wrap: the sum was checked against the block.
            *end = (usize::from(*end) - old.len() + text.len()) as u16;
        }
        Ok(())
    }

    /// Both parts for a checkpoint.
    pub(crate) fn parts(&self) -> (&[u16; FIELDS], &[u8]) {
        (&self.ends, &self.bytes[..self.len()])
    }

    /// Rebuilds an arena from a checkpoint; `None`: nobody of ours wrote these.
    pub(crate) fn from_parts(ends: [u16; FIELDS], bytes: &[u8]) -> Option<Self> {
        let fits = bytes.len() <= ARENA_BYTES && usize::from(ends[FIELDS - 1]) == bytes.len();
        if !fits || !ends.is_sorted() {
            return None;
        }
        let mut arena = Self::new();
        arena.ends = ends;
        arena.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(arena)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_field_leaves_its_neighbours_alone() {
        let mut arena = Arena::new();
        arena.set(Field::CallId, b"id").unwrap();
        arena.set(Field::Target, b"sip:a@b").unwrap();
        arena.set(Field::Routes, b"<sip:r;lr>").unwrap();
        for target in [&b"sip:much-longer@example.com"[..], b"", b"x"] {
            arena.set(Field::Target, target).unwrap();
            assert_eq!(arena.text(Field::Target), target);
            assert_eq!(arena.text(Field::CallId), b"id");
            assert_eq!(arena.text(Field::Routes), b"<sip:r;lr>");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut arena = Arena::new();
        arena.set(Field::LocalTag, &[b'a'; 1_000]).unwrap();
        assert_eq!(arena.set(Field::Routes, &[b'b'; 101]), Err(TooLong));
        assert_eq!(arena.text(Field::Routes), b"");
        arena.set(Field::Routes, &[b'b'; 100]).unwrap();
        assert_eq!(arena.set(Field::LocalTag, &[b'a'; 1_001]), Err(TooLong));
        assert_eq!(arena.text(Field::Routes), [b'b'; 100]);
    }

    #[test]
    fn the_description_gives_way_to_what_a_dialog_cannot_do_without() {
        let mut arena = Arena::new();
        arena.set(Field::LocalTag, &[b'a'; 500]).unwrap();
        arena.set(Field::Description, &[b'd'; 600]).unwrap();
        assert_eq!(arena.set(Field::Target, &[b't'; 601]), Err(TooLong));
        assert_eq!(arena.text(Field::Description), [b'd'; 600]);
        arena.set(Field::Target, &[b't'; 600]).unwrap();
        assert_eq!(arena.text(Field::Description), b"");
        assert_eq!(arena.text(Field::Target), [b't'; 600]);
        assert_eq!(arena.set(Field::Description, b"d"), Err(TooLong));
    }

    #[test]
    fn a_checkpoint_that_nobody_wrote_is_refused() {
        assert!(Arena::from_parts([0, 9, 2, 3, 4, 5, 6, 6], &[0; 6]).is_none());
        assert!(Arena::from_parts([0, 1, 2, 3, 4, 5, 6, 6], &[0; 5]).is_none());
        assert!(Arena::from_parts([2_000; 8], &[0; 2_000]).is_none());
        let arena = Arena::from_parts([1, 1, 2, 2, 2, 2, 3, 3], b"abc").unwrap();
        assert_eq!(arena.text(Field::Routes), b"c");
    }
}
