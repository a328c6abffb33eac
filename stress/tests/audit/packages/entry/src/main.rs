//! The entry: what `main` leads to is reached, and nothing else.

mod conditional;
mod forms;
mod macros;
#[path = "elsewhere/moved.rs"]
mod renamed;
mod rings;

use behind::Sound;
use other_name::poke as nudge;

fn main() {
    let byte = 3;
    println!("{}", nudge(&byte) + forms::sum(&byte) + macros::sum(&byte));
    println!("{}", conditional::sum(&byte) + renamed::moved(&byte) + rings::start(&byte));
    println!("{}", behind::bell().sound());
}

#[cfg(test)]
mod tests {
    #[test]
    fn tests_do_not_count() {
        unsafe { std::hint::unreachable_unchecked() }
    }
}
