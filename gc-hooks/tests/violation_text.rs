//! What a violation prints, to the letter: operators search their logs for it.

use std::panic::Location;

use gc_hooks::{Address, Check, Origin, Phase, Violation};

#[test]
fn a_violation_of_which_nothing_is_known_prints_what_is_always_known() {
    let expected = "sweep: span swept twice\n  check: double-sweep\n  cycle: 0\n  phase: idle\n  \
                    severity: metadata";
    assert_eq!(Violation::new(Check::DoubleSweep).to_string(), expected);
}

#[test]
fn a_violation_of_which_everything_is_known_prints_a_line_for_each_thing() {
    let here = Location::caller();
    let violation = Violation {
        sequence: 12,
        ..Violation::new(Check::BadPointer)
            .with_cycle(7)
            .with_phase(Phase::Mark)
            .with_reason("pointer to unallocated span")
            .with_address(Address::Offset(0x2_0010))
            .with_span(16)
            .with_slot(1)
            .with_type_name("demo::Config")
            .with_origin(Origin::BarrierOld)
            .with_holder(0x4000)
            .with_field(Some("Registry.config"))
            .with_call_site(Some(here))
            .with_stale_cycles(Some(1))
            .with_number("slot bytes", 16)
            .with_number("slots", 512)
    };
    let expected = [
        "found bad pointer in heap (pointer to unallocated span)",
        "  check: bad-pointer",
        "  sequence: 12",
        "  cycle: 7",
        "  phase: mark",
        "  severity: over-marking",
        "  address: heap+0x20010",
        "  span: 16",
        "  slot: 1",
        "  type: demo::Config",
        "  origin: barrier-old",
        "  holder: heap+0x4000",
        "  field: Registry.config",
        &format!("  call site: {}:{}:{}", file!(), here.line(), here.column()),
        "  freed cycles ago: 1",
        "  slot bytes: 16",
        "  slots: 512",
    ];
    assert_eq!(violation.to_string(), expected.join("\n"));
}

#[test]
fn zero_is_a_number_like_any_other() {
    let violation = Violation::new(Check::Ledger).with_number("missing bytes", 0);
    assert!(violation.to_string().ends_with("\n  missing bytes: 0"));
}
