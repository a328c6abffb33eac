//! Heap maps: the slots of a span, each coloured by its state byte.

use super::drawing::meaning;
use super::watched::{Shot, Watched};

/// The slots of a span, each coloured by its state byte.
pub(crate) struct HeapMap {
    pub(crate) title: String,
    pub(crate) facts: String,
    pub(crate) columns: usize,
    pub(crate) cell: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Class and outline of the slots of that class.
    pub(crate) paths: Vec<(&'static str, String)>,
    pub(crate) guilty: Option<(usize, usize)>,
    pub(crate) colour: u8,
    pub(crate) bytes: String,
    pub(crate) legend: Vec<Legend>,
    /// Colour and bytes after each operation, where they were kept.
    pub(crate) frames: Vec<Frame>,
    /// The operation that is shown, from 1.
    pub(crate) op: usize,
}

/// What one byte means, and how many slots have it.
pub(crate) struct Legend {
    pub(crate) class: &'static str,
    pub(crate) byte: String,
    pub(crate) meaning: String,
    pub(crate) slots: usize,
}

/// A span after an operation.
pub(crate) struct Frame {
    pub(crate) colour: u8,
    pub(crate) bytes: String,
}

/// The span in question, and what was withdrawn.
pub(crate) fn maps(watched: &Watched) -> Vec<HeapMap> {
    let mut maps = Vec::new();
    if let Some(shot) = &watched.at_first {
        let title = format!("Span {} when it was first reported", shot.view.first_page);
        let mut map = map(title, shot);
        map.frames = watched
            .frames
            .iter()
            .map(|frame| match frame {
                Some(shot) => Frame {
                    colour: shot.colour,
                    bytes: hex(&shot.view.states),
                },
                None => Frame {
                    colour: 0,
                    bytes: String::new(),
                },
            })
            .collect();
        maps.push(map);
    }
    for shot in &watched.at_end {
        let is_same = watched.at_first.as_ref().is_some_and(|first| {
            (first.view.first_page, &first.view.states) == (shot.view.first_page, &shot.view.states)
                && first.view.state == shot.view.state
        });
        if !is_same {
            maps.push(map(
                format!("Span {} at the end", shot.view.first_page),
                shot,
            ));
        }
    }
    maps
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn map(title: String, shot: &Shot) -> HeapMap {
    let view = &shot.view;
    let slots = view.states.len();
    let (columns, cell) = match slots {
        0..=64 => (16, 18),
        65..=512 => (32, 16),
        _ => (64, 12),
    };
    let mut paths: Vec<(&'static str, String)> = Vec::new();
    for (slot, byte) in view.states.iter().enumerate() {
        let (class, _) = meaning(*byte, shot.colour);
        let (x, y, side) = (slot % columns * cell, slot / columns * cell, cell - 2);
        let square = format!("M{x} {y}h{side}v{side}h-{side}z");
        match paths.iter_mut().find(|(known, _)| *known == class) {
            Some((_, path)) => path.push_str(&square),
            None => paths.push((class, square)),
        }
    }
    let place = |slot: u32| {
        (
            slot as usize % columns * cell,
            slot as usize / columns * cell,
        )
    };
    HeapMap {
        title,
        facts: facts(shot),
        columns,
        cell,
        width: columns * cell,
        height: slots.div_ceil(columns) * cell,
        paths,
        guilty: shot.slot.filter(|slot| (*slot as usize) < slots).map(place),
        colour: shot.colour,
        bytes: hex(&view.states),
        legend: legend(shot),
        frames: Vec::new(),
        op: shot.op + 1,
    }
}

fn facts(shot: &Shot) -> String {
    let view = &shot.view;
    format!(
        "{}, {} slots of {} bytes, {}; {} objects in its books, {} slots withdrawn, last swept in cycle {}",
        view.type_name
            .map_or("?".to_string(), crate::outcome::type_name),
        view.states.len(),
        view.slot_bytes,
        view.state,
        view.alloc_count,
        view.slots_quarantined,
        view.generation
    )
}

/// Every byte of a span, what it means, and how many slots have it.
fn legend(shot: &Shot) -> Vec<Legend> {
    let mut counts = std::collections::BTreeMap::new();
    for byte in &shot.view.states {
        *counts.entry(*byte).or_insert(0) += 1;
    }
    let lines = counts.into_iter().map(|(byte, slots)| {
        let (class, meaning) = meaning(byte, shot.colour);
        Legend {
            class,
            byte: format!("{byte:#04x}"),
            meaning,
            slots,
        }
    });
    lines.collect()
}
