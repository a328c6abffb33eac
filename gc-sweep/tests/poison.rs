//! Under AddressSanitizer, memory that holds no object may not be touched.
#![cfg(softfail_asan)]
#![allow(unsafe_code)]

mod support;

use std::ffi::c_void;

use support::Lab;

unsafe extern "C" {
    fn __asan_address_is_poisoned(address: *const c_void) -> i32;
}

fn is_poisoned(address: usize) -> bool {
    // SAFETY: the call reads shadow memory alone and never follows the pointer.
    unsafe { __asan_address_is_poisoned(std::ptr::without_provenance(address)) != 0 }
}

#[test]
fn only_slots_that_were_handed_out_and_not_freed_may_be_touched() {
    let mut lab = Lab::new();
    let (plain, dropping, large) = (lab.class(64), lab.class_with_drop(64), lab.large_class());
    for class in [plain, dropping] {
        let objects = lab.alloc_many(class, 10);
        assert!(
            objects
                .iter()
                .all(|object| !is_poisoned(*object) && !is_poisoned(object + 63))
        );
        assert!(is_poisoned(objects[9] + 64), "free, in the run");
        lab.collect(&objects[3..4]);
        assert!(
            !is_poisoned(objects[3]) && is_poisoned(objects[2]) && is_poisoned(objects[4] + 63)
        );
        lab.retire(class);
        lab.collect(&[]);
        assert!(lab.space.span_of(objects[3]).is_none() && is_poisoned(objects[3]));
        assert_eq!(lab.alloc(class), objects[0]);
        assert!(!is_poisoned(objects[0]));
        lab.retire(class);
        lab.collect(&[]);
    }
    let object = lab.alloc_large(large, 100_000).unwrap();
    assert!(!is_poisoned(object + 99_999));
    lab.collect(&[]);
    assert!(is_poisoned(object) && is_poisoned(object + 99_999));
}
