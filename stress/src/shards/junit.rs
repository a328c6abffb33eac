//! Merged files as a JUnit report, which build servers show as tests.
//!
//! A suite a fault, a test a case. A broken promise is a failure, two verdicts are an error, and a case that
//! is missing is an error as well: a report that shows no failure is one of a whole campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::merge::Merged;
use crate::campaign::{Case, Kind, Reading};

/// The suite of a case.
fn suite(case: &Case) -> &'static str {
    match case.kind {
        Kind::Fault => case.fault.name(),
        Kind::Pair => "pairs",
        Kind::Control => "controls",
    }
}

/// What XML cannot hold is shown as what it is not.
fn printable(text: &str) -> String {
    let is_odd = |letter: char| {
        (letter.is_control() && !matches!(letter, '\n' | '\t'))
            || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    text.chars()
        .map(|letter| if is_odd(letter) { '\u{fffd}' } else { letter })
        .collect()
}

/// What became of a test.
enum Result<'a> {
    Passed,
    Failed(&'a Reading),
    TwoVerdicts(String),
    Missing,
}

/// Writes the report.
pub(crate) fn write_junit(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let mut suites: BTreeMap<&'static str, Vec<(Case, Result<'_>)>> = BTreeMap::new();
    let in_conflict: BTreeSet<u64> = merged
        .conflicts
        .iter()
        .map(|conflict| conflict.case)
        .collect();
    for case in merged.options.selected() {
        let result = match merged.readings.get(&case.index) {
            None => Result::Missing,
            Some(_) if in_conflict.contains(&case.index) => {
                let told = merged
                    .conflicts
                    .iter()
                    .filter(|told| told.case == case.index);
                let told = told.flat_map(|told| [&told.here, &told.there]);
                let told = told.map(|(place, says)| format!("{place}: {says}"));
                Result::TwoVerdicts(told.collect::<Vec<_>>().join("\n"))
            }
            Some(reading) if reading.verdict.breach.is_some() => Result::Failed(reading),
            Some(_) => Result::Passed,
        };
        suites.entry(suite(&case)).or_default().push((case, result));
    }
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&Result<'_>> = suites
        .values()
        .flatten()
        .map(|(_, result)| result)
        .collect();
    let [tests, failures, errors] = counts(&all);
    writer
        .create_element("testsuites")
        .with_attribute(("name", "gc-stress campaign"))
        .with_attribute(("tests", tests.as_str()))
        .with_attribute(("failures", failures.as_str()))
        .with_attribute(("errors", errors.as_str()))
        .write_inner_content(|writer| {
            suites
                .iter()
                .try_for_each(|(name, cases)| write_suite(writer, name, cases))
        })?;
    writeln!(writer.into_inner())
}

fn counts(results: &[&Result<'_>]) -> [String; 3] {
    let count = |is: fn(&Result<'_>) -> bool| {
        results
            .iter()
            .filter(|result| is(result))
            .count()
            .to_string()
    };
    [
        count(|_| true),
        count(|result| matches!(result, Result::Failed(_))),
        count(|result| matches!(result, Result::TwoVerdicts(_) | Result::Missing)),
    ]
}

fn write_suite<W: Write>(
    writer: &mut Writer<W>,
    name: &str,
    cases: &[(Case, Result<'_>)],
) -> io::Result<()> {
    let results: Vec<&Result<'_>> = cases.iter().map(|(_, result)| result).collect();
    let [tests, failures, errors] = counts(&results);
    writer
        .create_element("testsuite")
        .with_attribute(("name", name))
        .with_attribute(("tests", tests.as_str()))
        .with_attribute(("failures", failures.as_str()))
        .with_attribute(("errors", errors.as_str()))
        .write_inner_content(|writer| {
            cases
                .iter()
                .try_for_each(|(case, result)| write_test(writer, case, result))
        })?;
    Ok(())
}

fn write_test<W: Write>(
    writer: &mut Writer<W>,
    case: &Case,
    result: &Result<'_>,
) -> io::Result<()> {
    let name = format!("case {} at {}", case.index, case.level.id());
    let class = format!("campaign.{}", suite(case));
    let element = writer
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", class.as_str()));
    let (kind, message, text) = match result {
        Result::Passed => {
            element.write_empty()?;
            return Ok(());
        }
        Result::Failed(reading) => (
            "failure",
            reading.verdict.breach.unwrap_or_default(),
            format!("{}: {}", reading.verdict.outcome.id(), reading.verdict.why),
        ),
        Result::TwoVerdicts(told) => ("error", "two verdicts", told.clone()),
        Result::Missing => ("error", "the case is missing", String::new()),
    };
    element.write_inner_content(|writer| {
        writer
            .create_element(kind)
            .with_attribute(("message", message))
            .write_text_content(BytesText::new(&printable(&text)))?;
        Ok(())
    })?;
    Ok(())
}
