//! The files by which shards are deployed say what they must, as far as that can be seen without a cluster.

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode, Yaml};

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// What stands at the end of a way of keys.
fn at<'y>(node: &'y Yaml<'y>, way: &[&str]) -> &'y Yaml<'y> {
    way.iter().fold(node, |node, key| {
        let inside = node.as_mapping_get(key);
        inside.unwrap_or_else(|| panic!("`{key}` of {way:?} is missing"))
    })
}

fn text<'y>(node: &'y Yaml<'y>, way: &[&str]) -> &'y str {
    at(node, way).as_str().unwrap()
}

fn number(node: &Yaml<'_>, way: &[&str]) -> i64 {
    at(node, way).as_integer().unwrap()
}

fn list<'y>(node: &'y Yaml<'y>, way: &[&str]) -> &'y Vec<Yaml<'y>> {
    at(node, way).as_vec().unwrap()
}

#[test]
fn the_kubernetes_job_gives_each_index_a_shard_and_the_time_to_end() {
    let source = deployed("kubernetes-job.yaml");
    let documents = Yaml::load_from_str(&source).unwrap();
    let [job] = &documents[..] else {
        panic!("{} documents", documents.len());
    };
    assert_eq!(
        (text(job, &["apiVersion"]), text(job, &["kind"])),
        ("batch/v1", "Job")
    );
    assert_eq!(text(job, &["spec", "completionMode"]), "Indexed");
    let completions = number(job, &["spec", "completions"]);
    assert!(number(job, &["spec", "parallelism"]) <= completions);
    assert!(number(job, &["spec", "backoffLimitPerIndex"]) > 0);

    let pod = at(job, &["spec", "template", "spec"]);
    // The only value that a failure policy goes with.
    assert_eq!(text(pod, &["restartPolicy"]), "Never");
    let [container] = &list(pod, &["containers"])[..] else {
        panic!("one container is expected");
    };
    let command: Vec<&str> = list(container, &["command"])
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(command[..2], ["gc-stress", "campaign"]);
    let value = |flag: &str| command.iter().find_map(|word| word.strip_prefix(flag));
    let silence = value("--deadline=").map_or(20, |seconds| seconds.parse().unwrap());
    assert!(number(pod, &["terminationGracePeriodSeconds"]) > silence);

    // As many shards as indexes, said to the shard, which takes its number from the index.
    let environment = list(container, &["env"]);
    let shards = environment
        .iter()
        .find(|entry| text(entry, &["name"]) == "GC_SHARDS")
        .unwrap();
    assert_eq!(text(shards, &["value"]), completions.to_string());
    // All files meet on a volume that outlives the pods.
    let [mount] = &list(container, &["volumeMounts"])[..] else {
        panic!("one volume is expected");
    };
    assert_eq!(value("--out="), Some(text(mount, &["mountPath"])));
    let volumes = list(pod, &["volumes"]);
    let volume = volumes
        .iter()
        .find(|volume| text(volume, &["name"]) == text(mount, &["name"]));
    assert!(!text(volume.unwrap(), &["persistentVolumeClaim", "claimName"]).is_empty());
}

#[test]
fn the_kubernetes_job_knows_the_exit_codes_of_a_shard() {
    let source = deployed("kubernetes-job.yaml");
    let documents = Yaml::load_from_str(&source).unwrap();
    let job = &documents[0];
    let container = &list(job, &["spec", "template", "spec", "containers"])[0];
    let rules = list(job, &["spec", "podFailurePolicy", "rules"]);
    let action_of = |code: i64| {
        let is_of = |rule: &&Yaml<'_>| {
            let Some(codes) = rule.as_mapping_get("onExitCodes") else {
                return false;
            };
            assert_eq!(text(codes, &["containerName"]), text(container, &["name"]));
            assert_eq!(text(codes, &["operator"]), "In");
            list(codes, &["values"])
                .iter()
                .any(|value| value.as_integer() == Some(code))
        };
        rules.iter().find(is_of).map(|rule| text(rule, &["action"]))
    };
    assert_eq!(action_of(75), Some("Ignore"));
    assert_eq!(
        (action_of(64), action_of(65)),
        (Some("FailIndex"), Some("FailIndex"))
    );
    assert_eq!(action_of(70), None, "an internal error is tried again");
}

#[test]
fn the_slurm_array_has_as_many_tasks_as_shards_and_hands_signals_on() {
    let script = deployed("slurm-array.sh");
    let line = |begin: &str| {
        let mut lines = script.lines();
        lines
            .find_map(|line| line.strip_prefix(begin))
            .unwrap_or_else(|| panic!("{begin}"))
    };
    let last: u64 = line("#SBATCH --array=0-").parse().unwrap();
    assert_eq!(
        line("export GC_SHARDS="),
        format!("${{GC_SHARDS:-{}}}", last + 1)
    );
    assert!(line("#SBATCH --signal=").starts_with("B:TERM@"));
    assert!(
        line("exec ").contains("campaign"),
        "the shard takes the place of the shell"
    );
}

#[test]
fn the_parallel_line_counts_its_jobs_as_shards() {
    let script = deployed("parallel.sh");
    assert!(script.contains("export GC_SHARDS=${GC_SHARDS:-8}"));
    assert!(script.contains("seq \"$GC_SHARDS\" | parallel"));
    assert!(
        script.contains("--termseq TERM,"),
        "a shard has the time to end"
    );
}
