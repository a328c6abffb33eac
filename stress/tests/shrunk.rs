//! What `gc-stress shrink --format test` writes, kept: it compiles, and it passes whichever build runs it.

#[test]
fn assign_scratch_free_pointer_at_operation_11() {
    let replay = stress::lab::replay_text(
        "\
softfail-trace 1\n\
build 0.1.0 x86_64-linux fault-inject 38e756c4\n\
scenario assign-scratch\n\
seed 1\n\
policy unhealthy\n\
checks default\n\
threads 1\n\
kind setting 4 -\n\
lost 0\n\
ops 11\n\
enter 0 0\n\
push 2\n\
new 1 setting\n\
store 0 1\n\
retire 0 2\n\
leave\n\
collect\n\
until mark\n\
enter 0 0\n\
new 2 setting\n\
copy 0 2\n\
! free-pointer 1\n\
end 64f330ce9389f900\n\
",
    )
    .unwrap();
    assert_eq!(replay.first_violation, Some((11, "free-pointer")));
    assert!(replay.is_as_recorded);
    assert_eq!(replay.live_lost, 0);
}
