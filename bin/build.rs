//! How the programs are linked.
//!
//! `crab` lives for milliseconds, of which the dynamic linker took a fifth: it writes the addresses of 22,000 places
//! into a hundred pages. Linked for a fixed address there is nothing to write. What that gives up, an address that
//! attackers cannot know, matters for the daemons, which keep theirs. macOS links no other way and shares such pages.

fn main() {
    println!("cargo:rerun-if-changed=bin/build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bin=crab=-no-pie");
    }
}
