//! Any requests to the simulated Barbican.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("simulated_barbican", input));
