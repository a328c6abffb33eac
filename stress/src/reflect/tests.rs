//! What the runtime promises its users, in the bug's form and in the fix's.

use gc_core::{CheckLevel, Policy};

use super::*;

fn runtime(copy_back: CopyBack) -> (Heap, Runtime) {
    let builder = Heap::builder()
        .policy(Policy::COUNT)
        .checks(CheckLevel::Paranoid);
    let heap = builder.reserve_bytes(1 << 26).build().unwrap();
    let runtime = Runtime::new(&heap, 1, 16, copy_back);
    (heap, runtime)
}

/// A function that answers its last argument.
fn last() -> Func {
    make_func(2, |_, arguments| Ok(arguments[1]))
}

#[test]
fn a_reflective_function_gets_its_arguments_and_answers_its_result() {
    for copy_back in [CopyBack::Barriered, CopyBack::Plain] {
        let (heap, mut runtime) = runtime(copy_back);
        let answer = runtime.enter(0, |running| {
            let scope = running.scope();
            running.push_frame(1, 4)?;
            let (one, two) = (scope.try_alloc(1_u32)?, scope.try_alloc_str("two")?);
            let answer = last().call(running, &[Value::of(one), Value::of(two)])?;
            running.store(Slot::Local(0), answer)?;
            running
                .load(Slot::Local(0))?
                .downcast::<str>(scope)
                .map(|text| text.to_string())
        });
        assert_eq!(answer.unwrap(), "two");
        // The paranoid heap sees the bug at every call, and nothing but the bug.
        let seen = u64::from(copy_back == CopyBack::Barriered);
        assert_eq!(heap.health().total(), seen, "{copy_back:?}");
    }
}

#[test]
fn a_value_of_another_type_is_refused() {
    let (_heap, mut runtime) = runtime(CopyBack::Plain);
    let answer = runtime.enter(0, |running| {
        let scope = running.scope();
        Value::of(scope.try_alloc(1_u32)?)
            .downcast::<str>(scope)
            .map(drop)
    });
    assert!(matches!(
        answer,
        Err(Error::Kind {
            expected: "str",
            found: "u32"
        })
    ));
    let answer = runtime.enter(0, |running| last().call(running, &[]).map(drop));
    assert!(matches!(
        answer,
        Err(Error::Arguments {
            expected: 2,
            found: 0
        })
    ));
}

#[test]
fn dead_slots_cannot_be_read_though_their_words_stay() {
    let (_heap, mut runtime) = runtime(CopyBack::Plain);
    let is_dead = |answer: Result<Value<'_>, Error>| matches!(answer, Err(Error::EmptySlot { .. }));
    let checked = runtime.enter(0, |running| {
        running.push_frame(1, 4)?;
        running.store(
            Slot::Outgoing(2),
            Value::of(running.scope().try_alloc(1_u32)?),
        )?;
        assert!(running.load(Slot::Outgoing(2)).is_ok());
        running.retire_outgoing(3)?;
        assert!(is_dead(running.load(Slot::Outgoing(2))));
        running.pop_frame()?;
        running.push_frame(1, 4)?;
        assert!(is_dead(running.load(Slot::Outgoing(2))));
        assert_ne!(running.fiber.stack.residue(3)?, 0);
        Ok(())
    });
    assert!(checked.is_ok());
    assert!(matches!(
        runtime.enter(1, |_| Ok(())),
        Err(Error::NoFiber { fiber: 1 })
    ));
}
