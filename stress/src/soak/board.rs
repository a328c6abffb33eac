//! The board: an object whose edges all threads read and set at once, with nothing to order them.
//!
//! No oracle can know which of several racing stores stays. But a note's text follows from its id,
//! so that whatever a load answers can be told from what was never stored.

use gc_core::{Edge, Gc, Mutator, Root, Scope, Trace};

use crate::audit::Audit;
use crate::error::Error;
use crate::rng::{Rng, SplitMix64};

/// Notes on the board.
const CELLS: usize = 32;

#[derive(Trace)]
struct Notes<'gc> {
    cells: [Edge<'gc, Note<'gc>>; CELLS],
}

#[derive(Trace)]
struct Note<'gc> {
    id: u64,
    text: Gc<'gc, [u8]>,
    /// A note that was read when this one was written.
    older: Edge<'gc, Note<'gc>>,
}

/// See the module.
pub(super) struct Board(Root<Notes<'static>>);

/// The text that a note of an id must have.
fn text_of(id: u64) -> impl Iterator<Item = u8> {
    let mut words = SplitMix64::new(id);
    (0..id % 61).map(move |_| words.next_u64() as u8)
}

fn is_sound(note: Gc<'_, Note<'_>>) -> bool {
    note.text.iter().copied().eq(text_of(note.id))
}

impl Board {
    pub(super) fn new(mutator: &mut Mutator) -> Result<Self, Error> {
        mutator.enter(|scope| {
            let cells = [const { Edge::none() }; CELLS];
            Ok(Board(scope.root(scope.try_alloc(Notes { cells })?)))
        })
    }

    /// Reads some note, and writes another one over some other.
    pub(super) fn use_it(&self, scope: Scope<'_>, rng: &mut Rng) -> Result<Audit, Error> {
        let mut audit = Audit::default();
        let notes = scope.get(&self.0)?;
        let read = notes.cells[rng.index(CELLS)].get();
        if let Some(note) = read {
            audit.book(is_sound(note));
            if let Some(older) = note.older.take(scope) {
                audit.book(is_sound(older));
            }
        }
        let id = rng.next_u64();
        let text = scope.try_alloc_slice(text_of(id))?;
        let note = scope.try_alloc(Note {
            id,
            text,
            older: Edge::from(read),
        })?;
        let before = notes.cells[rng.index(CELLS)].swap(scope, note);
        if let Some(before) = before {
            audit.book(is_sound(before));
        }
        Ok(audit)
    }

    /// Looks at every note.
    pub(super) fn audit(&self, scope: Scope<'_>) -> Result<Audit, Error> {
        let mut audit = Audit::default();
        for cell in &scope.get(&self.0)?.cells {
            let mut note = cell.get();
            while let Some(at) = note {
                audit.book(is_sound(at));
                note = at.older.get();
            }
        }
        Ok(audit)
    }
}
