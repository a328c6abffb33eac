//! The list of places where unsafe code may be reached.
//!
//! Read once an audit. One place a line, as `package::module`; it covers the module and all below. `#` begins a
//! reason. A line that is anything else is refused with its number. Deliberately absent: patterns.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// An allowed place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    /// As reports tell places: `package::module`.
    pub place: String,
    /// What stands behind `#`, if anything does.
    pub reason: Option<String>,
    /// The line, from 1.
    pub line: usize,
}

impl Room {
    /// Whether the place of a module is this one or below it. A package may be written as code writes it.
    #[must_use]
    pub fn covers(&self, place: &str) -> bool {
        let (own, other) = (spelled(&self.place), spelled(place));
        let rest = other.strip_prefix(&own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// A place in the one way to write it.
fn spelled(place: &str) -> String {
    place.replace('-', "_")
}

/// Reads a list.
///
/// # Errors
///
/// [`Error::Malformed`] with the line, for a file that cannot be read or has a line that is no place.
pub fn read(path: &Path) -> Result<Vec<Room>, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::Malformed {
        file: path.display().to_string(),
        problem: error.to_string(),
    })?;
    parse(&text).map_err(|(line, problem)| Error::Malformed {
        file: format!("{}:{line}", path.display()),
        problem,
    })
}

/// The places of a list, or the line that is none and why.
fn parse(text: &str) -> Result<Vec<Room>, (usize, String)> {
    let mut rooms: Vec<Room> = Vec::new();
    for (at, written) in text.lines().enumerate() {
        let line = at + 1;
        let (place, reason) = match written.split_once('#') {
            Some((place, reason)) => (place.trim(), Some(reason.trim())),
            None => (written.trim(), None),
        };
        if place.is_empty() {
            continue;
        }
        if !is_place(place) {
            let problem = format!("\"{place}\" is no place: write package::module");
            return Err((line, problem));
        }
        if let Some(twin) = rooms
            .iter()
            .find(|room| spelled(&room.place) == spelled(place))
        {
            let problem = format!("{place} stands on line {} already", twin.line);
            return Err((line, problem));
        }
        rooms.push(Room {
            place: place.to_string(),
            reason: reason
                .filter(|reason| !reason.is_empty())
                .map(str::to_string),
            line,
        });
    }
    Ok(rooms)
}

fn is_place(text: &str) -> bool {
    let is_word = |word: &str, others: &str| {
        word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || others.contains(c))
    };
    let mut words = text.split("::");
    words.next().is_some_and(|package| is_word(package, "-/."))
        && words.all(|module| is_word(module, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_covers_itself_and_what_is_below() {
        let rooms = parse("# rooms\n\ngc-core::trace  # declares the trait\ngc_sweep\n").unwrap();
        assert_eq!(rooms.len(), 2);
        assert_eq!(rooms[0].reason.as_deref(), Some("declares the trait"));
        assert_eq!((rooms[1].line, &rooms[1].reason), (4, &None));
        assert!(rooms[0].covers("gc-core::trace") && rooms[0].covers("gc-core::trace::cells"));
        assert!(!rooms[0].covers("gc-core::trace_std") && !rooms[0].covers("gc-core"));
        assert!(rooms[1].covers("gc-sweep") && rooms[1].covers("gc-sweep::os"));
    }

    #[test]
    fn a_line_that_is_no_place_is_refused_by_number() {
        for (text, line) in [
            ("gc-core::trace\nany thing", 2),
            ("gc-core::", 1),
            ("::trace", 1),
            ("gc-core/trace::*", 1),
            ("gc-core::a\n\ngc_core::a", 3),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }
}
