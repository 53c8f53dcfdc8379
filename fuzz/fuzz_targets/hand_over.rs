//! Any sequence of events on any hand-over.

#![no_main]

use transfer_fuzz::Run;

libfuzzer_sys::fuzz_target!(|run: Run| run.check());
