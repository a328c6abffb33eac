//! A strict reader of Prometheus' text format, version 0.0.4: what it takes, a scraper takes.

use std::collections::BTreeMap;

/// A family of series.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Reads an exposition; panics at the first line that is not as the format wants it.
pub(crate) fn read(text: &str) -> Vec<Family> {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut families: Vec<Family> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line
            .strip_prefix("# HELP ")
            .expect("a family begins with HELP");
        let (name, help) = help.split_once(' ').expect("a name and a text");
        assert!(is_name(name), "{line}");
        assert!(!help.is_empty() && !help.contains('\\'), "{line}");
        assert!(
            families.iter().all(|family| family.name != name),
            "{name} again"
        );
        let kind = lines.next().unwrap();
        let kind = kind.strip_prefix("# TYPE ").expect("TYPE follows HELP");
        let (typed, kind) = kind.split_once(' ').unwrap();
        assert_eq!(typed, name);
        assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            samples.push(sample(line));
        }
        let family = Family {
            name: name.to_string(),
            kind: kind.to_string(),
            samples,
        };
        family.check();
        families.push(family);
    }
    families
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name{label="value",..} number`, one blank, no time.
fn sample(line: &str) -> Sample {
    let brace = line.find('{').expect("every series has labels");
    let name = &line[..brace];
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    let mut rest = &line[brace + 1..];
    loop {
        let (label, value) = rest.split_once("=\"").expect("a label with a value");
        assert!(is_name(label), "{line}");
        let (value, behind) = unescaped(value);
        assert_eq!(labels.insert(label.to_string(), value), None, "{line}");
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => {
                rest = behind
                    .strip_prefix("} ")
                    .expect("labels end before the value");
                break;
            }
        }
    }
    Sample {
        name: name.to_string(),
        labels,
        value: rest.parse().unwrap_or_else(|_| panic!("a number: {line}")),
    }
}

/// The value up to the quote that ends it, and what stands behind.
fn unescaped(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().map(|(_, c)| c) {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                escaped => panic!("unknown escape {escaped:?} in {text}"),
            }),
            c => value.push(c),
        }
    }
    panic!("no end of the value in {text}")
}

impl Family {
    /// What holds for the samples of a family of this kind.
    fn check(&self) {
        let mut seen = Vec::new();
        for sample in &self.samples {
            assert!(sample.value >= 0.0, "{sample:?}");
            assert!(
                !seen.contains(&(&sample.name, &sample.labels)),
                "{sample:?} twice"
            );
            seen.push((&sample.name, &sample.labels));
        }
        match &*self.kind {
            "histogram" => self.check_histogram(),
            "counter" => assert!(self.name.ends_with("_total"), "{}", self.name),
            _ => assert!(!self.name.ends_with("_total"), "{}", self.name),
        }
        if self.kind != "histogram" {
            assert!(self.samples.iter().all(|sample| sample.name == self.name));
        }
    }

    /// Each series has buckets that rise to `+Inf`, which is the count, then sum and count.
    fn check_histogram(&self) {
        let mut samples = self.samples.iter().peekable();
        while samples.peek().is_some() {
            let (mut bound, mut count) = (f64::NEG_INFINITY, 0.0);
            let mut labels = BTreeMap::new();
            while bound < f64::INFINITY {
                let bucket = samples.next().expect("a bucket");
                assert_eq!(bucket.name, format!("{}_bucket", self.name));
                labels = bucket.labels.clone();
                let le: f64 = labels.remove("le").expect("a bound").parse().unwrap();
                assert!(le > bound && bucket.value >= count, "{bucket:?}");
                (bound, count) = (le, bucket.value);
            }
            let sum = samples.next().unwrap();
            assert_eq!(
                (&sum.name, &sum.labels),
                (&format!("{}_sum", self.name), &labels)
            );
            let all = samples.next().unwrap();
            assert_eq!(
                (&all.name, &all.labels),
                (&format!("{}_count", self.name), &labels)
            );
            assert_eq!(all.value, count, "{all:?}");
        }
    }

    /// The one sample of that name whose labels contain these.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_wanted = |sample: &&Sample| {
            let has = |&(label, value): &(&str, &str)| {
                sample.labels.get(label).is_some_and(|is| is == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        let found: Vec<_> = self.samples.iter().filter(is_wanted).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0].value
    }
}
