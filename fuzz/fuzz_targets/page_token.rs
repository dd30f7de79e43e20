#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobtrack_doors::page_token(data));
