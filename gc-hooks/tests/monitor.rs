//! The monitor, with real processes: each case starts this program once more in a role, and that starts
//! it once more as its monitor.
//!
//! There is no harness, since `run_if_child` stands first in `main`. Arguments that are no options pick
//! cases by parts of their names.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio, exit};

use gc_hooks::monitor::{self, Monitor, MonitorError, Settings};
use gc_hooks::{Check, HealthRecord, Hooks, Policy, Violation};

/// The role, and the record.
const ROLE: &str = "GC_HOOKS_MONITOR_ROLE";
const RECORD: &str = "GC_HOOKS_MONITOR_RECORD";

type Case = (&'static str, fn());

const CASES: [Case; 9] = [
    ("a_clean_end_is_no_news", a_clean_end_is_no_news),
    (
        "a_death_is_told_in_a_file_and_to_a_command",
        a_death_is_told_in_a_file_and_to_a_command,
    ),
    (
        "a_death_is_told_on_standard_error",
        a_death_is_told_on_standard_error,
    ),
    ("a_panic_is_no_clean_end", a_panic_is_no_clean_end),
    (
        "a_monitor_has_no_descriptor_of_its_process",
        a_monitor_has_no_descriptor_of_its_process,
    ),
    (
        "a_signal_to_the_group_spares_the_monitor",
        a_signal_to_the_group_spares_the_monitor,
    ),
    (
        "a_record_that_was_moved_is_found",
        a_record_that_was_moved_is_found,
    ),
    (
        "a_process_without_a_record_is_told_of_all_the_same",
        a_process_without_a_record_is_told_of,
    ),
    (
        "a_main_that_forgets_the_first_line_is_found_out",
        a_main_that_forgets_is_found_out,
    ),
];

fn main() {
    if env::var(ROLE).is_ok_and(|role| role == "forgetful") {
        forgetful();
    }
    monitor::run_if_child();
    if let (Ok(role), Some(record)) = (env::var(ROLE), env::var_os(RECORD)) {
        return play(&role, Path::new(&record));
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    // What follows `--skip` names no case to pick; none here is ever skipped.
    let is_value = |at: usize| at > 0 && arguments[at - 1] == "--skip";
    let picked: Vec<&String> = (0..arguments.len())
        .filter(|at| !arguments[*at].starts_with('-') && !is_value(*at))
        .map(|at| &arguments[at])
        .collect();
    for (name, case) in CASES {
        if picked.is_empty() || picked.iter().any(|part| name.contains(part.as_str())) {
            print!("test {name} ... ");
            let _ = std::io::stdout().flush();
            case();
            println!("ok");
        }
    }
}

// ---- The roles ----

fn play(role: &str, record: &Path) {
    let settings = Settings::new(record);
    let settings = match role {
        "quiet" | "panicking" => settings,
        _ => settings.report_to(report_of(record)),
    };
    let settings = match role {
        "commanding" => settings.run("/bin/sh", command_line(record)),
        _ => settings,
    };
    if role == "leaking" {
        leak();
    }
    let monitor = monitor::start(&settings).unwrap();
    if role == "bare" {
        wait_for_death(&monitor);
    }
    let record = HealthRecord::create(record, "watched").unwrap();
    let hooks = Hooks::with_record(Policy::COUNT, record);
    hooks.report(Violation::new(Check::Zombie).with_cycle(7));
    hooks.report(Violation::new(Check::Ledger).with_cycle(8));
    match role {
        "clean" => {
            drop(hooks);
            println!("{}", monitor.process());
            monitor.end().unwrap();
        }
        "panicking" => panic!("on purpose"),
        _ => wait_for_death(&monitor),
    }
}

/// Tells the monitor's process, then waits to be killed.
fn wait_for_death(monitor: &Monitor) -> ! {
    println!("{}", monitor.process());
    loop {
        std::thread::park();
    }
}

/// Opens a file that a child would inherit.
fn leak() {
    let file = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    std::mem::forget(file);
}

fn forgetful() -> ! {
    match monitor::start(&Settings::new("unused")) {
        Err(error @ MonitorError::NotFirst) => println!("{error}"),
        other => println!("{other:?}"),
    }
    exit(3)
}

fn report_of(record: &Path) -> PathBuf {
    record.with_file_name("report.txt")
}

/// Writes what it is told into a file beside the record, arguments and all.
fn command_line(record: &Path) -> Vec<String> {
    let script = "echo \"$GC_MONITOR_RECORD|$GC_MONITOR_PROCESS|$1\" > \"$0\"";
    let told = record.with_file_name("told.txt");
    vec![
        "-c".into(),
        script.into(),
        told.display().to_string(),
        "a  b; $x".into(),
    ]
}

// ---- The cases ----

/// A process in its role.
struct Player {
    child: Child,
    stdout: BufReader<ChildStdout>,
    record: PathBuf,
}

impl Player {
    fn begin(role: &str) -> Player {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("monitor-{role}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let record = directory.join("heap.record");
        let mut child = Command::new(env::current_exe().unwrap())
            .env(ROLE, role)
            .env(RECORD, &record)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Player {
            child,
            stdout,
            record,
        }
    }

    /// The number of the monitor, once all is prepared.
    fn monitor(&mut self) -> u32 {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    /// Waits until the process and its monitor are gone, who both have standard error. Gives what was
    /// written there.
    fn end(&mut self) -> (ExitStatus, String) {
        let mut told = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap(), told)
    }

    fn kill(&mut self) -> String {
        self.child.kill().unwrap();
        let (status, told) = self.end();
        assert_eq!(status.signal(), Some(9));
        told
    }

    #[track_caller]
    fn assert_told(&self, report: &str) {
        let process = self.child.id();
        let mut lines = report.lines();
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("softfail monitor: 20"), "{report}");
        assert!(
            first.ends_with(&format!(": process {process} ended without a word")),
            "{report}"
        );
        let second =
            format!("violation record of heap \"watched\" in process {process}, softfail ");
        assert!(lines.next().unwrap().starts_with(&second), "{report}");
        for line in [
            "  ended: not in order, or still running",
            "  violations: 2",
            "found pointer to free object",
            "heap accounts do not balance",
            "  cycle: 8",
        ] {
            assert!(report.lines().any(|told| told == line), "{line}: {report}");
        }
    }
}

fn a_clean_end_is_no_news() {
    let mut player = Player::begin("clean");
    let monitor = player.monitor();
    let (status, told) = player.end();
    assert_eq!((status.code(), told.as_str()), (Some(0), ""));
    assert!(!report_of(&player.record).exists());
    assert!(
        !Path::new(&format!("/proc/{monitor}")).exists(),
        "it is gone"
    );
}

fn a_death_is_told_in_a_file_and_to_a_command() {
    let mut player = Player::begin("commanding");
    player.monitor();
    fs::write(report_of(&player.record), "of an earlier death\n").unwrap();
    assert_eq!(player.kill(), "");
    let report = fs::read_to_string(report_of(&player.record)).unwrap();
    player.assert_told(report.strip_prefix("of an earlier death\n").unwrap());
    let told = fs::read_to_string(player.record.with_file_name("told.txt")).unwrap();
    let expected = format!(
        "{}|{}|a  b; $x\n",
        player.record.display(),
        player.child.id()
    );
    assert_eq!(told, expected);
}

fn a_death_is_told_on_standard_error() {
    let mut player = Player::begin("quiet");
    player.monitor();
    let told = player.kill();
    player.assert_told(&told);
}

fn a_panic_is_no_clean_end() {
    let mut player = Player::begin("panicking");
    let (status, told) = player.end();
    assert_eq!(status.code(), Some(101));
    assert!(
        told.contains("on purpose") && told.contains("ended without a word"),
        "{told}"
    );
}

fn a_monitor_has_no_descriptor_of_its_process() {
    let mut player = Player::begin("leaking");
    let of = |process: u32| {
        let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut numbers: Vec<i32> = names.map(|name| name.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    let monitor = player.monitor();
    assert_eq!(of(monitor), [0, 1, 2]);
    assert!(of(player.child.id()).len() > 4);
    player.kill();
}

fn a_signal_to_the_group_spares_the_monitor() {
    let mut player = Player::begin("grouped");
    player.monitor();
    // Not SIGINT, which whoever starts the tests in the background has ignored.
    let group = format!("-{}", player.child.id());
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -TERM \"$0\"", &group])
        .status();
    assert!(sent.unwrap().success());
    let (status, _) = player.end();
    assert_eq!(status.signal(), Some(15));
    player.assert_told(&fs::read_to_string(report_of(&player.record)).unwrap());
}

/// As by the next process, where that is quicker than the monitor.
fn a_record_that_was_moved_is_found() {
    let mut player = Player::begin("moved");
    player.monitor();
    let previous = player.record.with_file_name("heap.record.previous");
    fs::rename(&player.record, previous).unwrap();
    player.kill();
    player.assert_told(&fs::read_to_string(report_of(&player.record)).unwrap());
}

fn a_process_without_a_record_is_told_of() {
    let mut player = Player::begin("bare");
    player.monitor();
    player.kill();
    let report = fs::read_to_string(report_of(&player.record)).unwrap();
    assert!(
        report.ends_with("ended without a word\nit left no violation record\n"),
        "{report}"
    );
}

fn a_main_that_forgets_is_found_out() {
    let mut player = Player::begin("forgetful");
    let (status, _) = player.end();
    let mut said = String::new();
    player.stdout.read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(
        said,
        "monitor: the program did not become one: call `run_if_child` first in `main`\n"
    );
}
