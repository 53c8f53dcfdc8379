//! Any requests to what controls the simulator.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("control", input));
