//! The binary: reads the command line, has it carried out, and ends with the contract's exit code.

use std::process::ExitCode;

use baton::cli::Cli;
use baton::display::say;
use baton::exit::Exit;
use baton::text::clean_lines;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == baton_adapters::GUARD_WORD) {
        baton_adapters::guard_main(arguments)
    }
    let exit = baton::commands::carry_out(Cli::parse()).unwrap_or_else(|fault| {
        // A fault may hold what stands in files and names of strangers.
        say(&clean_lines(&format!("{fault:#}")));
        Exit::of(&fault)
    });
    ExitCode::from(exit as u8)
}
