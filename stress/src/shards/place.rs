//! Which shard this process is: from a flag, or else from the variables by which schedulers number their
//! tasks.
//!
//! Asked once by the command line. A flag wins over every variable. How many shards there are may be said by
//! a flag or by `GC_SHARDS` as well; then a Slurm task's own number is the shard's, so that one task that is
//! submitted again alone is still the shard that it was. Nothing is guessed: a variable that cannot be read,
//! a number without a count, and two schedulers that say different things are refused.

use std::fmt;
use std::str::FromStr;

/// The variable that says how many shards there are.
pub(crate) const COUNT: &str = "GC_SHARDS";

/// Most shards of a campaign: their numbers have four digits in the names of files.
pub(crate) const SHARDS_MAX: u64 = 10_000;

/// One of so many shards, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

impl Shard {
    fn new(index: u64, count: u64) -> Result<Self, String> {
        if count == 0 || count > SHARDS_MAX {
            return Err(format!(
                "there may be 1 to {SHARDS_MAX} shards, not {count}"
            ));
        }
        if index >= count {
            return Err(format!(
                "there is no shard {index} of {count}: they are counted from 0 to {}",
                count - 1
            ));
        }
        Ok(Shard { index, count })
    }

    /// Whether a case belongs to it.
    pub(crate) fn has(self, case: u64) -> bool {
        case % self.count == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().ok();
        let numbers = text.split_once('/');
        match numbers.and_then(|(index, count)| Some((number(index)?, number(count)?))) {
            Some((index, count)) => Shard::new(index, count),
            None => Err("write the shard and how many there are, as 0/8".to_string()),
        }
    }
}

/// A shard, and who said so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chosen {
    pub(crate) shard: Shard,
    pub(crate) by: &'static str,
}

/// Looks variables up.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// The number in a variable, if it is set.
    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(text) = (self.0)(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{name} is `{text}`, which is no number")),
        }
    }
}

/// Which shard this is, if it is one. `count` is what a flag says, and `variable` looks a variable up.
///
/// # Errors
///
/// What is malformed, missing or contradictory, by the name of its variable.
pub(crate) fn choose(
    count: Option<u64>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>, String> {
    let variables = Variables(variable);
    let said = match count {
        Some(count) => Some((count, "--shards")),
        None => variables.number(COUNT)?.map(|count| (count, COUNT)),
    };
    let schedulers = [
        kubernetes(&variables, said)?,
        slurm(&variables, said)?,
        parallel(&variables, said)?,
        aws_batch(&variables, said)?,
    ];
    let mut chosen: Option<Chosen> = None;
    for found in schedulers.into_iter().flatten() {
        match &chosen {
            Some(other) if other.shard != found.shard => {
                return Err(format!(
                    "{} says that this is shard {}, and {} that it is shard {}: say --shard I/N, or --shard \
                     none",
                    other.by, other.shard, found.by, found.shard
                ));
            }
            Some(_) => {}
            None => chosen = Some(found),
        }
    }
    match (chosen, said) {
        (None, Some((count, by))) => Err(format!(
            "{by} says that there are {count} shards, and nothing says which of them this is: say --shard I/N"
        )),
        (chosen, _) => Ok(chosen),
    }
}

fn chosen(index: u64, count: u64, by: &'static str) -> Result<Option<Chosen>, String> {
    let shard = Shard::new(index, count).map_err(|problem| format!("{by}: {problem}"))?;
    Ok(Some(Chosen { shard, by }))
}

fn uncounted(name: &str, index: u64) -> String {
    format!(
        "{name} is {index}, and nothing says of how many: set {COUNT}, or say --shards N, --shard I/N or \
         --shard none"
    )
}

/// What somebody said about how many there are.
type Said = Option<(u64, &'static str)>;

/// An indexed Job numbers its pods, and does not tell them how many they are.
fn kubernetes(variables: &Variables<'_>, said: Said) -> Result<Option<Chosen>, String> {
    let name = "JOB_COMPLETION_INDEX";
    match (variables.number(name)?, said) {
        (None, _) => Ok(None),
        (Some(index), Some((count, _))) => chosen(index, count, name),
        (Some(index), None) => Err(uncounted(name, index)),
    }
}

/// An array's numbers may begin anywhere and go in steps. Where somebody says how many shards there are,
/// the array may be a part of them.
fn slurm(variables: &Variables<'_>, said: Said) -> Result<Option<Chosen>, String> {
    let name = "SLURM_ARRAY_TASK_ID";
    let Some(id) = variables.number(name)? else {
        return Ok(None);
    };
    if let Some((count, _)) = said {
        return chosen(id, count, name);
    }
    let count = variables.number("SLURM_ARRAY_TASK_COUNT")?;
    let count = count.ok_or_else(|| uncounted(name, id))?;
    let least = variables.number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
    let step = variables.number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1);
    let index = id
        .checked_sub(least)
        .filter(|above| step > 0 && above.is_multiple_of(step) && above / step < count);
    match index {
        Some(above) => chosen(above / step, count, name),
        None => Err(format!(
            "{name} is {id}, which is not among {count} numbers from {least} in steps of {step}: number the \
             array from 0 and say --shards N"
        )),
    }
}

/// GNU parallel counts its jobs from 1 and not how many there will be. It is used for all sorts of things, so
/// its number means a shard only where somebody says how many there are. (`PARALLEL_JOBSLOT` numbers places
/// that are taken again, and is no number of a shard.)
fn parallel(variables: &Variables<'_>, said: Said) -> Result<Option<Chosen>, String> {
    let name = "PARALLEL_SEQ";
    let Some((count, _)) = said else {
        return Ok(None);
    };
    match variables.number(name)? {
        None => Ok(None),
        Some(0) => Err(format!("{name} is 0, and GNU parallel counts from 1")),
        Some(number) => chosen(number - 1, count, name),
    }
}

fn aws_batch(variables: &Variables<'_>, said: Said) -> Result<Option<Chosen>, String> {
    let (name, size) = ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE");
    let Some(index) = variables.number(name)? else {
        return Ok(None);
    };
    match (variables.number(size)?, said) {
        (Some(size_set), Some((count, by))) if size_set != count => Err(format!(
            "{size} is {size_set}, and {by} says that there are {count} shards"
        )),
        (Some(count), _) | (None, Some((count, _))) => chosen(index, count, name),
        (None, None) => Err(uncounted(name, index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(count: Option<u64>, set: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_string())
        };
        let chosen = choose(count, &variable)?;
        Ok(chosen.map(|chosen| format!("{} {}", chosen.shard, chosen.by)))
    }

    fn is(count: Option<u64>, set: &[(&str, &str)], wanted: &str) {
        assert_eq!(asked(count, set), Ok(Some(wanted.to_string())));
    }

    fn refused(count: Option<u64>, set: &[(&str, &str)], named: &str) {
        let problem = asked(count, set).unwrap_err();
        assert!(problem.contains(named), "{problem}");
    }

    const K8S: &str = "JOB_COMPLETION_INDEX";
    const SLURM: &str = "SLURM_ARRAY_TASK_ID";
    const OF_SLURM: &str = "SLURM_ARRAY_TASK_COUNT";
    const SEQ: &str = "PARALLEL_SEQ";
    const AWS: &str = "AWS_BATCH_JOB_ARRAY_INDEX";

    #[test]
    fn every_scheduler_numbers_its_tasks_in_its_own_way() {
        is(
            None,
            &[(K8S, "0"), (COUNT, "8")],
            "0/8 JOB_COMPLETION_INDEX",
        );
        is(
            Some(4),
            &[(K8S, "3"), (COUNT, "8")],
            "3/4 JOB_COMPLETION_INDEX",
        );
        is(
            None,
            &[(SLURM, "7"), (OF_SLURM, "8")],
            "7/8 SLURM_ARRAY_TASK_ID",
        );
        let from_ten = [
            (SLURM, "14"),
            (OF_SLURM, "3"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
        ];
        let in_steps = [&from_ten[..], &[("SLURM_ARRAY_TASK_STEP", "2")]].concat();
        is(None, &in_steps, "2/3 SLURM_ARRAY_TASK_ID");
        refused(None, &from_ten, "14");
        is(Some(8), &[(SEQ, "8")], "7/8 PARALLEL_SEQ");
        let aws = [(AWS, "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "5")];
        is(None, &aws, "2/5 AWS_BATCH_JOB_ARRAY_INDEX");
    }

    #[test]
    fn a_slurm_task_that_is_submitted_again_alone_is_the_shard_it_was() {
        let alone = [(SLURM, "3"), (OF_SLURM, "1"), ("SLURM_ARRAY_TASK_MIN", "3")];
        is(Some(8), &alone, "3/8 SLURM_ARRAY_TASK_ID");
        is(
            None,
            &[&alone[..], &[(COUNT, "8")]].concat(),
            "3/8 SLURM_ARRAY_TASK_ID",
        );
    }

    #[test]
    fn without_a_scheduler_there_is_no_shard() {
        assert_eq!(asked(None, &[]), Ok(None));
        assert_eq!(asked(None, &[(SEQ, "3")]), Ok(None));
        assert_eq!(asked(None, &[("PARALLEL_JOBSLOT", "3")]), Ok(None));
    }

    #[test]
    fn what_is_malformed_missing_or_contradictory_is_refused_by_name() {
        refused(
            None,
            &[(K8S, "three"), (COUNT, "8")],
            "JOB_COMPLETION_INDEX is `three`",
        );
        refused(None, &[(K8S, "-1"), (COUNT, "8")], "`-1`");
        refused(None, &[(K8S, "3"), (COUNT, "")], "GC_SHARDS is ``");
        refused(None, &[(K8S, "3")], COUNT);
        refused(None, &[(K8S, "8"), (COUNT, "8")], "no shard 8 of 8");
        refused(None, &[(K8S, "0"), (COUNT, "0")], "not 0");
        refused(None, &[(SLURM, "3")], "nothing says of how many");
        refused(Some(8), &[(SEQ, "0")], "counts from 1");
        refused(Some(8), &[(SEQ, "9")], "no shard 8 of 8");
        refused(Some(8), &[], "--shard I/N");
        let aws = [(AWS, "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "5")];
        refused(Some(8), &aws, "AWS_BATCH_JOB_ARRAY_SIZE is 5");
        let both = [(SLURM, "3"), (OF_SLURM, "8"), (K8S, "2"), (COUNT, "8")];
        refused(None, &both, "SLURM_ARRAY_TASK_ID that it is shard 3/8");
        is(
            Some(8),
            &[(SLURM, "3"), (SEQ, "4")],
            "3/8 SLURM_ARRAY_TASK_ID",
        );
    }

    #[test]
    fn shards_are_read_and_cover_every_case_once() {
        assert_eq!("0/8".parse(), Ok(Shard { index: 0, count: 8 }));
        for wrong in ["", "3", "8/8", "1/0", "a/b", "1/2/3", "-1/2", "0/10001"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        for case in 0..100 {
            let owners = (0..7).filter(|index| {
                Shard {
                    index: *index,
                    count: 7,
                }
                .has(case)
            });
            assert_eq!(owners.count(), 1);
        }
    }
}
