//! Those who look at the graph of a heap with generations see no old garbage: snapshots, retention paths, the verifier.

use gc_core::{Address, CycleKind, Phase, SnapshotHold};

use crate::scene::{Scene, pair};

/// A scene with two old objects that nothing leads to, whose addresses it answers, and four that live.
fn scene_with_old_garbage() -> (Scene, [usize; 2]) {
    let mut scene = Scene::new();
    let dead = scene.with_old(|scope, old| {
        old.side.set(scope, pair(scope, 10));
        let new = pair(scope, 1);
        old.next.set(scope, new);
        [new.address(), new.next.get().unwrap().address()]
    });
    scene.young();
    scene.with_old(|scope, old| old.next.set(scope, None));
    scene.young();
    assert!(
        dead.iter().all(|dead| scene.is_object(*dead)),
        "they are old"
    );
    (scene, dead)
}

#[test]
fn a_snapshot_runs_a_full_cycle_and_shows_what_lives() {
    for phase in [
        Phase::Idle,
        Phase::Arm,
        Phase::Mark,
        Phase::Clear,
        Phase::Sweep,
    ] {
        let (scene, dead) = scene_with_old_garbage();
        let young = scene.heap.stats().cycles_young;
        if phase != Phase::Idle {
            scene.young_to(phase);
        }
        let mut file = Vec::new();
        let summary = scene.heap.snapshot(&mut file).unwrap();
        assert_eq!(
            (summary.hold, summary.objects),
            (SnapshotHold::Cycle, 3),
            "in {phase}"
        );
        assert_eq!(summary.edges, 2);
        assert_eq!(summary.cycle, scene.heap.cycle());
        let ended = scene.heap.stats().cycles_young - young;
        assert_eq!(ended, u64::from(phase != Phase::Idle));
        assert!(dead.iter().all(|dead| !scene.is_object(*dead)));
        scene.assert_sound();
    }
}

#[test]
fn nothing_leads_to_old_garbage() {
    let (mut scene, dead) = scene_with_old_garbage();
    let at = |address| Address::Offset(scene.heap.offset_of(address).unwrap());
    for dead in dead {
        assert!(scene.heap.retention_path(at(dead)).unwrap().is_none());
    }
    let old = scene.with_old(|_, old| old.address());
    let at = Address::Offset(scene.heap.offset_of(old).unwrap());
    assert!(scene.heap.retention_path(at).unwrap().is_some());
    let report = scene.heap.verify().unwrap();
    assert!(report.is_clean());
    assert_eq!(report.objects_reachable, 3);
    assert_eq!(scene.heap.ledger().unwrap().objects, 5);
}

#[test]
fn verification_in_the_middle_of_a_young_cycle_finds_nothing_wrong() {
    for phase in [
        Phase::Arm,
        Phase::Snapshot,
        Phase::Mark,
        Phase::Clear,
        Phase::Sweep,
    ] {
        let (mut scene, _dead) = scene_with_old_garbage();
        scene.with_old(|scope, old| old.next.set(scope, pair(scope, 5)));
        scene.young_to(phase);
        scene.with_old(|scope, old| old.next.get().unwrap().side.set(scope, pair(scope, 7)));
        let report = scene.heap.verify().unwrap();
        assert!(report.is_clean(), "in {phase}: {report:?}");
        assert_eq!(report.objects_reachable, 7);
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Young);
        assert_eq!(scene.behind_old(), [5, 6]);
        scene.young();
        scene.assert_sound();
    }
}
