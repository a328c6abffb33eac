//! `gc-stress`: the command line of the stress lab. Everything is in the library, where tests reach
//! it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(stress::cli::run(std::env::args_os()))
}
