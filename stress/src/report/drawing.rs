//! What pictures are made of: scales, segments, histograms, and what a state byte means.
//!
//! Plain values for the template, which draws them. Numbers are rounded here, so that the same figures give
//! the same text.

/// A length or place in a picture, with one decimal.
pub(crate) fn length(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// A stretch of a lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub(crate) x: String,
    pub(crate) width: String,
    /// How it is coloured.
    pub(crate) class: String,
    /// What is told of it.
    pub(crate) title: String,
    /// What is written on it, if there is room.
    pub(crate) label: String,
    pub(crate) label_x: String,
}

/// Places of a range of numbers on a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
}

/// Narrower stretches are not drawn.
const WIDTH_MIN: f64 = 0.3;
/// Room of a letter.
const LETTER: f64 = 6.5;

impl Scale {
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from).max(1e-9);
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// The stretch between two numbers; `None` where it is outside or too narrow to be seen.
    pub(crate) fn segment(
        &self,
        from: f64,
        to: f64,
        class: &str,
        title: String,
        label: &str,
    ) -> Option<Segment> {
        if to <= self.from || from >= self.to {
            return None;
        }
        let (left, right) = (self.at(from), self.at(to));
        let width = right - left;
        let has_room = width > LETTER * (label.len() as f64 + 1.0);
        (width >= WIDTH_MIN).then(|| Segment {
            x: length(left),
            width: length(width),
            class: class.to_string(),
            title,
            label: if has_room {
                label.to_string()
            } else {
                String::new()
            },
            label_x: length(left + width / 2.0),
        })
    }

    /// Round numbers along the line, at most about so many.
    pub(crate) fn ticks(&self, count: usize) -> Vec<Tick> {
        let rough = ((self.to - self.from) / count as f64).max(1.0);
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        let step = steps
            .into_iter()
            .map(|step| step * power)
            .find(|step| *step >= rough);
        let step = step.unwrap_or(power).max(1.0);
        let mut ticks = Vec::new();
        let mut value = (self.from / step).ceil() * step;
        while value <= self.to {
            ticks.push(Tick {
                x: length(self.at(value)),
                label: format!("{value:.0}"),
            });
            value += step;
        }
        ticks
    }
}

/// A number along a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tick {
    pub(crate) x: String,
    pub(crate) label: String,
}

/// One bar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
    pub(crate) middle: String,
    pub(crate) label: String,
    pub(crate) title: String,
    pub(crate) count: u64,
}

/// How often distances are how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Histogram {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) bars: Vec<Bar>,
    pub(crate) width: u32,
    pub(crate) baseline: u32,
}

/// Size of a histogram.
const HISTOGRAM_WIDTH: u32 = 300;
const HISTOGRAM_HEIGHT: f64 = 90.0;
const HISTOGRAM_TOP: f64 = 16.0;

/// In which bin a distance falls: doubling bins, of which the first is nothing at all.
fn bin_of(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

fn bin_name(bin: usize) -> String {
    match bin {
        0 => "0".to_string(),
        1 => "1".to_string(),
        bin => {
            let least = 1_u64 << (bin - 1);
            format!("{least}–{}", least - 1 + least)
        }
    }
}

impl Histogram {
    /// A histogram of distances in doubling bins. `of` says what is counted.
    pub(crate) fn doubling(title: String, values: &[u64], unit: &str) -> Self {
        let bins = values
            .iter()
            .copied()
            .map(bin_of)
            .max()
            .map_or(1, |bin| bin + 1);
        let mut counts = vec![0_u64; bins];
        for value in values {
            counts[bin_of(*value)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or_default().max(1);
        let each = f64::from(HISTOGRAM_WIDTH) / bins as f64;
        let bar = |(bin, count): (usize, &u64)| {
            let height = HISTOGRAM_HEIGHT * *count as f64 / most as f64;
            let name = bin_name(bin);
            Bar {
                x: length(each * bin as f64 + 1.0),
                y: length(HISTOGRAM_TOP + HISTOGRAM_HEIGHT - height),
                width: length((each - 2.0).max(1.0)),
                height: length(height),
                middle: length(each * (bin as f64 + 0.5)),
                title: format!("{name} {unit}: {count} cases"),
                label: name.split('–').next().unwrap_or_default().to_string(),
                count: *count,
            }
        };
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let note = match (sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(middle), Some(most)) => {
                format!("{} cases, median {middle}, at most {most}", sorted.len())
            }
            _ => "no case".to_string(),
        };
        Histogram {
            title,
            note,
            bars: counts.iter().enumerate().map(bar).collect(),
            width: HISTOGRAM_WIDTH,
            baseline: (HISTOGRAM_TOP + HISTOGRAM_HEIGHT) as u32,
        }
    }
}

const COLOUR_MASK: u8 = 0b0000_0111;
const WITHDRAWN_BIT: u8 = 0b0000_1000;
const STAMP_SHIFT: u32 = 4;

/// What a state byte means: the class by which it is coloured, and words. `colour` is that of the cycle in
/// progress or of the last one.
pub(crate) fn meaning(byte: u8, colour: u8) -> (&'static str, String) {
    let (own, stamp) = (byte & COLOUR_MASK, byte >> STAMP_SHIFT);
    match (own, byte & WITHDRAWN_BIT != 0) {
        (0, true) => (
            "withdrawn",
            "withdrawn: neither free nor an object".to_string(),
        ),
        (0, false) if stamp == 0 => ("fresh", "free, never used".to_string()),
        (0, false) => (
            "dead",
            format!(
                "free; its object died in a cycle that is {} modulo 15",
                stamp - 1
            ),
        ),
        (_, true) => ("pinned", format!("an object that is pinned, colour {own}")),
        (own, false) if own == colour => (
            "object",
            format!("an object, colour {own}: that of the last cycle"),
        ),
        (own, false) => (
            "aged",
            format!("an object, colour {own}: that of an earlier cycle"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_and_segments_outside_are_left_out() {
        assert_eq!(
            (length(3.0), length(2.25)),
            ("3".to_string(), "2.2".to_string())
        );
        let scale = Scale {
            from: 10.0,
            to: 20.0,
            left: 0.0,
            right: 100.0,
        };
        let segment = |from, to| scale.segment(from, to, "c", String::new(), "mark");
        assert_eq!(segment(0.0, 10.0), None);
        assert_eq!(segment(10.0, 10.001), None);
        let inside = segment(5.0, 15.0).unwrap();
        assert_eq!((inside.x.as_str(), inside.width.as_str()), ("0", "50"));
        assert_eq!(inside.label, "mark");
        assert_eq!(segment(10.0, 11.0).unwrap().label, "");
        let ticks = scale.ticks(5);
        assert_eq!(ticks.len(), 6);
        assert_eq!((ticks[1].x.as_str(), ticks[1].label.as_str()), ("20", "12"));
    }

    #[test]
    fn distances_fall_into_doubling_bins() {
        let histogram =
            Histogram::doubling("t".to_string(), &[0, 1, 2, 3, 3, 4, 7, 8], "operations");
        let counts: Vec<u64> = histogram.bars.iter().map(|bar| bar.count).collect();
        assert_eq!(counts, [1, 1, 3, 2, 1]);
        assert_eq!(histogram.bars[2].title, "2–3 operations: 3 cases");
        assert_eq!(histogram.note, "8 cases, median 3, at most 8");
        assert_eq!(Histogram::doubling(String::new(), &[], "x").note, "no case");
        assert_eq!(bin_of(u64::MAX), 64);
        assert!(bin_name(64).ends_with(&u64::MAX.to_string()));
    }

    #[test]
    fn every_byte_means_one_thing() {
        let classes: std::collections::BTreeSet<&str> =
            (0..=255).map(|byte| meaning(byte, 3).0).collect();
        assert_eq!(classes.len(), 6);
        assert_eq!(meaning(0x00, 3).0, "fresh");
        assert_eq!(meaning(0x03, 3).0, "object");
        assert_eq!(meaning(0x02, 3).0, "aged");
        assert_eq!(meaning(0x08, 3).0, "withdrawn");
        assert_eq!(meaning(0x0a, 3).0, "pinned");
        assert!(meaning(0x50, 3).1.contains("is 4 modulo 15"));
    }
}
